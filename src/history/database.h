/* SPDX-License-Identifier: MIT */
/*
 * The file, history.db: an SQLite database in WAL mode with one row a block. Private to this
 * folder. What SQLite says of an error is turned into -errno by database_error().
 *
 *   boot    number (rising), boot_id, epoch (as in event ids), to_real (wall ns minus boot ns)
 *   stream  number (as in event ids), name, its schema (schema/serialise.h) with a checksum
 *   block   id, where it stands, its parts (history/codec.h) with a checksum each
 *   gap     events of a stream that are missing: from when to when (wall ns), how many (0:
 *           unknown), why
 *   state   name, value: "clean" is 1 after an orderly end; "retired N" is the wall time of stream
 *           N's newest event that made room
 *
 * Unsigned numbers stand as SQLite's signed ones of the same bits.
 */
#ifndef HISTORY_DATABASE_H
#define HISTORY_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

#define HISTORY_FILE "history.db"
#define HISTORY_LOCK "history.lock"

DEFINE_CLEANUP(sqlite3, sqlite3_close)
typedef struct sqlite3_stmt sqlite3_stmt;
DEFINE_CLEANUP(sqlite3_stmt, sqlite3_finalize)

/* -EBADMSG for a file that is damaged or none of ours, -ENOSPC, -EIO, … 0 for SQLITE_OK, ROW and
 * DONE. */
int database_error(int code);

enum database_use {
	DATABASE_WRITE, /* made when missing */
	DATABASE_READ,
	DATABASE_SALVAGE, /* reads what it can of a file that is cut */
};
/* Opens and checks that it is of our kind. 0; -ENOENT; -EBADMSG: set it aside; -errno. */
int database_open(const char *path, enum database_use use, sqlite3 **ret_database);

/* Prepares a statement that stays. 0 or -errno. */
int database_prepare(sqlite3 *database, const char *sql, sqlite3_stmt **ret_statement);
/* Runs one without results. */
int database_run(sqlite3 *database, const char *sql);
/* Steps a statement that gives no rows, and makes it ready for the next time. */
int database_step(sqlite3_stmt *statement);
/* One number, such as a pragma gives. 0 or -errno. */
int database_number(sqlite3 *database, const char *sql, int64_t *ret_number);

static inline void database_bind(sqlite3_stmt *statement, int at, uint64_t value)
{
	sqlite3_bind_int64(statement, at, (sqlite3_int64)value);
}

static inline uint64_t database_column(sqlite3_stmt *statement, int at)
{
	return (uint64_t)sqlite3_column_int64(statement, at);
}

/* Renames the file and its log to PATH.corrupt-SECONDS; of earlier ones a few are kept. `name`
 * (of NAME_MAX + 1 bytes) is what it is called then. 0 or -errno. */
int database_set_aside(const char *directory, char *ret_name, size_t name_size);

#endif
