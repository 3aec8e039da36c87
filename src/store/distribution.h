/* SPDX-License-Identifier: MIT */
/*
 * What is known of a set of numbers without keeping them: how many, sum, smallest, largest, and
 * percentiles. Sums are exact: 128 bits hold those of 2^64 numbers. For percentiles the numbers are
 * counted in slots: those below 128 (by their size without the sign) each in a slot of its own,
 * larger ones in 64 slots for each power of two, so that the middle of a slot is off by less than
 * 0.8 % of the number.
 *
 * Slots are allocated by powers of two as they are needed, out of a budget of bytes that many
 * distributions share. Where it has no room, the percentiles of that one are not known any more;
 * everything else is. One thread.
 */
#ifndef STORE_DISTRIBUTION_H
#define STORE_DISTRIBUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Chunk 0: sizes 0 to 63; chunk c: 2^(c + 5) to 2^(c + 6) - 1. */
#define DISTRIBUTION_CHUNKS 59u
#define DISTRIBUTION_SLOTS 64u

struct distribution {
	uint64_t count;
	__int128 sum, minimum, maximum; /* the last two with count > 0 */
	bool rough;			/* not every number is in a slot */
	/* DISTRIBUTION_CHUNKS pointers to DISTRIBUTION_SLOTS counts; those of numbers below zero
	 * follow. NULL until the first number. */
	uint64_t **chunks;
};

/* What a run of numbers of one kind adds, in their ordered form (schema.h). */
struct tally {
	uint64_t count, minimum, maximum;
	unsigned __int128 sum;
};

#define TALLY_INIT                                                                                 \
	{                                                                                          \
		.minimum = UINT64_MAX                                                              \
	}

void distribution_fini(struct distribution *distribution, size_t *budget);

/* Where a number of this size counts; NULL when there is no room (and the distribution is rough).
 */
uint64_t *distribution_chunk(struct distribution *distribution, bool negative, uint32_t chunk,
			     size_t *budget);

/* Puts one number, in its ordered form, into its slot. distribution_add() tells the rest. */
static inline void distribution_place(struct distribution *distribution, uint64_t ordered,
				      bool is_signed, size_t *budget)
{
	const bool negative = is_signed && !(ordered >> 63);
	const uint64_t value = is_signed ? ordered ^ 1ULL << 63 : ordered;
	const uint64_t size = negative ? 0 - value : value;
	const uint32_t shift = size < DISTRIBUTION_SLOTS ? 0 : 57 - (uint32_t)__builtin_clzll(size);
	const uint32_t chunk = size < DISTRIBUTION_SLOTS ? 0 : shift + 1;
	uint64_t *slots;

	slots = distribution->chunks
			? distribution->chunks[chunk + (negative ? DISTRIBUTION_CHUNKS : 0)]
			: NULL;
	if (__builtin_expect(!slots, 0)) {
		slots = distribution_chunk(distribution, negative, chunk, budget);
		if (!slots)
			return;
	}
	slots[size >> shift & (DISTRIBUTION_SLOTS - 1)]++;
}

/* What was placed, as a sum. */
void distribution_add(struct distribution *distribution, const struct tally *tally, bool is_signed);
void distribution_merge(struct distribution *distribution, const struct distribution *other,
			size_t *budget);

/* The smallest number that is not below `percent` of them, to within 1 %; false when there are
 * none, or it is not known. */
bool distribution_percentile(const struct distribution *distribution, unsigned int percent,
			     __int128 *ret_value);

#endif
