/* SPDX-License-Identifier: MIT */
#include "history/database.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"

#define APPLICATION_ID 0x65425046 /* "eBPF" */
#define FORMAT_VERSION 1
#define BUSY_MS 200
#define CORRUPT_KEPT 2
#define TO_STRING(number) #number
#define TEXT_OF(number) TO_STRING(number)

/* Statements as sqlite_schema has them: what stands there must be these, and nothing else. */
static const char *const tables[] = {
	"CREATE TABLE block(id INTEGER PRIMARY KEY,boot INTEGER NOT NULL,stream INTEGER NOT NULL,"
	"first_index INTEGER NOT NULL,rows INTEGER NOT NULL,oldest INTEGER NOT NULL,"
	"newest INTEGER NOT NULL,disorder INTEGER NOT NULL,partial INTEGER NOT NULL,"
	"bytes INTEGER NOT NULL,head_sum INTEGER NOT NULL,body_sum INTEGER NOT NULL,"
	"head BLOB NOT NULL,body BLOB NOT NULL)",
	"CREATE TABLE boot(number INTEGER PRIMARY KEY,boot_id TEXT NOT NULL,"
	"epoch INTEGER NOT NULL,to_real INTEGER NOT NULL)",
	"CREATE TABLE gap(id INTEGER PRIMARY KEY,stream INTEGER NOT NULL,"
	"since INTEGER NOT NULL,until INTEGER NOT NULL,events INTEGER NOT NULL,"
	"reason TEXT NOT NULL)",
	"CREATE TABLE state(name TEXT PRIMARY KEY,value INTEGER NOT NULL)WITHOUT ROWID",
	"CREATE TABLE stream(number INTEGER PRIMARY KEY,name TEXT NOT NULL,schema BLOB NOT NULL,"
	"checksum INTEGER NOT NULL)",
};

int database_error(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
	case SQLITE_SCHEMA:
	case SQLITE_ERROR: /* a table or column that is not there */
	case SQLITE_MISMATCH:
	case SQLITE_CONSTRAINT:
	case SQLITE_TOOBIG:
		return -EBADMSG;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_READONLY:
		return -EROFS;
	default:
		return -EIO;
	}
}

int database_prepare(sqlite3 *database, const char *sql, sqlite3_stmt **ret_statement)
{
	return database_error(sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT,
						 ret_statement, NULL));
}

int database_run(sqlite3 *database, const char *sql)
{
	return database_error(sqlite3_exec(database, sql, NULL, NULL, NULL));
}

int database_step(sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);

	sqlite3_reset(statement);
	return database_error(code);
}

int database_number(sqlite3 *database, const char *sql, int64_t *ret_number)
{
	CLEANUP(sqlite3_stmt) sqlite3_stmt *statement = NULL;
	int r = database_prepare(database, sql, &statement);

	if (r < 0)
		return r;
	r = sqlite3_step(statement);
	if (r != SQLITE_ROW)
		return r == SQLITE_DONE ? -EBADMSG : database_error(r);
	*ret_number = sqlite3_column_int64(statement, 0);
	return 0;
}

/* ---- what a file is ---- */

/* Looked at by another connection before anything of it is believed. */
static int check_tables(sqlite3 *database)
{
	CLEANUP(sqlite3_stmt) sqlite3_stmt *statement = NULL;
	size_t count = 0;
	int code, r;

	/* Indexes that SQLite makes by itself have no text. */
	r = database_prepare(database,
			     "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name",
			     &statement);
	if (r < 0)
		return r;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *sql = (const char *)sqlite3_column_text(statement, 0);

		if (count == ARRAY_SIZE(tables) || !sql || strcmp(sql, tables[count++]) != 0)
			return -EBADMSG;
	}
	if (code == SQLITE_DONE && count != ARRAY_SIZE(tables))
		return -EBADMSG;
	return database_error(code);
}

static int check_kind(sqlite3 *database)
{
	int64_t application = 0, version = 0;
	int r = database_number(database, "PRAGMA application_id", &application);

	if (r == 0)
		r = database_number(database, "PRAGMA user_version", &version);
	if (r < 0)
		return r;
	if (application != APPLICATION_ID || version != FORMAT_VERSION)
		return -EBADMSG;
	return check_tables(database);
}

static int create(sqlite3 *database)
{
	int r = database_run(
		database, "BEGIN IMMEDIATE;"
			  "PRAGMA application_id=" TEXT_OF(
				  APPLICATION_ID) ";"
						  "PRAGMA user_version=" TEXT_OF(FORMAT_VERSION));

	for (size_t i = 0; i < ARRAY_SIZE(tables) && r == 0; i++)
		r = database_run(database, tables[i]);
	if (r == 0)
		r = database_run(database, "COMMIT");
	/* So that the file itself says what it is, log or no log. */
	return r < 0 ? r : database_run(database, "PRAGMA wal_checkpoint(TRUNCATE)");
}

/* A file of nobody, also one that was begun and not finished. */
static int create_when_new(sqlite3 *database)
{
	int64_t entries = 0, application = 0;
	int r = database_number(database, "SELECT count(*) FROM sqlite_schema", &entries);

	if (r == 0)
		r = database_number(database, "PRAGMA application_id", &application);
	if (r < 0 || entries || application)
		return r;
	return create(database);
}

/* Nothing was ever written to it. */
static bool is_empty(const char *path)
{
	struct stat status;

	return stat(path, &status) < 0 ? errno == ENOENT : status.st_size == 0;
}

/*
 * NORMAL: a commit waits for no disk. Whatever happens to processes, what was committed is in the
 * kernel's hands; when the machine itself goes, the last commits may be missing, and the file is
 * whole.
 */
static const char settings[] = "PRAGMA trusted_schema=OFF;"
			       "PRAGMA cell_size_check=ON;"
			       "PRAGMA temp_store=MEMORY;"
			       "PRAGMA mmap_size=0;"
			       "PRAGMA synchronous=NORMAL;"
			       "PRAGMA cache_size=-1024;";
static const char settings_to_write[] = "PRAGMA page_size=8192;"
					"PRAGMA auto_vacuum=INCREMENTAL;"
					"PRAGMA journal_mode=WAL;"
					"PRAGMA secure_delete=OFF;"
					"PRAGMA wal_autocheckpoint=0;"
					"PRAGMA journal_size_limit=8388608;";

static int open_with(sqlite3 **database, const char *path, int flags)
{
	return sqlite3_open_v2(path, database, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
			       NULL);
}

static int open_file(const char *path, enum database_use use, sqlite3 **database)
{
	int code;

	if (use == DATABASE_WRITE)
		return database_error(
			open_with(database, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
	if (is_empty(path))
		return -ENOENT;
	/* Readers, too, have to write to the index of the log; where they may not they can read
	 * only while somebody else keeps it. */
	code = open_with(database, path, SQLITE_OPEN_READWRITE);
	if (code != SQLITE_OK) {
		sqlite3_close(TAKE(*database));
		code = open_with(database, path, SQLITE_OPEN_READONLY);
	}
	return database_error(code);
}

int database_open(const char *path, enum database_use use, sqlite3 **ret_database)
{
	CLEANUP(sqlite3) sqlite3 *database = NULL;
	int r = open_file(path, use, &database);

	if (r < 0)
		return r;
	sqlite3_busy_timeout(database, BUSY_MS);
	sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, use != DATABASE_SALVAGE, NULL);
	sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	/* By this SQLite reads a file that is shorter than it says. */
	if (use == DATABASE_SALVAGE)
		sqlite3_db_config(database, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, NULL);
	r = database_run(database, settings);
	if (r == 0 && use == DATABASE_WRITE)
		r = database_run(database, settings_to_write);
	else if (r == 0)
		r = database_run(database, "PRAGMA query_only=ON");
	if (r == 0 && use == DATABASE_WRITE)
		r = create_when_new(database);
	if (r == 0)
		r = check_kind(database);
	if (r < 0)
		return r;
	*ret_database = TAKE(database);
	return 0;
}

/* ---- setting aside ---- */

static const char aside[] = HISTORY_FILE ".corrupt-";

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_aside(const char *name)
{
	const size_t length = strlen(name);

	return !strncmp(name, aside, sizeof(aside) - 1) &&
	       !(length > 4 &&
		 (!strcmp(name + length - 4, "-wal") || !strcmp(name + length - 4, "-shm")));
}

static void remove_all(const char *directory, const char *name)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		snprintf(path, sizeof(path), "%s/%s%s", directory, name, ends[i]);
		unlink(path);
	}
}

/* Names have the time in them, so the oldest comes first. */
static void forget_oldest(const char *directory)
{
	struct dirent **entries = NULL;
	int count = scandir(directory, &entries, NULL, NULL);
	FREE const char **names = count > 0 ? calloc((size_t)count, sizeof(*names)) : NULL;
	size_t found = 0;

	for (int i = 0; i < count; i++) {
		if (names && is_aside(entries[i]->d_name))
			names[found++] = entries[i]->d_name;
	}
	if (names)
		qsort(names, found, sizeof(*names), compare_names);
	for (size_t i = 0; i + CORRUPT_KEPT < found; i++)
		remove_all(directory, names[i]);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
}

static int rename_within(const char *directory, const char *from, const char *to, const char *end)
{
	char old_path[PATH_MAX], new_path[PATH_MAX];

	snprintf(old_path, sizeof(old_path), "%s/%s%s", directory, from, end);
	snprintf(new_path, sizeof(new_path), "%s/%s%s", directory, to, end);
	return rename(old_path, new_path) < 0 && errno != ENOENT ? -errno : 0;
}

int database_set_aside(const char *directory, char *ret_name, size_t name_size)
{
	char path[PATH_MAX];
	int r;

	/* Nanoseconds, of one length: several in a second have names of their own, in order. */
	snprintf(ret_name, name_size, "%s%020llu", aside, (unsigned long long)clock_real_ns());
	/* The log goes first: a file beside another's log would be taken for one. */
	r = rename_within(directory, HISTORY_FILE, ret_name, "-wal");
	if (r == 0)
		r = rename_within(directory, HISTORY_FILE, ret_name, "");
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/%s-shm", directory, HISTORY_FILE);
	unlink(path);
	forget_oldest(directory);
	return 0;
}
