/* SPDX-License-Identifier: MIT */
/*
 * Decoded heads or blocks by id, bounded by bytes. Which one has to make room is drawn by lot: who
 * goes round more than there is room for, again and again, still finds a part of it. Private to
 * this folder. Any thread.
 */
#ifndef HISTORY_CACHE_H
#define HISTORY_CACHE_H

#include <pthread.h>
#include <stdbool.h>

#include "store/block.h"

#define CACHE_BUCKETS 4096

struct cached {
	struct block *block; /* not changed, not freed while it is used */
	uint64_t id;
	uint32_t users;
	bool kept; /* in the table; else freed with its last user */
	struct cached *next;
};

struct cache {
	pthread_mutex_t lock;
	struct cached **buckets;
	size_t bytes, limit;
	uint64_t lot;
};

int cache_init(struct cache *cache, size_t limit); /* 0 or -ENOMEM */
void cache_fini(struct cache *cache);		   /* nobody uses anything any more */

/* What is kept under this id, or NULL; to be released. */
struct cached *cache_find(struct cache *cache, uint64_t id);
/* Takes a block of free(3)'s kind and gives it back to be used and released, kept or not; NULL when
 * out of memory (the block is freed). */
struct cached *cache_add(struct cache *cache, uint64_t id, struct block *block);
void cache_release(struct cache *cache, struct cached *cached);
/* Keeps nothing of what it had. */
void cache_clear(struct cache *cache);

#endif
