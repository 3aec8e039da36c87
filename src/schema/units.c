/* SPDX-License-Identifier: MIT */
#include "schema/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

enum dimension { PLAIN, TIME, BYTES };

static const struct unit {
	const char *name;
	enum dimension dimension;
	uint64_t ns;
} units[] = {
	{ "ns", TIME, 1 },	   { "us", TIME, 1000 },
	{ "ms", TIME, NS_PER_MS }, { "s", TIME, NS_PER_SECOND },
	{ "bytes", BYTES, 0 },
};
static const struct unit no_unit = { "", PLAIN, 0 };

static const struct {
	const char *complaint, *hint;
} words[] = {
	[PLAIN] = { "not a number", "443, a range 1..1024, a list 80,443, or !443" },
	[TIME] = { "not a duration", "1ms, a range 1ms..5s, a list 1ms,2ms, or !1ms" },
	[BYTES] = { "not a size in bytes",
		    "1500, 64KiB, a range 1KiB..64KiB, a list 64,128, or !64" },
};

static const struct unit *unit_of(const struct number_format *format)
{
	for (size_t i = 0; format->unit && i < ARRAY_SIZE(units); i++)
		if (!strcmp(format->unit, units[i].name))
			return &units[i];
	return &no_unit;
}

/* Without sign. */
static int parse_magnitude(const struct unit *unit, const char *text, uint64_t *ret_value)
{
	int r = text_parse_u64(text, 0, UINT64_MAX, ret_value);

	if (r != -EINVAL)
		return r;
	if (unit->dimension == BYTES)
		return text_parse_bytes(text, ret_value);
	if (unit->dimension == TIME) {
		uint64_t ns;

		r = clock_parse_duration(text, 0, &ns);
		if (r)
			return r;
		if (ns % unit->ns)
			return -EINVAL;
		*ret_value = ns / unit->ns;
	}
	return r;
}

static uint64_t largest(const struct number_format *format, bool negative)
{
	unsigned int bits = format->size * 8u - format->is_signed;

	return (UINT64_MAX >> (64 - bits)) + negative;
}

int number_parse(const struct number_format *format, const char *text, uint64_t *ret_bits)
{
	bool negative = text[0] == '-';
	uint64_t magnitude;
	int r = parse_magnitude(unit_of(format), text + negative, &magnitude);

	if (r)
		return r;
	if (negative && !format->is_signed)
		return magnitude ? -ERANGE : -EINVAL;
	if (magnitude > largest(format, negative))
		return -ERANGE;
	*ret_bits = negative ? 0 - magnitude : magnitude;
	return 0;
}

const char *number_complaint(const struct number_format *format)
{
	return words[unit_of(format)->dimension].complaint;
}

const char *number_hint(const struct number_format *format)
{
	return words[unit_of(format)->dimension].hint;
}

void number_limits(const struct number_format *format, char limits[NUMBER_LIMITS_SIZE])
{
	if (format->is_signed)
		snprintf(limits, NUMBER_LIMITS_SIZE, "-%" PRIu64 "..%" PRIu64,
			 largest(format, true), largest(format, false));
	else
		snprintf(limits, NUMBER_LIMITS_SIZE, "0..%" PRIu64, largest(format, false));
}
