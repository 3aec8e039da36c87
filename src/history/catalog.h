/* SPDX-License-Identifier: MIT */
/*
 * What the history holds, in memory: its boots, streams, and where each block stands, without the
 * blocks. Private to this folder. Not thread-safe: the vault's lock guards the server's.
 */
#ifndef HISTORY_CATALOG_H
#define HISTORY_CATALOG_H

#include "base/clock.h"
#include "history/codec.h"
#include "history/database.h"
#include "schema/arena.h"
#include "store/archive.h"
#include "store/store.h"

#define HISTORY_MAX_BOOTS 4096

struct entry {
	uint64_t id;
	uint64_t first_index;
	uint64_t oldest, newest;
	uint32_t rows;
	uint32_t bytes; /* on disk, about */
	bool partial;	/* rows of a block that was still open */
	bool damaged;	/* overlaps another: what it says is not believed */
};

/* The blocks of one stream of one boot, by first_index. */
struct shelf {
	uint32_t boot; /* index into boots */
	uint16_t stream;
	uint64_t bytes;
	struct entry *memory; /* `entries` begin there, or later: the oldest go first */
	struct entry *entries;
	size_t count, capacity; /* capacity: from `memory` */
};

struct catalog {
	struct archive_boot *boots; /* oldest first */
	struct boot_row {
		uint32_t number; /* in the database */
		char boot_id[CLOCK_BOOT_ID_SIZE];
	} * boot_rows;
	size_t boot_count;
	struct shelf **shelves;
	size_t shelf_count;
	uint64_t bytes, blocks, events;
	uint64_t last_id;
};

/* Reads boots and blocks out of a database. What makes no sense by itself is left out and counted.
 * `boot_id`: that of the running boot (its boot is marked). 0, -EBADMSG when the database is
 * damaged (what was read until then stays), -ENOMEM, -errno. */
int catalog_load(struct catalog *catalog, sqlite3 *database, const char *boot_id,
		 uint64_t *ret_senseless);
/* The same where the database is damaged: whatever can be found. 0 or -ENOMEM. */
int catalog_salvage(struct catalog *catalog, sqlite3 *database, const char *boot_id);
void catalog_fini(struct catalog *catalog);

/* A boot with a larger number than all. Index, or -ENOMEM, -ENOSPC. */
int catalog_add_boot(struct catalog *catalog, const struct boot_row *row,
		     const struct archive_boot *boot);

/* Room for one more block, so that adding it cannot fail. */
int catalog_reserve(struct catalog *catalog, uint32_t boot, uint16_t stream, size_t count);
void catalog_add(struct catalog *catalog, uint32_t boot, uint16_t stream,
		 const struct entry *entry);
/* Removes a block, if it is there. */
void catalog_remove(struct catalog *catalog, uint32_t boot, uint16_t stream, uint64_t id,
		    uint64_t first_index);

/* NULL: none yet. */
struct shelf *catalog_shelf(const struct catalog *catalog, uint32_t boot, uint16_t stream);
/* Where the events of a stream end in this boot: the place after the last one; 0 when there is
 * none. */
uint64_t catalog_end(const struct catalog *catalog, uint32_t boot, uint16_t stream);

/* Blocks that touch [since, until], by place; freed by the caller. 0 or -ENOMEM. */
int catalog_list(const struct catalog *catalog, uint32_t boot, uint16_t stream, uint64_t since,
		 uint64_t until, struct archive_item **ret_items, size_t *ret_count);

#endif
