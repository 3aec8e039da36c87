/* SPDX-License-Identifier: MIT */
/* What the files of this folder share. */
#ifndef METRICS_INTERNAL_H
#define METRICS_INTERNAL_H

#include <pthread.h>

#include "metrics/metrics.h"
#include "metrics/series.h"

/* A map that was met. */
struct known_map {
	uint32_t program;
	const struct metric_map *map;
	uint64_t generation; /* of the descriptor that was read last */
	struct series_state state;
	bool loaded; /* at this scrape */
	uint64_t entries;
	uint64_t evicted, failures;
};

struct metrics {
	struct metrics_options options;
	pthread_mutex_t lock; /* of everything below */
	struct known_map *maps;
	size_t map_count;
};

/* The server's own families; under the lock, after the programs' maps were read. */
void own_write(struct metrics *metrics, struct exposition *exposition);

#endif
