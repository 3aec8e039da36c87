/* SPDX-License-Identifier: MIT */
/* Loops over narrow columns: which rows hold a value of a range, or a code that was picked. Bits of
 * the rows go to `bits`, row i to bit i % 64 of word i / 64; the last word's rest is zero. */
#ifndef STORE_SCAN_H
#define STORE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* low <= value <= high, over `rows` little-endian values of `width` bytes (1 to 8). For widths that
 * are no power of two, 8 bytes can be read at any value of a whole group of 64. */
void scan_range(const uint8_t *data, uint32_t width, uint32_t rows, uint64_t low, uint64_t high,
		uint64_t *bits);
/* picked[code] is 1, over codes of `width` bytes (1 or 2). */
void scan_codes(const uint8_t *data, uint32_t width, uint32_t rows, const uint8_t *picked,
		uint64_t *bits);
/* low <= value <= high over integers that stand `stride` bytes apart, in ordered form. */
void scan_strided(const uint8_t *data, size_t stride, uint16_t size, bool is_signed, uint32_t rows,
		  uint64_t low, uint64_t high, uint64_t *bits);
/* All ones, or all zeros. */
void scan_fill(uint32_t rows, bool value, uint64_t *bits);

#endif
