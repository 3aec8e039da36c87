/* SPDX-License-Identifier: MIT */
#include "store/distribution.h"

#include <stdlib.h>

#include "base/memory.h"

#define POINTERS (2 * DISTRIBUTION_CHUNKS)
#define POINTERS_BYTES (POINTERS * sizeof(uint64_t *))
#define SLOTS_BYTES (DISTRIBUTION_SLOTS * sizeof(uint64_t))

static void *take(size_t bytes, size_t *budget)
{
	void *memory = *budget >= bytes ? calloc(1, bytes) : NULL;

	*budget -= memory ? bytes : 0;
	return memory;
}

void distribution_fini(struct distribution *distribution, size_t *budget)
{
	for (size_t i = 0; distribution->chunks && i < POINTERS; i++) {
		*budget += distribution->chunks[i] ? SLOTS_BYTES : 0;
		free(distribution->chunks[i]);
	}
	*budget += distribution->chunks ? POINTERS_BYTES : 0;
	free(distribution->chunks);
	*distribution = (struct distribution){ .count = 0 };
}

uint64_t *distribution_chunk(struct distribution *distribution, bool negative, uint32_t chunk,
			     size_t *budget)
{
	const size_t which = chunk + (negative ? DISTRIBUTION_CHUNKS : 0);

	if (!distribution->chunks)
		distribution->chunks = take(POINTERS_BYTES, budget);
	if (distribution->chunks && !distribution->chunks[which])
		distribution->chunks[which] = take(SLOTS_BYTES, budget);
	distribution->rough |= !distribution->chunks || !distribution->chunks[which];
	return distribution->chunks ? distribution->chunks[which] : NULL;
}

static void widen(struct distribution *distribution, uint64_t count, __int128 sum, __int128 minimum,
		  __int128 maximum)
{
	if (!count)
		return;
	if (!distribution->count || minimum < distribution->minimum)
		distribution->minimum = minimum;
	if (!distribution->count || maximum > distribution->maximum)
		distribution->maximum = maximum;
	distribution->count += count;
	distribution->sum += sum;
}

void distribution_add(struct distribution *distribution, const struct tally *tally, bool is_signed)
{
	/* Ordered forms of signed numbers are that much larger than the numbers. */
	const __int128 offset = is_signed ? (__int128)1 << 63 : 0;

	widen(distribution, tally->count, (__int128)tally->sum - offset * tally->count,
	      tally->minimum - offset, tally->maximum - offset);
}

void distribution_merge(struct distribution *distribution, const struct distribution *other,
			size_t *budget)
{
	widen(distribution, other->count, other->sum, other->minimum, other->maximum);
	distribution->rough |= other->rough;
	for (uint32_t i = 0; other->chunks && i < POINTERS; i++) {
		const bool negative = i >= DISTRIBUTION_CHUNKS;
		uint64_t *slots;

		if (!other->chunks[i])
			continue;
		slots = distribution_chunk(distribution, negative,
					   negative ? i - DISTRIBUTION_CHUNKS : i, budget);
		for (size_t j = 0; slots && j < DISTRIBUTION_SLOTS; j++)
			slots[j] += other->chunks[i][j];
	}
}

/* ---- percentiles ---- */

/* The middle of a slot. */
static __int128 slot_size(uint32_t chunk, uint32_t slot)
{
	const uint32_t shift = chunk ? chunk - 1 : 0;
	const __int128 low = (__int128)(chunk ? DISTRIBUTION_SLOTS + slot : slot) << shift;

	return low + ((((__int128)1 << shift) - 1) >> 1);
}

/* Counts `left` down over the slots of one chunk, from the lowest number on; true when it ends in
 * one of them. */
static bool count_down(const uint64_t *slots, bool negative, uint64_t *left, uint32_t *ret_slot)
{
	for (uint32_t i = 0; i < DISTRIBUTION_SLOTS; i++) {
		const uint32_t slot = negative ? DISTRIBUTION_SLOTS - 1 - i : i;

		if (slots[slot] >= *left) {
			*ret_slot = slot;
			return true;
		}
		*left -= slots[slot];
	}
	return false;
}

bool distribution_percentile(const struct distribution *distribution, unsigned int percent,
			     __int128 *ret_value)
{
	uint64_t left = (uint64_t)(((unsigned __int128)distribution->count * percent + 99) / 100);

	if (!distribution->count || distribution->rough)
		return false;
	left = left ? left : 1;
	for (uint32_t i = 0; i < POINTERS; i++) {
		const bool negative = i < DISTRIBUTION_CHUNKS;
		const uint32_t chunk = negative ? DISTRIBUTION_CHUNKS - 1 - i
						: i - DISTRIBUTION_CHUNKS;
		const uint64_t *slots =
			distribution->chunks[chunk + (negative ? DISTRIBUTION_CHUNKS : 0)];
		__int128 value;
		uint32_t slot;

		if (!slots || !count_down(slots, negative, &left, &slot))
			continue;
		value = negative ? -slot_size(chunk, slot) : slot_size(chunk, slot);
		/* The ends are known exactly. */
		value = value < distribution->minimum ? distribution->minimum : value;
		value = value > distribution->maximum ? distribution->maximum : value;
		*ret_value = value;
		return true;
	}
	return false;
}
