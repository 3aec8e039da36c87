/* SPDX-License-Identifier: MIT */
#include "live/frames.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"

/* Spare chunks: for a moment of much traffic, and for the quiet after it. */
#define SPARE_MOST 128u
#define SPARE_LEAST 8u
#define CHUNKS_AT_FIRST 8u

_Static_assert(sizeof(struct chunk) < 1024, "a chunk is nearly all data");

/* ---- memory ---- */

/* Mapped, not malloc'd: what a slow client held for a while is given back to the last page. */
static struct chunk *chunk_new(struct pool *pool, size_t bytes)
{
	struct chunk *chunk = pool->spare;

	if (pool->used + bytes > pool->limit)
		return NULL;
	if (bytes == CHUNK_BYTES && chunk) {
		pool->spare = chunk->next;
		pool->spare_count--;
	} else {
		chunk = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
		if (chunk == MAP_FAILED)
			return NULL;
	}
	pool->used += bytes;
	chunk->bytes = bytes;
	chunk->frames = chunk->length = 0;
	chunk->capacity = (uint32_t)(bytes - sizeof(*chunk));
	return chunk;
}

static void chunk_free(struct pool *pool, struct chunk *chunk)
{
	pool->used -= chunk->bytes;
	if (chunk->bytes != CHUNK_BYTES || pool->spare_count == SPARE_MOST) {
		munmap(chunk, chunk->bytes);
		return;
	}
	chunk->next = pool->spare;
	pool->spare = chunk;
	pool->spare_count++;
}

static void spare_to(struct pool *pool, size_t count)
{
	while (pool->spare_count > count) {
		struct chunk *chunk = pool->spare;

		pool->spare = chunk->next;
		pool->spare_count--;
		munmap(chunk, chunk->bytes);
	}
}

void pool_shrink(struct pool *pool)
{
	spare_to(pool, SPARE_LEAST);
}

void pool_fini(struct pool *pool)
{
	spare_to(pool, 0);
}

/* ---- the ring of chunks ---- */

static struct chunk *chunk_at(const struct frames *frames, size_t i)
{
	return frames->chunks[(frames->head + i) & (frames->capacity - 1)];
}

static bool grow(struct frames *frames)
{
	size_t capacity = frames->capacity ? 2 * frames->capacity : CHUNKS_AT_FIRST;
	struct chunk **chunks = calloc(capacity, sizeof(struct chunk *));

	if (!chunks)
		return false;
	for (size_t i = 0; i < frames->count; i++)
		chunks[i] = chunk_at(frames, i);
	free(frames->chunks);
	frames->chunks = chunks;
	frames->capacity = capacity;
	frames->head = 0;
	return true;
}

static struct chunk *add_chunk(struct frames *frames, struct pool *pool, size_t length)
{
	size_t bytes = sizeof(struct chunk) + length;
	struct chunk *chunk;

	if (frames->count == frames->capacity && !grow(frames))
		return NULL;
	chunk = chunk_new(pool, bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES);
	if (!chunk)
		return NULL;
	chunk->first = frames->next;
	frames->chunks[(frames->head + frames->count++) & (frames->capacity - 1)] = chunk;
	frames->bytes += chunk->bytes;
	return chunk;
}

int frames_put(struct frames *frames, struct pool *pool, const struct place *place,
	       const char *data, size_t length)
{
	struct chunk *chunk = frames->count ? chunk_at(frames, frames->count - 1) : NULL;

	if (!chunk || chunk->frames == CHUNK_FRAMES || chunk->capacity - chunk->length < length)
		chunk = add_chunk(frames, pool, length);
	if (!chunk)
		return -ENOMEM;
	memcpy(chunk->data + chunk->length, data, length);
	chunk->length += (uint32_t)length;
	chunk->ends[chunk->frames++] = chunk->length;
	chunk->last = *place;
	frames->next++;
	return 0;
}

void frames_drop(struct frames *frames, struct pool *pool)
{
	struct chunk *chunk;

	if (!frames->count)
		return;
	chunk = chunk_at(frames, 0);
	frames->dropped = chunk->last;
	frames->bytes -= chunk->bytes;
	frames->head = (frames->head + 1) & (frames->capacity - 1);
	frames->count--;
	chunk_free(pool, chunk);
}

void frames_lose(struct frames *frames, struct pool *pool, const struct place *place)
{
	while (frames->count)
		frames_drop(frames, pool);
	frames->next++;
	frames->dropped = *place;
}

void frames_trim(struct frames *frames, struct pool *pool, uint64_t number)
{
	while (frames->count) {
		const struct chunk *chunk = chunk_at(frames, 0);

		if (chunk->first + chunk->frames > number)
			return;
		frames_drop(frames, pool);
	}
}

void frames_fini(struct frames *frames, struct pool *pool)
{
	while (frames->count)
		frames_drop(frames, pool);
	free(frames->chunks);
	*frames = (struct frames){ .chunks = NULL };
}

/* ---- reading ---- */

uint64_t frames_first(const struct frames *frames)
{
	return frames->count ? chunk_at(frames, 0)->first : frames->next;
}

/* Which chunk holds a frame that is held. */
static size_t find_chunk(const struct frames *frames, uint64_t number)
{
	size_t low = 0, high = frames->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (chunk_at(frames, middle)->first <= number)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* How many frames of a chunk, up from `from`, end within `size` bytes. */
static uint32_t fitting(const struct chunk *chunk, uint32_t from, uint32_t begin, size_t size)
{
	uint32_t low = from, high = chunk->frames;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (chunk->ends[middle] - begin <= size)
			low = middle + 1;
		else
			high = middle;
	}
	return low - from;
}

size_t frames_copy(const struct frames *frames, uint64_t *number, char *data, size_t size)
{
	size_t copied = 0;

	if (*number == frames->next)
		return 0;
	for (size_t i = find_chunk(frames, *number); i < frames->count; i++) {
		const struct chunk *chunk = chunk_at(frames, i);
		const uint32_t from = (uint32_t)(*number - chunk->first);
		const uint32_t begin = from ? chunk->ends[from - 1] : 0;
		const uint32_t count = fitting(chunk, from, begin, size - copied);
		size_t length;

		if (!count)
			break;
		length = chunk->ends[from + count - 1] - begin;
		memcpy(data + copied, chunk->data + begin, length);
		copied += length;
		*number += count;
		if (from + count < chunk->frames)
			break;
	}
	return copied;
}

const char *frames_at(const struct frames *frames, uint64_t number, size_t *ret_length)
{
	const struct chunk *chunk = chunk_at(frames, find_chunk(frames, number));
	const uint32_t i = (uint32_t)(number - chunk->first);
	const uint32_t begin = i ? chunk->ends[i - 1] : 0;

	*ret_length = chunk->ends[i] - begin;
	return chunk->data + begin;
}
