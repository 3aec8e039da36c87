/* SPDX-License-Identifier: MIT */
#include "schema/value.h"

#include "base/digits.h"
#include "schema/kernel.h"

static const char hex_digits[] = "0123456789abcdef";

char *put_hex(char *at, uint64_t value)
{
	unsigned int digits = value ? (67u - (unsigned int)__builtin_clzll(value)) / 4 : 1;

	*at++ = '0';
	*at++ = 'x';
	while (digits--)
		*at++ = hex_digits[value >> digits * 4 & 15];
	return at;
}

char *put_hex_bytes(char *at, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		*at++ = hex_digits[bytes[i] >> 4];
		*at++ = hex_digits[bytes[i] & 15];
	}
	return at;
}

char *put_signed(char *at, int64_t value)
{
	uint64_t magnitude = (uint64_t)value;

	if (value < 0) {
		*at++ = '-';
		magnitude = 0 - magnitude;
	}
	return at + digits_put_u64(at, magnitude);
}

static inline char *put_octet(char *at, uint8_t value)
{
	if (value >= 100) {
		*at++ = (char)('0' + value / 100);
		digits_put_pair(at, value % 100);
		return at + 2;
	}
	if (value >= 10) {
		digits_put_pair(at, value);
		return at + 2;
	}
	*at = (char)('0' + value);
	return at + 1;
}

static char *put_ipv4(char *at, const uint8_t *bytes)
{
	at = put_octet(at, bytes[0]);
	*at++ = '.';
	at = put_octet(at, bytes[1]);
	*at++ = '.';
	at = put_octet(at, bytes[2]);
	*at++ = '.';
	return put_octet(at, bytes[3]);
}

/* The longest run of two or more zero groups, the first of equal ones (RFC 5952, 4.2). */
static unsigned int longest_zeros(const uint16_t groups[8], unsigned int *ret_count)
{
	unsigned int best = 0, best_count = 1;

	for (unsigned int i = 0; i < 8;) {
		unsigned int end = i;

		while (end < 8 && !groups[end])
			end++;
		if (end - i > best_count) {
			best = i;
			best_count = end - i;
		}
		i = end + 1;
	}
	*ret_count = best_count > 1 ? best_count : 0;
	return best;
}

static char *put_ipv6(char *at, const uint8_t *bytes)
{
	uint16_t groups[8];
	unsigned int zeros, zero_count;

	for (unsigned int i = 0; i < 8; i++)
		groups[i] = (uint16_t)(bytes[i * 2] << 8 | bytes[i * 2 + 1]);
	zeros = longest_zeros(groups, &zero_count);
	for (unsigned int i = 0; i < 8; i++) {
		if (zero_count && i == zeros) {
			*at++ = ':';
			if (i + zero_count == 8)
				*at++ = ':';
			i += zero_count - 1;
			continue;
		}
		if (i)
			*at++ = ':';
		for (unsigned int shift =
			     groups[i] ? (31u - (unsigned int)__builtin_clz(groups[i])) & ~3u : 0;
		     ; shift -= 4) {
			*at++ = hex_digits[groups[i] >> shift & 15];
			if (!shift)
				break;
		}
	}
	return at;
}

static bool is_mapped(const uint8_t *bytes)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(bytes, prefix, sizeof(prefix));
}

char *put_ip(char *at, const uint8_t *bytes, size_t size)
{
	if (size == 4)
		return put_ipv4(at, bytes);
	return is_mapped(bytes) ? put_ipv4(at, bytes + 12) : put_ipv6(at, bytes);
}

static char *put_mac(char *at, const uint8_t *bytes)
{
	for (size_t i = 0; i < 6; i++) {
		if (i)
			*at++ = ':';
		at = put_hex_bytes(at, bytes + i, 1);
	}
	return at;
}

static char *put_text(char *at, const char *text)
{
	size_t length = strlen(text);

	memcpy(at, text, length);
	return at + length;
}

static char *put_number(char *at, const struct field *field, uint64_t ordered)
{
	if (field->is_signed)
		return put_signed(at, (int64_t)field_from_ordered(ordered, true));
	return at + digits_put_u64(at, ordered);
}

static char *put_symbol(char *at, uint64_t address, struct symbols *symbols)
{
	uint64_t offset;
	const char *name = symbols ? symbols_lookup(symbols, address, &offset) : NULL;

	if (!name)
		return put_hex(at, address);
	at = put_text(at, name);
	*at++ = '+';
	return put_hex(at, offset);
}

static char *put_errno(char *at, unsigned int number)
{
	const char *name = errno_name((int)number);

	return name ? put_text(at, name) : at + digits_put_u64(at, number);
}

static char *put_endpoint(char *at, const struct stream_schema *stream, const struct field *field,
			  const uint8_t *record, size_t length)
{
	const struct field *port = &stream->fields[field->port];
	const uint8_t *ip = record + field->offset;
	bool has_port = !field_is_null(stream, port, record, length);
	bool brackets = has_port && field->size == 16 && !is_mapped(ip);

	if (brackets)
		*at++ = '[';
	at = put_ip(at, ip, field->size);
	if (brackets)
		*at++ = ']';
	if (has_port) {
		*at++ = ':';
		at += digits_put_u64(at,
				     field_load_ordered(record + port->offset, port->size, false));
	}
	return at;
}

static char *put_list(char *at, const struct field *field, const uint8_t *bytes)
{
	for (size_t i = 0; i < field->count; i++) {
		if (i)
			*at++ = ',';
		at = put_number(at, field,
				field_load_ordered(bytes + i * field->size, field->size,
						   field->is_signed));
	}
	return at;
}

/* One integer-like value. */
static char *put_scalar(char *at, const struct field *field, uint64_t ordered,
			struct symbols *symbols)
{
	const char *name;

	switch (field->kind) {
	case FIELD_BOOLEAN:
		return put_text(at, ordered ? "true" : "false");
	case FIELD_ENUM:
		name = enumeration_name(&field->enumeration, ordered);
		return name ? put_text(at, name) : put_number(at, field, ordered);
	case FIELD_SYMBOL:
		return put_symbol(at, ordered, symbols);
	case FIELD_HEX:
		return put_hex(at, ordered);
	default:
		return put_number(at, field, ordered);
	}
}

char *put_value(char *at, const struct stream_schema *stream, const struct field *field,
		const uint8_t *record, size_t length, struct symbols *symbols)
{
	const uint8_t *bytes = record + field->offset;

	if (field->derivation == FIELD_ERRNO_OF)
		return put_errno(at, field_error_number(field, bytes));
	if (field->derivation == FIELD_ENDPOINT_OF)
		return put_endpoint(at, stream, field, record, length);
	switch (field->kind) {
	case FIELD_IP:
		return put_ip(at, bytes, field->size);
	case FIELD_MAC:
		return put_mac(at, bytes);
	case FIELD_BYTES:
		return put_hex_bytes(at, bytes, field->size);
	case FIELD_STRING:
		return at;
	default:
		if (field->count > 1)
			return put_list(at, field, bytes);
		return put_scalar(at, field,
				  field_load_ordered(bytes, field->size, field->is_signed),
				  symbols);
	}
}

char *put_field(char *at, const struct field *field, const uint8_t *bytes, struct symbols *symbols)
{
	/* The bytes are all there is of a record. */
	struct field first = *field;

	first.offset = 0;
	return put_value(at, NULL, &first, bytes, (size_t)field->size * field->count, symbols);
}

size_t value_limit(const struct field *field)
{
	if (field->derivation == FIELD_ENDPOINT_OF)
		return IP_TEXT_SIZE + 2 + 6;
	switch (field->kind) {
	case FIELD_STRING:
		return VALUE_IS_TEXT;
	case FIELD_SYMBOL:
		return SYMBOL_NAME_SIZE + 20;
	case FIELD_IP:
		return IP_TEXT_SIZE;
	case FIELD_MAC:
		return 17;
	case FIELD_BYTES:
		return (size_t)field->size * 2;
	case FIELD_ENUM:
		return SCHEMA_NAME_SIZE;
	case FIELD_HEX:
		return 18;
	default:
		return (size_t)field->count * (DIGITS_U64_MAX + 4); /* sign or quotes, comma */
	}
}

const char *value_text(const struct stream_schema *stream, const struct field *field,
		       const uint8_t *record, size_t length, size_t *ret_length)
{
	const char *text;

	if (field->derivation == FIELD_ENDPOINT_OF) {
		if (!field_is_null(stream, &stream->fields[field->source], record, length))
			return NULL;
		field = &stream->fields[field->path];
	}
	if (field->kind != FIELD_STRING)
		return NULL;
	text = (const char *)record + field->offset;
	*ret_length = strnlen(text, field->size);
	return text;
}

bool value_is_bare(const struct field *field)
{
	return (field->kind == FIELD_INTEGER || field->kind == FIELD_BOOLEAN) &&
	       field->derivation != FIELD_ERRNO_OF && field->derivation != FIELD_ENDPOINT_OF;
}
