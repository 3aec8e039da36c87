/* SPDX-License-Identifier: MIT */
/* What the parts of the aggregate share: aggregate_new.c makes it, aggregate.c adds events up,
 * aggregate_store.c those of the store, aggregate_result.c makes an answer of them. Private to this
 * folder. */
#ifndef STORE_AGGREGATE_PRIVATE_H
#define STORE_AGGREGATE_PRIVATE_H

#include "store/aggregate.h"
#include "store/codes.h"

/* For everything that is known of groups besides their counts. */
#define DETAIL_BYTES ((size_t)32 << 20)

/* Allocated with its arrays behind it. */
struct detail {
	uint64_t *counts; /* by bucket */
	struct distribution values[];
};

struct group {
	uint64_t count;
	struct detail *detail; /* NULL: in `rest`, with others */
};

/* A key's field is three values: an endpoint's address and port, and its path or else the value
 * that the field has. Where there is an address there is no path; without one there is no port. */
enum key_part { PART_IP, PART_PORT, PART_VALUE, KEY_PARTS };

/* How one schema's events are read. */
struct reading {
	const struct stream_schema *schema;
	bool other_boot;
	struct encoding encoding;
	struct key_source parts[AGGREGATE_MAX_BY * KEY_PARTS];
	struct key_source of[AGGREGATE_MAX_OF]; /* SOURCE_NOTHING: no such number here */
};

/* A group that was looked up before. What is packed are the values of up to three parts that vary;
 * the others are told by `setting`. */
#define PACKED_PARTS 3u
#define PACKED_BITS 21u
#define RECENT_GROUPS 16384u
struct recent_group {
	uint64_t packed;
	uint32_t setting; /* 0: free */
	uint32_t group;
};

struct aggregate {
	struct aggregate_options options;
	struct reading **readings;
	size_t reading_count;
	struct keys keys;
	struct group *groups; /* by their number in `keys` */
	uint32_t group_count, group_room;
	struct group unknown; /* all that could not be told apart */
	struct detail *rest;  /* of all groups that have no detail */
	size_t budget;	      /* bytes left for details */
	bool starved;	      /* a detail, or slots of one, found no room */
	bool failed;	      /* memory ran out */
	uint64_t damaged;     /* blocks of the archive that are missing in this round */
	uint64_t rounds, rows_scanned;
	struct span *spans; /* of the store, by stream of the question */

	/* For the result. */
	struct aggregate_group *shown;
	struct detail *other, *total;

	/* Of the segment at hand. */
	struct selection selection;
	struct codes_scratch scratch;
	struct codes codes[AGGREGATE_MAX_BY * KEY_PARTS];
	uint32_t varying[AGGREGATE_MAX_BY * KEY_PARTS]; /* parts with more than one code */
	uint32_t varying_count;
	uint32_t parts[AGGREGATE_MAX_BY * KEY_PARTS]; /* values of the others; KEYS_NONE */
	uint32_t last_parts[AGGREGATE_MAX_BY * KEY_PARTS];
	uint32_t setting; /* counts changes of `parts` */
	struct recent_group *recent;
	struct folded group_codes, bucket_codes;
	uint16_t *buckets; /* one a selected row, from the segment's first one on */
	uint32_t *counts;  /* these four by code */
	uint32_t *group_of;
	struct tally *tallies;
	struct distribution **targets;
};

/* One detail, out of the budget; NULL when there is no room. */
struct detail *detail_new(const struct aggregate *aggregate, size_t *budget);
void detail_free(const struct aggregate *aggregate, struct detail *detail, size_t *budget);

static inline struct detail *detail_of(const struct aggregate *aggregate, const struct group *group)
{
	return group->detail ? group->detail : aggregate->rest;
}

/* How a schema is read, of events of the running boot or of another one; NULL when out of
 * memory. */
const struct reading *reading_of(struct aggregate *aggregate, const struct stream_schema *schema,
				 bool other_boot);

static inline bool has_details(const struct aggregate *aggregate)
{
	return aggregate->options.buckets || aggregate->options.of_count;
}

#endif
