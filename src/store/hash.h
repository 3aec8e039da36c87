/* SPDX-License-Identifier: MIT */
/* The hash of dictionaries and groups. With a seed of its own for each table, so that nobody
 * chooses values that collide. */
#ifndef STORE_HASH_H
#define STORE_HASH_H

#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

static inline uint64_t hash_seed(void)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = clock_boot_ns();
	return seed;
}

/* Every bit of both words reaches every bit of the result: high bits come down before they are
 * multiplied up. */
static inline uint64_t hash_words(uint64_t a, uint64_t b)
{
	uint64_t hash = a * 0x9e3779b97f4a7c15ULL ^ b;

	hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93ULL;
	hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93ULL;
	return hash ^ hash >> 32;
}

static inline uint64_t hash_bytes(uint64_t seed, const uint8_t *value, uint32_t length)
{
	uint64_t hash = seed, word;

	for (; length >= sizeof(word); length -= (uint32_t)sizeof(word), value += sizeof(word)) {
		memcpy(&word, value, sizeof(word));
		hash = hash_words(hash, word);
	}
	word = 0;
	memcpy(&word, value, length);
	return hash_words(hash, word ^ (uint64_t)length << 56);
}

#endif
