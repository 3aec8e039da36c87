/* SPDX-License-Identifier: MIT */
/*
 * From what a map holds to the series that are shown: the largest ones, and one more, `other`, for
 * everything else, so that a family's series always add up to all that was counted. Not
 * thread-safe.
 */
#ifndef METRICS_SERIES_H
#define METRICS_SERIES_H

#include "metrics/exposition.h"
#include "metrics/snapshot.h"

struct symbols;

/* What must be known of a map from one scrape to the next. */
struct series_state {
	const struct metric_map *map;
	/* Entries that had ended and were shown: their keys, each with the u64 that says when they
	 * ended, sorted. */
	uint8_t *seen;
	size_t seen_count;
	uint8_t *other;	     /* the counts of `other` as they were last, in a value */
	bool other_is_shown; /* once it was, it stays */
};

/* 0 or -ENOMEM. */
int series_state_init(struct series_state *state, const struct metric_map *map);
void series_state_fini(struct series_state *state);

struct series_row {
	struct buffer labels; /* as they are written */
	uint64_t *counts;     /* `slots` of the family, then the sum */
};

struct series {
	struct series_row *rows; /* by labels; no two have the same */
	size_t count;
	uint64_t *counts; /* of all rows */
};

/* The series of one family: at most `limit`, and `other`. 0 or -ENOMEM; to be given back in any
 * case. */
int series_make(struct series *series, struct series_state *state, const struct snapshot *snapshot,
		const struct metric_family *family, size_t limit, struct symbols *symbols);
void series_fini(struct series *series);
#define SERIES __attribute__((cleanup(series_fini))) struct series
/* Begins the family and writes them. */
void series_write(const struct series *series, const struct metric_family *family,
		  struct exposition *exposition);

/* A scrape has shown this snapshot: what has ended in it is shown no more. 0 or -ENOMEM. */
int series_seen(struct series_state *state, const struct snapshot *snapshot);

#endif
