/* SPDX-License-Identifier: MIT */
/*
 * The inner loops work on 64 rows at a time: first a byte a row, in a loop of fixed length that
 * compilers turn into vector instructions, then eight bytes to eight bits by one multiplication.
 */
#include "store/scan.h"

#include <string.h>

#include "schema/schema.h"

#define GROUP 64u

/* Bytes of 0 or 1 to bits. */
static uint64_t gather_bits(const uint8_t *flags)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < GROUP / 8; i++) {
		uint64_t eight;

		memcpy(&eight, flags + 8 * i, sizeof(eight));
		bits |= (eight * 0x0102040810204080ULL >> 56) << 8 * i;
	}
	return bits;
}

#define DEFINE_RANGE_GROUP(type)                                                                   \
	static uint64_t range_group_##type(const uint8_t *data, uint64_t low, uint64_t span)       \
	{                                                                                          \
		const type low_ = (type)low, span_ = (type)span;                                   \
		type values[GROUP];                                                                \
		uint8_t flags[GROUP];                                                              \
                                                                                                   \
		memcpy(values, data, sizeof(values));                                              \
		for (uint32_t i = 0; i < GROUP; i++)                                               \
			flags[i] = (type)(values[i] - low_) <= span_;                              \
		return gather_bits(flags);                                                         \
	}
DEFINE_RANGE_GROUP(uint8_t)
DEFINE_RANGE_GROUP(uint16_t)
DEFINE_RANGE_GROUP(uint32_t)
DEFINE_RANGE_GROUP(uint64_t)

static uint64_t range_group_odd(const uint8_t *data, uint32_t width, uint64_t low, uint64_t span)
{
	const uint64_t mask = UINT64_MAX >> (64 - 8 * width);
	uint64_t bits = 0;

	for (uint32_t i = 0; i < GROUP; i++) {
		uint64_t value;

		memcpy(&value, data + (size_t)i * width, sizeof(value));
		bits |= (uint64_t)((value & mask) - low <= span) << i;
	}
	return bits;
}

static uint64_t range_group(const uint8_t *data, uint32_t width, uint64_t low, uint64_t span)
{
	switch (width) {
	case 1:
		return range_group_uint8_t(data, low, span);
	case 2:
		return range_group_uint16_t(data, low, span);
	case 4:
		return range_group_uint32_t(data, low, span);
	case 8:
		return range_group_uint64_t(data, low, span);
	default:
		return range_group_odd(data, width, low, span);
	}
}

void scan_range(const uint8_t *data, uint32_t width, uint32_t rows, uint64_t low, uint64_t high,
		uint64_t *bits)
{
	uint64_t most = UINT64_MAX >> (64 - 8 * width);

	if (low > high || low > most) {
		scan_fill(rows, false, bits);
		return;
	}
	high = high < most ? high : most;
	for (; rows >= GROUP; rows -= GROUP, data += (size_t)GROUP * width)
		*bits++ = range_group(data, width, low, high - low);
	if (rows) {
		uint8_t rest[GROUP * sizeof(uint64_t) + sizeof(uint64_t)] = { 0 };

		memcpy(rest, data, (size_t)rows * width);
		*bits = range_group(rest, width, low, high - low) & UINT64_MAX >> (GROUP - rows);
	}
}

#define DEFINE_CODE_GROUP(type)                                                                    \
	static uint64_t code_group_##type(const uint8_t *data, uint32_t rows,                      \
					  const uint8_t *picked)                                   \
	{                                                                                          \
		uint8_t flags[GROUP] = { 0 };                                                      \
                                                                                                   \
		for (uint32_t i = 0; i < rows; i++) {                                              \
			type code;                                                                 \
			memcpy(&code, data + i * sizeof(code), sizeof(code));                      \
			flags[i] = picked[code];                                                   \
		}                                                                                  \
		return gather_bits(flags);                                                         \
	}
DEFINE_CODE_GROUP(uint8_t)
DEFINE_CODE_GROUP(uint16_t)

void scan_codes(const uint8_t *data, uint32_t width, uint32_t rows, const uint8_t *picked,
		uint64_t *bits)
{
	for (; rows; data += (size_t)GROUP * width) {
		const uint32_t group = rows < GROUP ? rows : GROUP;

		*bits++ = width == 1 ? code_group_uint8_t(data, group, picked)
				     : code_group_uint16_t(data, group, picked);
		rows -= group;
	}
}

void scan_strided(const uint8_t *data, size_t stride, uint16_t size, bool is_signed, uint32_t rows,
		  uint64_t low, uint64_t high, uint64_t *bits)
{
	if (low > high) {
		scan_fill(rows, false, bits);
		return;
	}
	while (rows) {
		const uint32_t group = rows < GROUP ? rows : GROUP;
		uint64_t word = 0;

		for (uint32_t i = 0; i < group; i++, data += stride) {
			uint64_t value = field_load_ordered(data, size, is_signed);

			word |= (uint64_t)(value - low <= high - low) << i;
		}
		*bits++ = word;
		rows -= group;
	}
}

void scan_fill(uint32_t rows, bool value, uint64_t *bits)
{
	const uint32_t words = (rows + 63) / 64;

	memset(bits, value ? 0xff : 0, words * sizeof(*bits));
	if (value && rows % 64)
		bits[words - 1] = UINT64_MAX >> (64 - rows % 64);
}
