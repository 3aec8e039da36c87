/* SPDX-License-Identifier: MIT */
/*
 * Events by groups: how many there are of each combination of values of some fields, how they
 * spread over time, and sums, extremes and percentiles of number fields. Works on columns where
 * blocks are sealed and on rows where they are open.
 *
 *   aggregate_new()
 *   do {
 *           aggregate_add_store(), aggregate_add(), …    everything that is asked about
 *   } while (aggregate_again());
 *   aggregate_result()
 *   aggregate_free()
 *
 * In the first round every group gets room for what is known of it besides its count. Where there
 * are too many groups for that, a second round is asked for, which knows the groups that matter. So
 * memory is bounded, whatever the events are; and all figures of an answer are of one round, the
 * last one, so they add up.
 *
 * Values are the same where an event's JSON shows them the same way; a stream that lacks a field
 * has null for it. "type" is the name of the stream. Groups come by count, the largest first, equal
 * ones by their keys. KEYS_MAX_GROUPS groups are told apart; events past them count in `other` and
 * in `total` only, and `exact` is false.
 *
 * One thread at a time.
 */
#ifndef STORE_AGGREGATE_H
#define STORE_AGGREGATE_H

#include "base/memory.h"
#include "schema/encode.h"
#include "store/distribution.h"
#include "store/query.h"

struct segment;

#define AGGREGATE_MAX_BY 8u
#define AGGREGATE_MAX_OF 8u
#define AGGREGATE_MAX_TOP 1000u
#define AGGREGATE_MAX_BUCKETS 1000u

struct aggregate_options {
	/* Names of fields, not hidden, that at least one stream has. They must outlive the
	 * aggregate. */
	const char *by[AGGREGATE_MAX_BY];
	uint32_t by_count; /* 0: one group, that of all events */
	const char *of[AGGREGATE_MAX_OF];
	uint32_t of_count;
	uint32_t top; /* groups that are shown */
	/* Bucket i has the events from start + i * width to before start + (i + 1) * width, wall
	 * ns; the first one also those before, the last one also those after. */
	uint32_t buckets; /* 0: no counts over time */
	uint64_t start, width;
	struct encoding encoding; /* for values of keys, and the clock of the store's events */
};

struct aggregate;
/* NULL when out of memory. */
struct aggregate *aggregate_new(const struct aggregate_options *options);
void aggregate_free(struct aggregate *aggregate);
DEFINE_CLEANUP(aggregate, aggregate_free)

/* A number that can be summed: one integer, not shown by name. */
bool aggregate_is_number(const struct field *field);

/* Adds the events of a question's streams that pass its filters and lie in its window (places,
 * order and limit do not matter). Looks at what was published before the first call; a later one,
 * in another round, looks at the same as far as it is still there. (With an archive, each looks at
 * what was published before it.) False: the query's deadline passed before all was looked at (one
 * block in any case). */
bool aggregate_add_store(struct aggregate *aggregate, const struct store *store,
			 const struct query *query);
/*
 * Some rows of a segment, which may be of memory or of any other place: a block (or rows) with its
 * schema, `oldest` and `newest` is enough of one. The schema must outlive the aggregate.
 */
struct aggregate_piece {
	const struct segment *segment;
	uint32_t from, to; /* rows [from, to) */
	const struct filter *filter;
	uint64_t since, until; /* ns since the boot that the events are of, both inclusive */
	int64_t to_real;       /* of that boot: wall ns minus ns since it */
	bool other_boot;       /* not the running one: kernel addresses have no names */
};
void aggregate_add(struct aggregate *aggregate, const struct aggregate_piece *piece);
/* True: everything has to be added once more. */
bool aggregate_again(struct aggregate *aggregate);

struct aggregate_figures {
	uint64_t count;
	const uint64_t *counts;		   /* by bucket; NULL when there are none */
	const struct distribution *values; /* by field of `of`; NULL when there are none */
};

struct aggregate_group {
	uint32_t number;
	struct aggregate_figures figures;
};

struct aggregate_result {
	struct aggregate_group *groups;
	size_t group_count;
	struct aggregate_figures other, total;
	uint64_t other_groups, total_groups;
	/* There were no more groups than could be told apart, and none but the largest are shown;
	 * else the numbers of groups are "at least". Counts and sums are exact in any case. */
	bool exact;
	uint64_t damaged;	       /* as in struct query_result */
	uint64_t rows_scanned, rounds; /* what it took, for tests */
};

/* After the last round. The result belongs to the aggregate. 0 or -ENOMEM. */
int aggregate_result(struct aggregate *aggregate, struct aggregate_result *ret_result);
/* The value of field `by[column]` in the key of a group, as text. */
enum value_form aggregate_key(const struct aggregate *aggregate, uint32_t group, uint32_t column,
			      struct buffer *out);

#endif
