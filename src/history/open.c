/* SPDX-License-Identifier: MIT */
/* Beginning and end of the history: the lock, the database, the streams and boots that it knows. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/log.h"
#include "history/internal.h"

/* A server that is about to end still writes. */
#define LOCK_PATIENCE_NS (1500 * NS_PER_MS)
#define LOCK_STEP_MS 20
#define CACHE_BYTES ((size_t)16 << 20)

static int take_lock(const struct history_options *options)
{
	CLOSE int fd = openat(options->directory, HISTORY_LOCK,
			      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	const uint64_t deadline = clock_boot_ns() + LOCK_PATIENCE_NS;

	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (clock_boot_ns() >= deadline)
			return -EBUSY;
		poll(NULL, 0, LOCK_STEP_MS);
	}
	return TAKE_FD(fd);
}

/* ---- the database ---- */

void history_close_database(struct history *history)
{
	struct statements *statements = &history->statements;
	sqlite3_stmt *const all[] = {
		statements->begin,	statements->commit,	  statements->rollback,
		statements->add_block,	statements->remove_block, statements->read_block,
		statements->add_stream, statements->set_boot,	  statements->add_gap,
		statements->remove_gap, statements->set_state,	  statements->pages,
		statements->free_pages,
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		sqlite3_finalize(all[i]);
	*statements = (struct statements){ .begin = NULL };
	sqlite3_close(TAKE(history->database));
}

/* How long the log is, after each commit. */
static int note_log(void *context, sqlite3 *database, const char *name, int pages)
{
	struct history *history = context;

	(void)database;
	(void)name;
	history->log_pages = pages;
	return SQLITE_OK;
}

static int prepare_statements(struct history *history)
{
	struct statements *statements = &history->statements;
	const struct {
		sqlite3_stmt **statement;
		const char *sql;
	} all[] = {
		{ &statements->begin, "BEGIN IMMEDIATE" },
		{ &statements->commit, "COMMIT" },
		{ &statements->rollback, "ROLLBACK" },
		{ &statements->add_block,
		  "INSERT INTO block(id,boot,stream,first_index,rows,oldest,newest,disorder,"
		  "partial,bytes,head_sum,body_sum,head,body) "
		  "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)" },
		{ &statements->remove_block, "DELETE FROM block WHERE id=?" },
		{ &statements->read_block,
		  "SELECT head_sum,body_sum,disorder,head,body FROM block WHERE id=?" },
		{ &statements->add_stream,
		  "INSERT OR REPLACE INTO stream(number,name,schema,checksum) VALUES(?,?,?,?)" },
		{ &statements->set_boot,
		  "INSERT OR REPLACE INTO boot(number,boot_id,epoch,to_real) VALUES(?,?,?,?)" },
		{ &statements->add_gap,
		  "INSERT INTO gap(stream,since,until,events,reason) VALUES(?,?,?,?,?)" },
		{ &statements->remove_gap,
		  "DELETE FROM gap WHERE id<=(SELECT max(id) FROM gap)-256" },
		{ &statements->set_state, "INSERT OR REPLACE INTO state(name,value) VALUES(?,?)" },
		{ &statements->pages, "PRAGMA page_count" },
		{ &statements->free_pages, "PRAGMA freelist_count" },
	};
	int64_t page_size = 0;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all) && r == 0; i++)
		r = database_prepare(history->database, all[i].sql, all[i].statement);
	if (r == 0)
		r = database_number(history->database, "PRAGMA page_size", &page_size);
	history->page_size = (uint64_t)page_size;
	sqlite3_wal_hook(history->database, note_log, history);
	return r;
}

int history_open_database(struct history *history)
{
	int r = database_open(history->path, DATABASE_WRITE, &history->database);

	if (r == 0)
		r = prepare_statements(history);
	if (r < 0)
		history_close_database(history);
	return r;
}

/* ---- what it knows ---- */

static int load_gaps(struct history *history)
{
	CLEANUP(sqlite3_stmt) sqlite3_stmt *statement = NULL;
	int code = SQLITE_DONE;
	int r = database_prepare(history->database,
				 "SELECT stream,since,until,events FROM gap "
				 "WHERE id>(SELECT max(id) FROM gap)-256 ORDER BY id",
				 &statement);

	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const uint64_t stream = database_column(statement, 0);

		if (stream >= STORE_MAX_STREAMS || history->gap_count == GAPS_MOST)
			continue;
		history->gaps[history->gap_count++] = (struct gap){
			.stream = (uint16_t)stream,
			.since = database_column(statement, 1),
			.until = database_column(statement, 2),
			.events = database_column(statement, 3),
		};
	}
	return r < 0 ? r : database_error(code);
}

static int load_state(struct history *history, bool *ret_clean)
{
	CLEANUP(sqlite3_stmt) sqlite3_stmt *statement = NULL;
	int code = SQLITE_DONE;
	int r = database_prepare(history->database, "SELECT name,value FROM state", &statement);

	*ret_clean = false;
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(statement, 0);
		unsigned int stream;

		if (name && !strcmp(name, "clean"))
			*ret_clean = database_column(statement, 1) == 1;
		else if (name && !strcmp(name, "damaged"))
			history->damaged_until = database_column(statement, 1);
		else if (name && sscanf(name, "retired %u", &stream) == 1 &&
			 stream < STORE_MAX_STREAMS)
			history->retired_until[stream] = database_column(statement, 1);
	}
	return r < 0 ? r : database_error(code);
}

/* Reads everything but blocks. -EBADMSG where that makes no sense, in whichever way. */
static int load(struct history *history, bool *ret_clean)
{
	uint64_t damaged = 0, senseless = 0;
	int r = vault_load_streams(&history->vault, history->database, &damaged);

	if (r == 0 && damaged)
		r = -EBADMSG;
	/* Numbers stand for places in the store: none is left out. */
	for (size_t i = 0; r == 0 && i < history->vault.stream_count; i++) {
		if (!history->vault.schemas[i])
			r = -EBADMSG;
	}
	if (r == 0)
		r = catalog_load(&history->catalog, history->database, history->vault.boot_id,
				 &senseless);
	if (r == 0)
		r = load_gaps(history);
	if (r == 0)
		r = load_state(history, ret_clean);
	history->vault.damaged += senseless;
	return r;
}

static void forget_loaded(struct history *history)
{
	catalog_fini(&history->catalog);
	for (size_t i = 0; i < STORE_MAX_STREAMS; i++)
		atomic_store(&history->vault.schemas[i], NULL);
	atomic_store(&history->vault.stream_count, 0);
	history->gap_count = 0;
	history->vault.damaged = 0;
	memset(history->retired_until, 0, sizeof(history->retired_until));
}

/* ---- the running boot ---- */

/* Its seconds are those by which it was known; a new one's come after all others', so that ids sort
 * even where the clock was put back. */
static int find_boot(struct history *history)
{
	struct catalog *catalog = &history->catalog;
	const size_t count = catalog->boot_count;
	struct archive_boot boot = { .running = true };
	struct boot_row row = { .number = 1 };
	int r;

	if (count && catalog->boots[count - 1].running) {
		history->boot = (uint32_t)count - 1;
		clock_keep_offset(catalog->boots[count - 1].clock.to_real);
	} else {
		boot.clock.epoch = clock_boot_epoch_seconds();
		if (count) {
			const uint64_t last = catalog->boots[count - 1].clock.epoch;

			row.number = catalog->boot_rows[count - 1].number + 1;
			boot.clock.epoch = boot.clock.epoch > last ? boot.clock.epoch : last + 1;
		}
		snprintf(row.boot_id, sizeof(row.boot_id), "%s", history->vault.boot_id);
		r = catalog_add_boot(catalog, &row, &boot);
		if (r < 0)
			return r;
		history->boot = (uint32_t)r;
	}
	/* A boot that is not the last cannot be this one, whatever it says. */
	for (size_t i = 0; i < catalog->boot_count; i++)
		catalog->boots[i].running = i == history->boot;
	catalog->boots[history->boot].clock.to_real = clock_boot_to_real_offset();
	clock_keep_offset(catalog->boots[history->boot].clock.to_real);
	clock_set_boot_epoch(catalog->boots[history->boot].clock.epoch);
	return 0;
}

/* After all that is there, or will be once it was taken over. */
static uint64_t first_free_place(const struct history *history, uint16_t stream)
{
	const uint64_t end = catalog_end(&history->catalog, history->boot, stream);
	const uint64_t salvaged = salvage_end_place(history, stream);

	return end > salvaged ? end : salvaged;
}

/* Places go on from the last that was written, so what was lost since shows as a gap. */
static void begin_place(struct history *history, uint16_t stream)
{
	const struct shelf *shelf = catalog_shelf(&history->catalog, history->boot, stream);
	struct work *work = &history->works[stream];

	work->place.index = first_free_place(history, stream);
	work->place.time = shelf && shelf->count ? shelf->entries[shelf->count - 1].newest : 0;
	work->place.in_database = true;
	work->place.begun = true;
	work->done = work->place;
}

/* The streams of the database are the store's first ones. */
static int add_streams(struct history *history)
{
	for (size_t i = 0; i < history->vault.stream_count; i++) {
		int number = store_add_stream(history->options.store, history->vault.schemas[i]);

		if (number < 0)
			return number;
		store_set_first_index(history->options.store, i,
				      first_free_place(history, (uint16_t)i));
		begin_place(history, (uint16_t)i);
	}
	return 0;
}

/* A server before this one ended without a word, and nobody knows how many events it held that were
 * not written: from the newest that were until now. (Where the loader lived on it knows, and places
 * of events tell.) */
static int note_sudden_end(struct history *history)
{
	const uint64_t now = clock_real_ns();
	int r = 0;

	for (uint16_t i = 0; i < history->vault.stream_count && r == 0; i++) {
		struct gap gap = { .stream = i, .until = now };

		for (size_t b = 0; b < history->catalog.boot_count; b++) {
			const struct shelf *shelf =
				catalog_shelf(&history->catalog, (uint32_t)b, i);

			if (shelf && shelf->count)
				gap.since = shelf->entries[shelf->count - 1].newest +
					    (uint64_t)history->catalog.boots[b].clock.to_real;
		}
		if (gap.since && gap.since <= now)
			r = transaction_gap(history, &gap, "ended without a word");
	}
	return r;
}

/* ---- opening ---- */

int history_begin_anew(struct history *history)
{
	char name[256];
	BUFFER path = BUFFER_INIT;
	FREE char *old = NULL;
	int r;

	history_close_database(history);
	salvage_end(history);
	r = database_set_aside(history->options.path, name, sizeof(name));
	if (r < 0) {
		log_error("history: %s/%s is damaged and cannot be renamed: %s",
			  history->options.path, HISTORY_FILE, strerror(-r));
		return r;
	}
	log_error("history: %s is damaged or not ours: it is %s now, and a fresh one is begun with "
		  "what is whole in it",
		  HISTORY_FILE, name);
	pthread_rwlock_wrlock(&history->vault.lock);
	history->damaged_until = clock_real_ns();
	pthread_rwlock_unlock(&history->vault.lock);
	r = history_open_database(history);
	if (r < 0)
		return r;
	buffer_printf(&path, "%s/%s", history->options.path, name);
	old = buffer_take_string(&path);
	return old ? salvage_begin(history, old) : -ENOMEM;
}

int history_write_boot(struct history *history, uint32_t boot)
{
	sqlite3_stmt *statement = history->statements.set_boot;
	const struct boot_row *row = &history->catalog.boot_rows[boot];
	const struct event_boot *clock = &history->catalog.boots[boot].clock;

	database_bind(statement, 1, row->number);
	sqlite3_bind_text(statement, 2, row->boot_id, -1, SQLITE_STATIC);
	database_bind(statement, 3, clock->epoch);
	sqlite3_bind_int64(statement, 4, clock->to_real);
	return database_step(statement);
}

int history_write_frame(struct history *history)
{
	int r = transaction_state(history, "clean", 0);

	if (r == 0)
		r = transaction_state(history, "damaged", history->damaged_until);
	for (uint32_t i = 0; i < history->catalog.boot_count && r == 0; i++)
		r = history_write_boot(history, i);
	for (size_t i = 0; i < history->vault.stream_count && r == 0; i++)
		r = transaction_stream(history, i, history->vault.schemas[i]);
	history->to_real = history->catalog.boots[history->boot].clock.to_real;
	return r;
}

int history_prepare(struct history *history)
{
	bool clean = false;
	int r = history_open_database(history);

	if (r == 0)
		r = load(history, &clean);
	if (r == -EBADMSG) {
		forget_loaded(history);
		r = history_begin_anew(history);
		clean = true; /* whatever is missing is said already */
	}
	if (r == 0)
		r = find_boot(history);
	if (r == 0)
		r = add_streams(history);
	if (r < 0)
		return r;
	history->next_id = history->catalog.last_id + 1;
	r = transaction_begin(history);
	if (r == 0)
		r = history_write_frame(history);
	if (r == 0 && !clean && history->catalog.blocks && history->options.generation == 0)
		r = note_sudden_end(history);
	if (r == 0)
		r = transaction_commit(history);
	if (r < 0)
		transaction_rollback(history);
	return r;
}

static struct history *history_new(const struct history_options *options)
{
	CLEANUP(history) struct history *history = calloc(1, sizeof(*history));
	BUFFER path = BUFFER_INIT;

	if (!history)
		return NULL;
	history->options = *options;
	history->lock = -1;
	history->next_id = 1;
	pthread_mutex_init(&history->wake_lock, NULL);
	pthread_mutex_init(&history->figures_lock, NULL);
	buffer_printf(&path, "%s/%s", options->path, HISTORY_FILE);
	history->path = buffer_take_string(&path);
	history->works = calloc(STORE_MAX_STREAMS, sizeof(*history->works));
	history->builder = block_builder_new(BLOCK_MAX_ROWS);
	history->figures.limit_bytes = options->size_limit;
	history->batch_limit = options->size_limit / 32 < BATCH_BYTES ? options->size_limit / 32
								      : BATCH_BYTES;
	if (!history->path || !history->works || !history->builder ||
	    vault_init(&history->vault, history->path,
		       options->boot_id ? options->boot_id : clock_boot_id(), &history->catalog,
		       CACHE_BYTES) < 0)
		return NULL;
	return TAKE(history);
}

int history_open(const struct history_options *options, struct history **ret_history, char *error,
		 size_t error_size)
{
	CLEANUP(history) struct history *history = history_new(options);
	int r;

	if (!history) {
		snprintf(error, error_size, "no history: out of memory");
		return -ENOMEM;
	}
	history->lock = take_lock(options);
	if (history->lock < 0) {
		snprintf(error, error_size, "no history: %s",
			 history->lock == -EBUSY ? "another server keeps its own in this --data-dir"
						 : strerror(-history->lock));
		return history->lock;
	}
	r = history_prepare(history);
	if (r < 0) {
		snprintf(error, error_size, "no history: %s: %s", HISTORY_FILE, strerror(-r));
		return r;
	}
	*ret_history = TAKE(history);
	return 0;
}

void history_close(struct history *history)
{
	if (!history)
		return;
	history_stop(history);
	transaction_rollback(history);
	salvage_end(history);
	history_close_database(history);
	vault_fini(&history->vault);
	catalog_fini(&history->catalog);
	block_builder_free(history->builder);
	buffer_fini(&history->head);
	buffer_fini(&history->body);
	free(history->changes);
	free(history->works);
	free(history->path);
	pthread_mutex_destroy(&history->wake_lock);
	pthread_mutex_destroy(&history->figures_lock);
	if (history->lock >= 0)
		close(history->lock);
	free(history);
}

struct archive *history_archive(struct history *history)
{
	return &history->vault.archive;
}
