/* SPDX-License-Identifier: MIT */
/* What is whole in a file that was set aside goes into the fresh one, block by block. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "history/internal.h"

#define BLOCKS_A_STEP 32
#define NO_STREAM UINT16_MAX

struct salvage {
	sqlite3 *database;
	sqlite3_stmt *read;
	struct catalog catalog;
	/* Numbers there to numbers here. */
	uint16_t streams[STORE_MAX_STREAMS];
	size_t shelf, entry; /* next */
	uint64_t saved, lost;
};

static void salvage_free(struct salvage *salvage)
{
	if (!salvage)
		return;
	sqlite3_finalize(salvage->read);
	sqlite3_close(salvage->database);
	catalog_fini(&salvage->catalog);
	free(salvage);
}
DEFINE_CLEANUP(salvage, salvage_free)

void salvage_end(struct history *history)
{
	salvage_free(TAKE(history->salvage));
	atomic_store(&history->salvaging, false);
}

uint64_t salvage_end_place(const struct history *history, uint16_t stream)
{
	const struct salvage *salvage = history->salvage;
	uint64_t end = 0;

	if (!salvage)
		return 0;
	for (size_t i = 0; i < salvage->catalog.shelf_count; i++) {
		const struct shelf *shelf = salvage->catalog.shelves[i];

		if (salvage->streams[shelf->stream] != stream || !shelf->count ||
		    !salvage->catalog.boots[shelf->boot].running)
			continue;
		end = shelf->entries[shelf->count - 1].first_index +
		      shelf->entries[shelf->count - 1].rows;
	}
	return end;
}

/* Streams whose schema is whole, under numbers without holes. */
static int adopt_streams(struct history *history, struct salvage *salvage)
{
	struct vault *vault = &history->vault;
	uint64_t damaged;
	uint16_t count = 0;
	int r = vault_load_streams(vault, salvage->database, &damaged);

	for (size_t i = 0; i < STORE_MAX_STREAMS; i++) {
		const struct stream_schema *schema = atomic_load(&vault->schemas[i]);

		salvage->streams[i] = NO_STREAM;
		if (!schema)
			continue;
		atomic_store(&vault->schemas[i], NULL);
		atomic_store(&vault->schemas[count], schema);
		salvage->streams[i] = count++;
	}
	atomic_store(&vault->stream_count, count);
	return r == -ENOMEM ? r : 0;
}

static int adopt_boots(struct history *history, const struct salvage *salvage)
{
	const struct catalog *catalog = &salvage->catalog;

	for (size_t i = 0; i < catalog->boot_count; i++) {
		int r = catalog_add_boot(&history->catalog, &catalog->boot_rows[i],
					 &catalog->boots[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Everything that we know of the old file is the old file's; boots stay known here too. */
static int move_catalog(struct history *history, struct salvage *salvage)
{
	const uint64_t last_id = history->catalog.last_id;
	int r;

	pthread_rwlock_wrlock(&history->vault.lock);
	salvage->catalog = history->catalog;
	history->catalog = (struct catalog){ .last_id = last_id };
	r = adopt_boots(history, salvage);
	vault_renew(&history->vault);
	pthread_rwlock_unlock(&history->vault.lock);
	for (uint16_t i = 0; i < STORE_MAX_STREAMS; i++)
		salvage->streams[i] = i;
	return r;
}

/* In a database's first 100 bytes (SQLite's file format, section 1.3), big-endian. */
enum { HEADER_PAGES = 28, HEADER_FREE_TRUNK = 32, HEADER_FREE_PAGES = 36, HEADER_APPLICATION = 68 };

static void put_be32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof(value));
}

/*
 * All that the first page says is the same in every history, but for a few numbers: where ours is
 * damaged, that of the fresh file, which was begun in the same way, takes its place. Only of a file
 * that says that it is ours.
 */
static bool lend_first_page(const struct history *history, const char *path)
{
	const size_t size = history->page_size;
	CLOSE int from = open(history->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	CLOSE int to = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	FREE uint8_t *page = malloc(size);
	uint8_t mark[4];
	struct stat status;

	if (!page || from < 0 || to < 0 || fstat(to, &status) < 0 ||
	    status.st_size < (off_t)(2 * size) || pread(from, page, size, 0) != (ssize_t)size ||
	    pread(to, mark, sizeof(mark), HEADER_APPLICATION) != sizeof(mark) ||
	    memcmp(mark, page + HEADER_APPLICATION, sizeof(mark)) != 0)
		return false;
	put_be32(page + HEADER_PAGES, (uint32_t)((uint64_t)status.st_size / size));
	put_be32(page + HEADER_FREE_TRUNK, 0);
	put_be32(page + HEADER_FREE_PAGES, 0);
	return pwrite(to, page, size, 0) == (ssize_t)size;
}

static int open_aside(const struct history *history, const char *path, sqlite3 **ret_database)
{
	int r = database_open(path, DATABASE_SALVAGE, ret_database);

	if (r != -EBADMSG || !lend_first_page(history, path))
		return r;
	return database_open(path, DATABASE_SALVAGE, ret_database);
}

int salvage_begin(struct history *history, const char *path)
{
	CLEANUP(salvage) struct salvage *salvage = calloc(1, sizeof(*salvage));
	int r = 0;

	if (!salvage)
		return -ENOMEM;
	if (open_aside(history, path, &salvage->database) == 0)
		r = database_prepare(salvage->database,
				     "SELECT head_sum,body_sum,disorder,head,body FROM block "
				     "WHERE id=?",
				     &salvage->read);
	if (history->catalog.boot_count) {
		r = move_catalog(history, salvage);
	} else if (salvage->read) {
		r = catalog_salvage(&salvage->catalog, salvage->database, history->vault.boot_id);
		if (r == 0)
			r = adopt_streams(history, salvage);
		if (r == 0)
			r = adopt_boots(history, salvage);
	}
	if (r < 0)
		return r;
	if (!salvage->read)
		return 0;
	history->salvage = TAKE(salvage);
	atomic_store(&history->salvaging, true);
	return 0;
}

/* ---- a little each time ---- */

/* Nothing of these places is here: what is in the way would be there twice. */
static bool is_free(const struct history *history, uint32_t boot, uint16_t stream,
		    const struct entry *entry)
{
	const struct shelf *shelf = catalog_shelf(&history->catalog, boot, stream);

	for (size_t i = 0; shelf && i < shelf->count; i++) {
		const struct entry *other = &shelf->entries[i];

		if (other->first_index < entry->first_index + entry->rows &&
		    entry->first_index < other->first_index + other->rows)
			return false;
	}
	return true;
}

static int read_entry(struct salvage *salvage, const struct stream_schema *schema,
		      const struct shelf *shelf, const struct entry *entry,
		      struct codec_place *place, struct block **ret_block)
{
	struct codec_parts parts;
	int r;

	*place = (struct codec_place){
		.boot = salvage->catalog.boot_rows[shelf->boot].number,
		.stream = shelf->stream,
		.first_index = entry->first_index,
		.rows = entry->rows,
		.oldest = entry->oldest,
		.newest = entry->newest,
	};
	database_bind(salvage->read, 1, entry->id);
	r = sqlite3_step(salvage->read);
	if (r == SQLITE_ROW) {
		place->disorder = database_column(salvage->read, 2);
		parts = vault_parts(salvage->read, 0);
		r = codec_decode(schema, place, &parts, ret_block);
	} else {
		r = r == SQLITE_DONE ? -EBADMSG : database_error(r);
	}
	sqlite3_reset(salvage->read);
	return r;
}

static int save(struct history *history, const struct shelf *shelf, const struct entry *entry)
{
	struct salvage *salvage = history->salvage;
	const uint16_t stream = salvage->streams[shelf->stream];
	const struct stream_schema *schema =
		stream == NO_STREAM ? NULL : atomic_load(&history->vault.schemas[stream]);
	FREE struct block *block = NULL;
	struct codec_place place;
	uint64_t id;

	if (!schema || !is_free(history, shelf->boot, stream, entry) ||
	    read_entry(salvage, schema, shelf, entry, &place, &block) < 0) {
		salvage->lost++;
		return 0;
	}
	place.stream = stream;
	salvage->saved++;
	return transaction_add(history, &place, block, shelf->boot, entry->partial, &id);
}

static bool finish(struct history *history)
{
	const struct salvage *salvage = history->salvage;

	log_info("history: %llu blocks of the file that was set aside were taken over, %llu were "
		 "damaged",
		 (unsigned long long)salvage->saved, (unsigned long long)salvage->lost);
	pthread_mutex_lock(&history->vault.pool_lock);
	history->vault.damaged += salvage->lost;
	pthread_mutex_unlock(&history->vault.pool_lock);
	salvage_end(history);
	return false;
}

bool salvage_run(struct history *history)
{
	struct salvage *salvage = history->salvage;
	int r;

	if (!salvage)
		return false;
	r = transaction_begin(history);
	for (size_t i = 0; i < BLOCKS_A_STEP && r == 0; i++) {
		const struct shelf *shelf;

		if (salvage->shelf == salvage->catalog.shelf_count)
			break;
		shelf = salvage->catalog.shelves[salvage->shelf];
		if (salvage->entry == shelf->count) {
			salvage->shelf++;
			salvage->entry = 0;
			continue;
		}
		r = save(history, shelf, &shelf->entries[salvage->entry++]);
	}
	if (r == 0)
		r = retain_run(history);
	if (r == 0)
		r = transaction_commit(history);
	if (r < 0) {
		/* Not worth a second file: it stays where it is. */
		transaction_rollback(history);
		return finish(history);
	}
	return salvage->shelf < salvage->catalog.shelf_count || finish(history);
}
