/* SPDX-License-Identifier: MIT */
/* What a metric map held at one moment: entries, one value each, and the sums of its program. One
 * owner. */
#ifndef METRICS_SNAPSHOT_H
#define METRICS_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/metric.h"

struct metric_book {
	uint64_t created, removed, refused; /* entries ever; struct of the program SDK */
};

struct snapshot {
	const struct metric_map *map;
	size_t count, capacity;
	uint8_t *keys;	 /* count * key_size */
	uint8_t *values; /* count * value_size: of a map with one for each CPU their sum */
	/* Sums over all entries that ever were, as one value each: of before and after the entries
	 * were read. NULL: the program keeps none. */
	uint8_t *before, *after;
	struct metric_book book;
};

/* Reads by batches, where the kernel has them for this type of map, else key by key. `total_fd` is
 * -1 without sums. 0, -EINVAL when a map is not as the schema says, -ENOMEM, -errno. What is in the
 * snapshot is to be given back in any case. */
int snapshot_read(struct snapshot *snapshot, const struct metric_map *map, int fd, int total_fd,
		  unsigned int possible_cpus);
/* The entries alone, key by key, into a snapshot that has its map. */
int snapshot_read_keys(struct snapshot *snapshot, int fd, unsigned int possible_cpus);
/* Adds one entry out of `cpus` values (1 where the map has one value). 0 or -ENOMEM. */
int snapshot_add(struct snapshot *snapshot, const uint8_t *key, const uint8_t *values,
		 unsigned int cpus);
void snapshot_fini(struct snapshot *snapshot);
#define SNAPSHOT __attribute__((cleanup(snapshot_fini))) struct snapshot

static inline const uint8_t *snapshot_key(const struct snapshot *snapshot, size_t i)
{
	return snapshot->keys + i * snapshot->map->key_size;
}

static inline const uint8_t *snapshot_value(const struct snapshot *snapshot, size_t i)
{
	return snapshot->values + i * snapshot->map->value_size;
}

/* A u64 of a value, wherever that lies. */
static inline uint64_t metric_word(const uint8_t *value, size_t offset)
{
	uint64_t word;

	memcpy(&word, value + offset, sizeof(word));
	return word;
}

#endif
