/* SPDX-License-Identifier: MIT */
/* Decimal digits written two at a time: the part of encoding that events are mostly made of. */
#ifndef BASE_DIGITS_H
#define BASE_DIGITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DIGITS_U64_MAX 20 /* of 2^64 - 1 */

/* "000102…9899" */
extern const char digits_pairs[201];
extern const uint64_t digits_powers[20]; /* 10^0 … 10^19 */

/* Exactly two digits of a value below 100. */
static inline void digits_put_pair(char *at, uint64_t value)
{
	memcpy(at, digits_pairs + value * 2, 2);
}

/* How many digits the value has; 1 for 0. */
static inline size_t digits_count(uint64_t value)
{
	/* log10 from log2 (1233/4096 is just above log10(2)), then one comparison puts it right. */
	unsigned int bits = 64u - (unsigned int)__builtin_clzll(value | 1);
	size_t count = (bits * 1233) >> 12;

	return count + (value >= digits_powers[count] || count == 0);
}

/* Writes exactly `count` digits, with leading zeros. */
static inline void digits_put_fixed(char *at, uint64_t value, size_t count)
{
	char *end = at + count;

	while (count >= 2) {
		end -= 2;
		digits_put_pair(end, value % 100);
		value /= 100;
		count -= 2;
	}
	if (count)
		*at = (char)('0' + value % 10);
}

/* Writes the value, at most DIGITS_U64_MAX bytes, no NUL. Returns how many. */
static inline size_t digits_put_u64(char *at, uint64_t value)
{
	size_t count = digits_count(value);

	digits_put_fixed(at, value, count);
	return count;
}

#endif
