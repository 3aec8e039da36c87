/* SPDX-License-Identifier: MIT */
/* Addresses, bytes and endpoints in filters. */
#include "schema/filter_parse.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/text.h"

#define IP_SIZE 16
#define MAC_SIZE 6

/* An inclusive range of addresses, in the order of memcmp(3). */
struct span {
	uint8_t low[16], high[16];
	bool is_ipv4;
};

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* IPv4 as ::ffff:a.b.c.d, so that both families have one order. */
static bool read_ip(const char *text, uint8_t bytes[IP_SIZE], bool *ret_is_ipv4)
{
	if (inet_pton(AF_INET, text, bytes + 12) == 1) {
		memcpy(bytes, mapped_prefix, sizeof(mapped_prefix));
		*ret_is_ipv4 = true;
		return true;
	}
	*ret_is_ipv4 = false;
	return inet_pton(AF_INET6, text, bytes) == 1;
}

/* Address or CIDR prefix; false when it is neither. Bits after the prefix are not looked at. */
static bool read_ip_span(const char *text, struct span *ret_span)
{
	char address[INET6_ADDRSTRLEN + 1];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	uint64_t prefix = 128;

	if (length >= sizeof(address))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	if (!read_ip(address, ret_span->low, &ret_span->is_ipv4))
		return false;
	if (slash) {
		if (text_parse_u64(slash + 1, 0, ret_span->is_ipv4 ? 32 : 128, &prefix) ||
		    (slash[1] == '0' && slash[2]))
			return false;
		prefix += ret_span->is_ipv4 ? 96 : 0;
	}
	memcpy(ret_span->high, ret_span->low, IP_SIZE);
	for (unsigned int bit = (unsigned int)prefix; bit < 128; bit++) {
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		ret_span->low[bit / 8] &= (uint8_t)~mask;
		ret_span->high[bit / 8] |= mask;
	}
	return true;
}

/* The part of a span that 4-byte addresses can be in; false when there is none. */
static bool span_to_ipv4(struct span *span)
{
	uint8_t first[IP_SIZE] = { 0 }, last[IP_SIZE];

	memcpy(first, mapped_prefix, sizeof(mapped_prefix));
	memset(last, 0xff, sizeof(last));
	memcpy(last, mapped_prefix, sizeof(mapped_prefix));
	if (memcmp(span->high, first, IP_SIZE) < 0 || memcmp(span->low, last, IP_SIZE) > 0)
		return false;
	if (memcmp(span->low, first, IP_SIZE) < 0)
		memcpy(span->low, first, IP_SIZE);
	if (memcmp(span->high, last, IP_SIZE) > 0)
		memcpy(span->high, last, IP_SIZE);
	memmove(span->low, span->low + 12, 4);
	memmove(span->high, span->high + 12, 4);
	return true;
}

static struct test span_test(const struct filter_parse *parse, uint16_t index, struct span span)
{
	const struct field *field = &parse->stream->fields[index];
	struct test test = { .field = index, .kind = TEST_BYTES };

	if (field->kind == FIELD_IP && field->size == 4 && !span_to_ipv4(&span)) {
		test.kind = TEST_NEVER;
		return test;
	}
	memcpy(test.bytes.low, span.low, sizeof(span.low));
	memcpy(test.bytes.high, span.high, sizeof(span.high));
	return test;
}

static int add_span(struct filter_parse *parse, const struct span *span)
{
	struct test test = span_test(parse, parse->field->index, *span);

	return parse_add(parse, &test, NULL);
}

static int no_address(const struct filter_parse *parse, const char *text)
{
	if (parse->field->kind == FIELD_MAC)
		return refuse(parse->refusal, "\"%.80s\" is no MAC address; give 52:54:00:12:34:56",
			      text);
	return refuse(
		parse->refusal,
		"\"%.80s\" is no IP address; give 10.0.0.1, 2001:db8::1, a prefix 10.0.0.0/8, a "
		"range 10.0.0.1..10.0.0.9, a list, or !10.0.0.1",
		text);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Six pairs of digits, with ':' or '-' between them. */
static bool read_mac(const char *text, uint8_t bytes[MAC_SIZE])
{
	for (size_t i = 0; i < MAC_SIZE; i++) {
		int high, low;

		if (i && *text != ':' && *text != '-')
			return false;
		text += i != 0;
		high = hex_value(text[0]);
		low = high < 0 ? -1 : hex_value(text[1]);
		if (low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	return !*text;
}

static bool read_one(const struct filter_parse *parse, const char *text, struct span *ret_span)
{
	*ret_span = (struct span){ 0 };
	if (parse->field->kind == FIELD_IP)
		return read_ip_span(text, ret_span);
	if (!read_mac(text, ret_span->low))
		return false;
	memcpy(ret_span->high, ret_span->low, MAC_SIZE);
	return true;
}

int parse_address(struct filter_parse *parse, const struct piece *piece)
{
	struct span span;

	if (!read_one(parse, piece->text, &span))
		return no_address(parse, piece->text);
	return add_span(parse, &span);
}

/* An open end goes as far as the other end's family does. */
int parse_address_range(struct filter_parse *parse, const struct piece *piece,
			const struct piece_range *range)
{
	struct span low = { 0 }, high = { 0 };

	if (range->low && (!read_one(parse, range->low, &low) || strchr(range->low, '/')))
		return no_address(parse, range->low);
	if (range->high && (!read_one(parse, range->high, &high) || strchr(range->high, '/')))
		return no_address(parse, range->high);
	if (!range->low && high.is_ipv4)
		memcpy(low.low, mapped_prefix, sizeof(mapped_prefix));
	if (!range->high) {
		memset(high.high, 0xff, sizeof(high.high));
		if (low.is_ipv4)
			memcpy(high.high, mapped_prefix, sizeof(mapped_prefix));
	}
	if (range->low && range->high && low.is_ipv4 != high.is_ipv4)
		return refuse(parse->refusal,
			      "the range \"%.100s\" begins in one family of addresses "
			      "and ends in the other",
			      piece->text);
	if (memcmp(low.low, high.high, sizeof(low.low)) > 0)
		return refuse(parse->refusal,
			      "the range \"%.100s\" is reversed; write %.50s..%.50s", piece->text,
			      range->high, range->low);
	memcpy(low.high, high.high, sizeof(low.high));
	return add_span(parse, &low);
}

/* ---- bytes ---- */

static int no_bytes(const struct filter_parse *parse, const char *text)
{
	return refuse(parse->refusal,
		      "\"%.80s\" is not %u bytes in hexadecimal; give %u digits, or fewer and *",
		      text, parse->field->size, parse->field->size * 2u);
}

int parse_bytes(struct filter_parse *parse, const struct piece *piece)
{
	size_t size = parse->field->size, digits = strspn(piece->text, "0123456789abcdefABCDEF");
	bool is_beginning = piece->is_glob && !strcmp(piece->text + digits, "*");
	struct test test = { .field = parse->field->index, .kind = TEST_BYTES };
	FREE uint8_t *bytes = calloc(1, size + 1);

	if (!bytes)
		return -ENOMEM;
	if ((!is_beginning && (piece->text[digits] || digits != size * 2)) || digits % 2 ||
	    digits > size * 2)
		return no_bytes(parse, piece->text);
	for (size_t i = 0; i < digits; i += 2)
		bytes[i / 2] =
			(uint8_t)(hex_value(piece->text[i]) << 4 | hex_value(piece->text[i + 1]));
	if (size > sizeof(test.bytes.low)) {
		test.kind = TEST_EXACT;
		test.string.text = (char *)TAKE(bytes);
		test.string.length = digits / 2;
	} else {
		memset(test.bytes.high, 0xff, sizeof(test.bytes.high));
		memcpy(test.bytes.low, bytes, digits / 2);
		memcpy(test.bytes.high, bytes, digits / 2);
	}
	return parse_add(parse, &test, NULL);
}

/* ---- endpoints ---- */

/* Host and port of "1.2.3.4:443", "[::1]:53", "10.0.0.0/8:443", "[2001:db8::]/32:443", "::1",
 * "*:53". */
struct host_port {
	char host[INET6_ADDRSTRLEN + 8];
	const char *port; /* NULL when there is none */
};

static bool split_endpoint(const char *text, struct host_port *ret_parts)
{
	const char *colon = strchr(text, ':');
	const char *close = *text == '[' ? strchr(text, ']') : NULL;
	const char *after = close ? close + 1 : NULL;
	size_t inside, prefix = 0;

	if (*text == '[') {
		if (!close)
			return false;
		text++;
		inside = (size_t)(close - text);
		/* A prefix length after the bracket belongs to the address. */
		if (*after == '/')
			prefix = strcspn(after, ":");
		colon = after[prefix] == ':' ? after + prefix : NULL;
		if (after[prefix] && !colon)
			return false;
	} else if (colon && strchr(colon + 1, ':')) {
		colon = NULL; /* several without brackets: all of them the address's own */
		inside = strlen(text);
	} else {
		inside = colon ? (size_t)(colon - text) : strlen(text);
	}
	if (inside + prefix >= sizeof(ret_parts->host))
		return false;
	memcpy(ret_parts->host, text, inside);
	if (prefix)
		memcpy(ret_parts->host + inside, after, prefix);
	ret_parts->host[inside + prefix] = '\0';
	ret_parts->port = colon ? colon + 1 : NULL;
	return true;
}

/* Any address at all; without a port "*" would rather be a path. */
static bool read_host(const struct host_port *parts, struct span *ret_span)
{
	*ret_span = (struct span){ 0 };
	if (strcmp(parts->host, "*") || !parts->port)
		return read_ip_span(parts->host, ret_span);
	memset(ret_span->high, 0xff, sizeof(ret_span->high));
	return true;
}

int parse_endpoint(struct filter_parse *parse, const struct piece *piece)
{
	const struct field *field = parse->field;
	struct host_port parts;
	struct span span;
	struct test address, port_test;
	uint64_t port;

	if (*piece->raw == '\\' || !split_endpoint(piece->text, &parts) ||
	    !read_host(&parts, &span)) {
		if (field->path != FIELD_NONE)
			return parse_add_text(parse, field->path, piece);
		return refuse(parse->refusal,
			      "\"%.80s\" is no endpoint; give 1.2.3.4:443, [2001:db8::1]:443, "
			      "10.0.0.0/8:443, *:443, or an address alone",
			      piece->text);
	}
	address = span_test(parse, field->source, span);
	if (!parts.port)
		return parse_add(parse, &address, NULL);
	if (text_parse_u64(parts.port, 0, UINT16_MAX, &port))
		return refuse(parse->refusal, "\"%.80s\" is no port; give 0..65535", parts.port);
	port_test =
		(struct test){ .field = field->port, .kind = TEST_RANGE, .range = { port, port } };
	return parse_add(parse, &address, &port_test);
}
