/* SPDX-License-Identifier: MIT */
/* Numbers as people write them, for filters and parameters: decimal, 0x…, "1ms", "64KiB". Internal
 * to this folder. */
#ifndef SCHEMA_UNITS_H
#define SCHEMA_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* What the number is for. */
struct number_format {
	uint16_t size; /* 1, 2, 4, 8 bytes */
	bool is_signed;
	const char *unit; /* "ns", "us", "ms", "s": durations; "bytes": sizes; else plain numbers */
};

/* Returns 0 and the number (signed ones as two's complement), -EINVAL when the text is no such
 * number, or is not whole in this unit, -ERANGE when it does not fit. */
int number_parse(const struct number_format *format, const char *text, uint64_t *ret_bits);

/* "not a number", "not a duration", … */
const char *number_complaint(const struct number_format *format);
/* What a filter may say instead. */
const char *number_hint(const struct number_format *format);
/* "0..65535" */
#define NUMBER_LIMITS_SIZE 48
void number_limits(const struct number_format *format, char limits[NUMBER_LIMITS_SIZE]);

#endif
