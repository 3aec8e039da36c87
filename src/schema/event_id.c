/* SPDX-License-Identifier: MIT */
#include "schema/event_id.h"

#include <errno.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

static inline char *put_fixed_hex(char *at, uint64_t value, unsigned int digits)
{
	for (unsigned int i = digits; i-- > 0; value >>= 4)
		at[i] = hex_digits[value & 15];
	return at + digits;
}

char *put_event_id(char *at, const struct event_id *id)
{
	at = put_fixed_hex(at, id->boot, 8);
	*at++ = '-';
	at = put_fixed_hex(at, id->timestamp, 15);
	*at++ = '-';
	at = put_fixed_hex(at, id->stream, 2);
	return put_fixed_hex(at, id->index, 8);
}

void event_id_format(const struct event_id *id, char text[EVENT_ID_SIZE])
{
	*put_event_id(text, id) = '\0';
}

static int read_hex(const char **at, unsigned int digits, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < digits; i++) {
		char c = (*at)[i];
		const char *digit = c ? strchr(hex_digits, c) : NULL;

		if (!digit)
			return -EINVAL;
		value = value << 4 | (uint64_t)(digit - hex_digits);
	}
	*at += digits;
	*ret_value = value;
	return 0;
}

int event_id_parse(const char *text, struct event_id *ret_id)
{
	uint64_t boot, timestamp, stream, index;

	if (read_hex(&text, 8, &boot) || *text++ != '-' || read_hex(&text, 15, &timestamp) ||
	    *text++ != '-' || read_hex(&text, 2, &stream) || read_hex(&text, 8, &index) || *text)
		return -EINVAL;
	*ret_id = (struct event_id){ boot, timestamp, (uint16_t)stream, (uint32_t)index };
	return 0;
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

int event_id_compare(const struct event_id *a, const struct event_id *b)
{
	int r = compare(a->boot, b->boot);

	if (!r)
		r = compare(a->timestamp, b->timestamp);
	if (!r)
		r = compare(a->stream, b->stream);
	return r ? r : compare(a->index, b->index);
}
