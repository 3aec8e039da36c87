/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* Reads digits of one base until another character; -EINVAL when there is none. *ret_end is set on
 * overflow too, so that "99999999999999999999x" is known to be no number. */
static int read_digits(const char *text, unsigned int base, uint64_t *ret_value,
		       const char **ret_end)
{
	uint64_t value = 0;
	bool overflow = false;
	const char *at = text;

	for (; (unsigned int)digit_value(*at) < base; at++)
		overflow = overflow || __builtin_mul_overflow(value, base, &value) ||
			   __builtin_add_overflow(value, (uint64_t)digit_value(*at), &value);
	*ret_end = at;
	if (at == text)
		return -EINVAL;
	if (overflow)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int text_parse_u64(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_value)
{
	bool hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	uint64_t value;
	const char *end;
	int r = read_digits(text + (hexadecimal ? 2 : 0), hexadecimal ? 16 : 10, &value, &end);

	if (*end)
		return -EINVAL;
	if (r)
		return r;
	if (value < minimum || value > maximum)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int text_parse_i64(const char *text, int64_t minimum, int64_t maximum, int64_t *ret_value)
{
	bool negative = text[0] == '-';
	uint64_t magnitude;
	int64_t value;
	int r = text_parse_u64(text + negative, 0, (uint64_t)INT64_MAX + negative, &magnitude);

	if (r)
		return r;
	value = (int64_t)(negative ? 0 - magnitude : magnitude);
	if (value < minimum || value > maximum)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int text_parse_bool(const char *text, bool *ret_value)
{
	static const struct {
		const char *name;
		bool value;
	} names[] = {
		{ "true", true }, { "false", false }, { "1", true },  { "0", false },
		{ "yes", true },  { "no", false },    { "on", true }, { "off", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcasecmp(text, names[i].name)) {
			*ret_value = names[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

int text_parse_bytes(const char *text, uint64_t *ret_bytes)
{
	static const struct {
		const char *name;
		unsigned int shift;
	} units[] = {
		{ "", 0 },     { "b", 0 },   { "k", 10 },   { "kb", 10 },  { "kib", 10 },
		{ "m", 20 },   { "mb", 20 }, { "mib", 20 }, { "g", 30 },   { "gb", 30 },
		{ "gib", 30 }, { "t", 40 },  { "tb", 40 },  { "tib", 40 },
	};
	uint64_t value;
	const char *end;
	int r = read_digits(text, 10, &value, &end);

	if (r == -EINVAL)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcasecmp(end, units[i].name))
			continue;
		if (r || value > UINT64_MAX >> units[i].shift)
			return -ERANGE;
		*ret_bytes = value << units[i].shift;
		return 0;
	}
	return -EINVAL;
}

/* One pattern element other than '*' against one byte; *step is the element's length. */
static bool element_matches(const char *pattern, size_t left, char c, size_t *step)
{
	if (pattern[0] == '\\' && left > 1) {
		*step = 2;
		return pattern[1] == c;
	}
	*step = 1;
	return pattern[0] == '?' || pattern[0] == c;
}

bool text_glob_match(const char *pattern, size_t pattern_length, const char *text, size_t length)
{
	size_t p = 0, t = 0, step;
	/* Where to go on when what follows the last '*' does not fit: only the last one ever needs
	 * to take more, so there is no recursion. */
	size_t star = SIZE_MAX, star_text = 0;

	while (t < length) {
		if (p < pattern_length && pattern[p] == '*') {
			star = ++p;
			star_text = t;
		} else if (p < pattern_length &&
			   element_matches(pattern + p, pattern_length - p, text[t], &step)) {
			p += step;
			t++;
		} else if (star != SIZE_MAX) {
			p = star;
			t = ++star_text;
		} else {
			return false;
		}
	}
	while (p < pattern_length && pattern[p] == '*')
		p++;
	return p == pattern_length;
}

bool text_is_glob(const char *pattern)
{
	for (; *pattern; pattern++) {
		if (*pattern == '*' || *pattern == '?')
			return true;
		if (*pattern == '\\' && pattern[1])
			pattern++;
	}
	return false;
}

size_t text_utf8_sequence(const char *text, size_t length)
{
	const uint8_t *byte = (const uint8_t *)text;
	uint8_t low = 0x80, high = 0xbf; /* of the second byte: RFC 3629, section 4 */
	size_t size;

	if (!length)
		return 0;
	if (byte[0] < 0x80)
		return 1;
	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return 0;
	size = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
	if (length < size)
		return 0;
	if (byte[0] == 0xe0)
		low = 0xa0;
	else if (byte[0] == 0xed)
		high = 0x9f;
	else if (byte[0] == 0xf0)
		low = 0x90;
	else if (byte[0] == 0xf4)
		high = 0x8f;
	if (byte[1] < low || byte[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++)
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
	return size;
}
