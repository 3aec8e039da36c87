/* SPDX-License-Identifier: MIT */
/*
 * Where the events of one stream and boot stand: blocks in memory and blocks in the archive, in the
 * order of their places, none twice. Private to this folder.
 */
#ifndef STORE_PLAN_H
#define STORE_PLAN_H

#include "store/archive.h"
#include "store/segment.h"

struct plan_item {
	bool archived;
	struct archive_item place; /* in memory: `id` is the block's number */
	uint64_t best; /* query.c: time of the best event that this or a later item may hold */
};

struct plan {
	struct plan_item *items;
	size_t count;
	uint64_t skipped; /* outside the window */
};

/* What is looked at. */
struct plan_question {
	const struct store *store;	 /* NULL: nothing is in memory */
	struct archive_session *session; /* NULL: nothing is archived */
	const struct archive_ops *archive;
	size_t boot;  /* in the session's list */
	bool running; /* it is the running boot, or there is no archive */
	uint16_t stream;
	uint64_t since, until; /* ns since that boot */
};

/* 0, or -ENOMEM. The items are freed by the caller. */
int plan_make(const struct plan_question *question, struct plan *ret_plan);

/* The archived blocks that hold what block `place` of the running boot held in memory, by place;
 * the session is settled after it. 0 or -ENOMEM. */
int plan_find_archived(const struct archive_ops *archive, struct archive_session *session,
		       uint16_t stream, const struct archive_item *place,
		       struct archive_item **ret_items, size_t *ret_count);
/* How many of an item's rows stand before a place. */
static inline uint32_t plan_rows_before(const struct archive_item *item, uint64_t end)
{
	return item->rows < end - item->first_index ? item->rows
						    : (uint32_t)(end - item->first_index);
}

/* Addresses of kernel code are those of one boot: a question about them, most often by a name that
 * this kernel has at some address, says nothing of another. */
bool plan_asks_for_addresses(const struct stream_schema *schema, const struct filter *filter);

/* A block of the archive as a segment; nothing is pinned. */
struct segment plan_segment(const struct block *block, const struct stream_schema *schema);

#endif
