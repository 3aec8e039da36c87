/* SPDX-License-Identifier: MIT */
#include "history/cache.h"

#include <errno.h>
#include <stdlib.h>

int cache_init(struct cache *cache, size_t limit)
{
	/* The lot need not be secret, only not in step with anybody's rounds. */
	*cache = (struct cache){ .limit = limit, .lot = 88172645463325252ULL };
	cache->buckets = calloc(CACHE_BUCKETS, sizeof(struct cached *));
	if (!cache->buckets)
		return -ENOMEM;
	pthread_mutex_init(&cache->lock, NULL);
	return 0;
}

static size_t bytes_of(const struct cached *cached)
{
	return sizeof(*cached) + cached->block->bytes;
}

static void discard(struct cached *cached)
{
	free(cached->block);
	free(cached);
}

/* Takes it out of the table; who uses it still may. */
static void forget(struct cache *cache, struct cached **place)
{
	struct cached *cached = *place;

	*place = cached->next;
	cache->bytes -= bytes_of(cached);
	cached->kept = false;
	if (!cached->users)
		discard(cached);
}

void cache_clear(struct cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	for (size_t i = 0; i < CACHE_BUCKETS; i++) {
		while (cache->buckets[i])
			forget(cache, &cache->buckets[i]);
	}
	pthread_mutex_unlock(&cache->lock);
}

void cache_fini(struct cache *cache)
{
	if (!cache->buckets)
		return;
	cache_clear(cache);
	free(cache->buckets);
	pthread_mutex_destroy(&cache->lock);
	cache->buckets = NULL;
}

/* Ids are given out one after another. */
static struct cached **bucket_of(struct cache *cache, uint64_t id)
{
	return &cache->buckets[id % CACHE_BUCKETS];
}

struct cached *cache_find(struct cache *cache, uint64_t id)
{
	struct cached *cached;

	pthread_mutex_lock(&cache->lock);
	for (cached = *bucket_of(cache, id); cached && cached->id != id;)
		cached = cached->next;
	if (cached)
		cached->users++;
	pthread_mutex_unlock(&cache->lock);
	return cached;
}

static uint64_t draw(struct cache *cache)
{
	cache->lot ^= cache->lot << 13;
	cache->lot ^= cache->lot >> 7;
	cache->lot ^= cache->lot << 17;
	return cache->lot;
}

/* Takes the first that nobody uses from some bucket on. */
static bool make_way(struct cache *cache)
{
	const uint64_t from = draw(cache);

	for (size_t i = 0; i < CACHE_BUCKETS; i++) {
		for (struct cached **place = bucket_of(cache, from + i); *place;
		     place = &(*place)->next) {
			if (!(*place)->users) {
				forget(cache, place);
				return true;
			}
		}
	}
	return false;
}

/* Only half of those that come get a place in a full cache: the others had made way for nothing. */
static bool find_room(struct cache *cache, size_t bytes)
{
	if (bytes > cache->limit)
		return false;
	if (cache->bytes + bytes > cache->limit && draw(cache) % 2)
		return false;
	while (cache->bytes + bytes > cache->limit) {
		if (!make_way(cache))
			return false;
	}
	return true;
}

struct cached *cache_add(struct cache *cache, uint64_t id, struct block *block)
{
	struct cached *cached = calloc(1, sizeof(*cached));
	struct cached *other;

	if (!cached) {
		free(block);
		return NULL;
	}
	*cached = (struct cached){ .block = block, .id = id, .users = 1 };
	pthread_mutex_lock(&cache->lock);
	for (other = *bucket_of(cache, id); other && other->id != id;)
		other = other->next;
	if (!other && find_room(cache, bytes_of(cached))) {
		cached->kept = true;
		cached->next = *bucket_of(cache, id);
		*bucket_of(cache, id) = cached;
		cache->bytes += bytes_of(cached);
	}
	pthread_mutex_unlock(&cache->lock);
	return cached;
}

void cache_release(struct cache *cache, struct cached *cached)
{
	bool last;

	pthread_mutex_lock(&cache->lock);
	last = --cached->users == 0 && !cached->kept;
	pthread_mutex_unlock(&cache->lock);
	if (last)
		discard(cached);
}
