/* SPDX-License-Identifier: MIT */
/* Memory that is taken piece by piece and given back at once. Not thread-safe; one owner. */
#ifndef SCHEMA_ARENA_H
#define SCHEMA_ARENA_H

#include <stddef.h>

#include "base/memory.h"

struct arena;
struct arena *arena_new(void); /* NULL when out of memory */
void arena_free(struct arena *arena);
DEFINE_CLEANUP(arena, arena_free)

/* Zeroed and aligned for any type; NULL when out of memory. The size 0 gives a valid pointer
 * too. */
void *arena_allocate(struct arena *arena, size_t count, size_t size);
/* A copy of `length` bytes, with a NUL after it. */
char *arena_copy(struct arena *arena, const char *text, size_t length);

#endif
