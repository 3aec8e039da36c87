/* SPDX-License-Identifier: MIT */
/* Keeps the file within its bounds: what is too old or too much goes, oldest first. */
#include <errno.h>

#include "history/internal.h"

/* So many blocks a transaction: a limit that was lowered is reached in steps. */
#define RETIRE_MOST 256
#define ASK_EACH 16
/* The log is taken over from so many bytes on. */
#define LOG_BYTES (4u << 20)
#define VACUUM_PAGES 256

static int number_of(sqlite3_stmt *statement, uint64_t *ret_number)
{
	int code = sqlite3_step(statement);

	*ret_number = code == SQLITE_ROW ? database_column(statement, 0) : 0;
	sqlite3_reset(statement);
	return code == SQLITE_ROW ? 0 : database_error(code);
}

static int measure(struct history *history, uint64_t *ret_used)
{
	uint64_t pages, free_pages;
	int r = number_of(history->statements.pages, &pages);

	if (r == 0)
		r = number_of(history->statements.free_pages, &free_pages);
	if (r < 0)
		return r;
	*ret_used = (pages - free_pages) * history->page_size;
	pthread_mutex_lock(&history->figures_lock);
	history->figures.bytes = *ret_used;
	history->figures.file_bytes = pages * history->page_size;
	pthread_mutex_unlock(&history->figures_lock);
	return 0;
}

/* Blocks that this transaction removes stay in the catalog until it is committed. */
struct retiring {
	size_t from[STORE_MAX_STREAMS]; /* of the shelves: how many entries go already */
	size_t shelves;
};

static bool is_open_block(const struct history *history, const struct shelf *shelf,
			  const struct entry *entry)
{
	const struct place *place = &history->works[shelf->stream].place;

	return shelf->boot == history->boot && entry->partial && place->chunk_count &&
	       entry->first_index >= place->chunks[0].first_index;
}

/* The next to go of a shelf; NULL when there is none. */
static const struct entry *next_of(const struct history *history, const struct retiring *retiring,
				   size_t shelf)
{
	const struct shelf *it = history->catalog.shelves[shelf];
	const struct entry *entry;

	if (retiring->from[shelf] >= it->count)
		return NULL;
	entry = &it->entries[retiring->from[shelf]];
	return is_open_block(history, it, entry) ? NULL : entry;
}

static uint64_t age_limit(const struct history *history)
{
	const uint64_t now = clock_real_ns(), age = history->options.age_limit_ns;

	return age && now > age ? now - age : 0;
}

static uint64_t newest_real(const struct history *history, const struct shelf *shelf,
			    const struct entry *entry)
{
	return entry->newest + (uint64_t)history->catalog.boots[shelf->boot].clock.to_real;
}

/* The stream that has most gives first, so that a storm of one kind does not wipe out a quiet one;
 * of it the oldest. */
static size_t largest(const struct history *history, const struct retiring *retiring)
{
	uint64_t bytes[STORE_MAX_STREAMS] = { 0 };
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < retiring->shelves; i++)
		bytes[history->catalog.shelves[i]->stream] += history->catalog.shelves[i]->bytes;
	for (size_t i = 0; i < retiring->shelves; i++) {
		const struct shelf *shelf = history->catalog.shelves[i];

		if (!next_of(history, retiring, i))
			continue;
		if (best == SIZE_MAX ||
		    bytes[shelf->stream] > bytes[history->catalog.shelves[best]->stream] ||
		    (shelf->stream == history->catalog.shelves[best]->stream &&
		     shelf->boot < history->catalog.shelves[best]->boot))
			best = i;
	}
	return best;
}

static int retire(struct history *history, struct retiring *retiring, size_t at)
{
	const struct shelf *shelf = history->catalog.shelves[at];
	const struct entry *entry = next_of(history, retiring, at);

	retiring->from[at]++;
	return transaction_retire(history, shelf->boot, shelf->stream, entry);
}

static int retire_old(struct history *history, struct retiring *retiring, size_t *left)
{
	const uint64_t limit = age_limit(history);
	int r = 0;

	for (size_t i = 0; i < retiring->shelves && limit; i++) {
		const struct shelf *shelf = history->catalog.shelves[i];
		const struct entry *entry;

		while (r == 0 && *left && (entry = next_of(history, retiring, i)) &&
		       newest_real(history, shelf, entry) < limit) {
			r = retire(history, retiring, i);
			--*left;
		}
	}
	return r;
}

static int retire_much(struct history *history, struct retiring *retiring, size_t left)
{
	/* Room for the next transaction, so that the file never has to grow past its limit. */
	const uint64_t limit = history->options.size_limit - 2 * history->batch_limit;
	uint64_t used;
	int r = measure(history, &used);

	while (r == 0 && used > limit && left) {
		for (size_t i = 0; i < ASK_EACH && r == 0 && left; i++, left--) {
			const size_t at = largest(history, retiring);

			if (at == SIZE_MAX)
				return 0;
			r = retire(history, retiring, at);
		}
		if (r == 0)
			r = measure(history, &used);
	}
	return r;
}

bool retain_is_due(const struct history *history)
{
	const uint64_t limit = age_limit(history);

	for (size_t i = 0; i < history->catalog.shelf_count && limit; i++) {
		const struct shelf *shelf = history->catalog.shelves[i];

		if (shelf->count && newest_real(history, shelf, &shelf->entries[0]) < limit)
			return true;
	}
	return false;
}

int retain_run(struct history *history)
{
	FREE struct retiring *retiring = calloc(1, sizeof(*retiring));
	size_t left = RETIRE_MOST;
	int r;

	if (!retiring)
		return -ENOMEM;
	retiring->shelves = history->catalog.shelf_count < ARRAY_SIZE(retiring->from)
				    ? history->catalog.shelf_count
				    : ARRAY_SIZE(retiring->from);
	r = retire_old(history, retiring, &left);
	return r < 0 ? r : retire_much(history, retiring, left);
}

void retain_tidy(struct history *history)
{
	const uint64_t log = (uint64_t)history->log_pages * history->page_size;
	uint64_t used;
	int in_log = 0, taken_over = 0;

	if (!history->database || log < LOG_BYTES)
		return;
	/* Waits for nobody: what a reader still needs stays in the log. */
	if (sqlite3_wal_checkpoint_v2(history->database, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log,
				      &taken_over) == SQLITE_OK &&
	    in_log == taken_over)
		history->log_pages = 0;
	if (measure(history, &used) == 0 &&
	    history->figures.file_bytes > history->options.size_limit)
		database_run(history->database, "PRAGMA incremental_vacuum(256)");
}
