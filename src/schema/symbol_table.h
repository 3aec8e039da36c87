/* SPDX-License-Identifier: MIT */
/*
 * A table of symbols by address, made from the text of /proc/kallsyms, and the pool of names that
 * tables share. Internal to this folder; locking is the caller's.
 */
#ifndef SCHEMA_SYMBOL_TABLE_H
#define SCHEMA_SYMBOL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

/* Every name once, for good: a name that was given out stays where it is. Names are numbered by
 * their place; 0 is none. */
#define NAME_CHUNK_SIZE (1u << 18)
#define NAME_CHUNKS 64
struct name_pool {
	char *chunks[NAME_CHUNKS];
	uint32_t used[NAME_CHUNKS]; /* bytes */
};

const char *name_pool_get(const struct name_pool *pool, uint32_t name);
void name_pool_fini(struct name_pool *pool);

/* Sorted by address. An entry without a name ends the text before it. */
struct symbol_table {
	size_t count;
	uint32_t *names; /* behind the addresses, in the same piece of memory */
	uint64_t addresses[];
};

/*
 * Reads kallsyms from the beginning. Returns 0 and a table (free() it), which is empty when
 * addresses are hidden; -ENOMEM, -EIO or what read(2) says.
 */
int symbol_table_read(int kallsyms_fd, struct name_pool *pool, struct symbol_table **ret_table);

/* The entry that holds an address, or -1. */
ssize_t symbol_table_find(const struct symbol_table *table, uint64_t address);
/* The last address that belongs to an entry. */
uint64_t symbol_table_end(const struct symbol_table *table, size_t entry);

#endif
