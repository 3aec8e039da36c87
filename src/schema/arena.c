/* SPDX-License-Identifier: MIT */
#include "schema/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#define CHUNK_SIZE 4096

struct chunk {
	struct chunk *next;
	alignas(max_align_t) char data[];
};

struct arena {
	struct chunk *chunks;
	char *at;
	size_t left;
};

struct arena *arena_new(void)
{
	return calloc(1, sizeof(struct arena));
}

void arena_free(struct arena *arena)
{
	struct chunk *chunk, *next;

	if (!arena)
		return;
	for (chunk = arena->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(arena);
}

void *arena_allocate(struct arena *arena, size_t count, size_t size)
{
	size_t bytes, room = CHUNK_SIZE - sizeof(struct chunk);
	struct chunk *chunk;
	void *taken;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
		return NULL;
	if (!bytes)
		bytes = 1;
	bytes = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (bytes > arena->left) {
		if (bytes > room)
			room = bytes;
		chunk = calloc(1, sizeof(*chunk) + room);
		if (!chunk)
			return NULL;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
		/* Go on with whichever chunk has more left: a large piece has one of its own. */
		if (room - bytes < arena->left)
			return chunk->data;
		arena->at = chunk->data;
		arena->left = room;
	}
	taken = arena->at;
	arena->at += bytes;
	arena->left -= bytes;
	return taken;
}

char *arena_copy(struct arena *arena, const char *text, size_t length)
{
	char *copy = arena_allocate(arena, length + 1, 1);

	if (copy)
		memcpy(copy, text, length);
	return copy;
}
