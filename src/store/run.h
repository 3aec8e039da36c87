/* SPDX-License-Identifier: MIT */
/*
 * A question while it is answered. Private to this folder: query.c makes the plan and the result,
 * look.c looks at blocks and keeps the best events so far.
 */
#ifndef STORE_RUN_H
#define STORE_RUN_H

#include "store/plan.h"
#include "store/query.h"

/* One stream of the question in one boot. */
struct part {
	const struct query_stream *asked;
	const struct stream_schema *schema;
	const struct event_boot *clock; /* NULL: the running boot */
	size_t boot;			/* in the archive's list */
	uint32_t rank;			/* of the boot in the order asked; 0 comes first */
	uint64_t since, until;		/* the window on this boot's clock */
	uint64_t low, high;		/* times that candidates may have */
	const struct query_place *after, *before; /* NULL: no limit within this boot */
	struct plan plan;
	size_t next;
};

struct candidate {
	uint64_t time, place; /* as compared */
	uint64_t index;
	uint8_t *record;
	const struct part *part;
	uint32_t length;
};

struct run {
	const struct store *store;
	const struct query *query;
	const struct archive_ops *archive;
	struct archive_session *session; /* NULL: memory only */
	uint64_t flip;			 /* all ones for newest first */
	bool want_total;
	struct part *parts;
	size_t part_count;
	struct candidate *heap; /* the worst is on top */
	size_t keep, held;
	/* Where the search began, and of a partial answer where it ended: a time, as compared, in
	 * a boot of this rank. From the end on not all is known. */
	uint64_t first, bound;
	uint32_t first_rank;
	const struct part *bound_part;
	uint8_t *memory;
	size_t stride;
	struct query_result *result;
};

/* No event of this part, of this time or a later one in the order asked, is wanted any more. */
bool run_is_over(const struct run *run, const struct part *part, uint64_t best);
/* Looks at one item of a part's plan. */
void run_look_at(struct run *run, const struct part *part, const struct plan_item *item);
/* The heap becomes a list, the best first. */
void run_sort(struct run *run);

#endif
