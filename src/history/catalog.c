/* SPDX-License-Identifier: MIT */
#include "history/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* No stream has so many events; places above make no sense. */
#define LAST_INDEX (1ULL << 62)

void catalog_fini(struct catalog *catalog)
{
	for (size_t i = 0; i < catalog->shelf_count; i++) {
		free(catalog->shelves[i]->memory);
		free(catalog->shelves[i]);
	}
	free(catalog->shelves);
	free(catalog->boots);
	free(catalog->boot_rows);
	*catalog = (struct catalog){ .boots = NULL };
}

/* ---- boots ---- */

int catalog_add_boot(struct catalog *catalog, const struct boot_row *row,
		     const struct archive_boot *boot)
{
	const size_t count = catalog->boot_count + 1;
	struct archive_boot *boots;
	struct boot_row *rows;

	if (count > HISTORY_MAX_BOOTS)
		return -ENOSPC;
	boots = realloc(catalog->boots, count * sizeof(*boots));
	if (!boots)
		return -ENOMEM;
	catalog->boots = boots;
	rows = realloc(catalog->boot_rows, count * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	catalog->boot_rows = rows;
	boots[count - 1] = *boot;
	rows[count - 1] = *row;
	catalog->boot_count = count;
	return (int)count - 1;
}

static int load_boots(struct catalog *catalog, sqlite3 *database, const char *boot_id)
{
	CLEANUP(sqlite3_stmt) sqlite3_stmt *statement = NULL;
	int r = database_prepare(database,
				 "SELECT number,boot_id,epoch,to_real FROM boot ORDER BY number",
				 &statement);
	int code = SQLITE_DONE;

	while (r >= 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(statement, 1);
		const struct archive_boot boot = {
			.clock = { .epoch = database_column(statement, 2),
				   .to_real = sqlite3_column_int64(statement, 3) },
			.running = text && !strcmp(text, boot_id),
		};
		struct boot_row row = { .number = (uint32_t)database_column(statement, 0) };

		snprintf(row.boot_id, sizeof(row.boot_id), "%s", text ? text : "");
		r = catalog_add_boot(catalog, &row, &boot);
	}
	return r < 0 ? r : database_error(code);
}

/* ---- shelves ---- */

struct shelf *catalog_shelf(const struct catalog *catalog, uint32_t boot, uint16_t stream)
{
	/* The newest boots are last, and are what is asked for. */
	for (size_t i = catalog->shelf_count; i-- > 0;) {
		if (catalog->shelves[i]->boot == boot && catalog->shelves[i]->stream == stream)
			return catalog->shelves[i];
	}
	return NULL;
}

static struct shelf *add_shelf(struct catalog *catalog, uint32_t boot, uint16_t stream)
{
	struct shelf **shelves =
		realloc(catalog->shelves, (catalog->shelf_count + 1) * sizeof(*shelves));
	struct shelf *shelf;

	if (!shelves)
		return NULL;
	catalog->shelves = shelves;
	shelf = calloc(1, sizeof(*shelf));
	if (!shelf)
		return NULL;
	shelf->boot = boot;
	shelf->stream = stream;
	shelves[catalog->shelf_count++] = shelf;
	return shelf;
}

int catalog_reserve(struct catalog *catalog, uint32_t boot, uint16_t stream, size_t count)
{
	struct shelf *shelf = catalog_shelf(catalog, boot, stream);
	struct entry *entries;
	size_t capacity;

	if (!shelf)
		shelf = add_shelf(catalog, boot, stream);
	if (!shelf)
		return -ENOMEM;
	if ((size_t)(shelf->entries - shelf->memory) + shelf->count + count <= shelf->capacity)
		return 0;
	if (shelf->count)
		memmove(shelf->memory, shelf->entries, shelf->count * sizeof(*entries));
	shelf->entries = shelf->memory;
	/* Rarely, so that it costs nothing each time. */
	if (shelf->count + count <= shelf->capacity / 2)
		return 0;
	capacity = (shelf->count + count) * 2 + 16;
	entries = realloc(shelf->memory, capacity * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	shelf->memory = shelf->entries = entries;
	shelf->capacity = capacity;
	return 0;
}

/* Where an entry of this place stands, or would. */
static size_t place_of(const struct shelf *shelf, uint64_t first_index)
{
	size_t low = 0, high = shelf->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (shelf->entries[middle].first_index < first_index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void catalog_add(struct catalog *catalog, uint32_t boot, uint16_t stream, const struct entry *entry)
{
	struct shelf *shelf = catalog_shelf(catalog, boot, stream);
	size_t at = place_of(shelf, entry->first_index);

	/* Behind others of the same place, which there should not be. */
	while (at < shelf->count && shelf->entries[at].first_index == entry->first_index)
		at++;
	memmove(&shelf->entries[at + 1], &shelf->entries[at],
		(shelf->count - at) * sizeof(*shelf->entries));
	shelf->entries[at] = *entry;
	shelf->count++;
	shelf->bytes += entry->bytes;
	catalog->bytes += entry->bytes;
	catalog->events += entry->rows;
	catalog->blocks++;
	if (entry->id > catalog->last_id)
		catalog->last_id = entry->id;
}

void catalog_remove(struct catalog *catalog, uint32_t boot, uint16_t stream, uint64_t id,
		    uint64_t first_index)
{
	struct shelf *shelf = catalog_shelf(catalog, boot, stream);
	size_t at = shelf ? place_of(shelf, first_index) : 0;

	while (shelf && at < shelf->count && shelf->entries[at].id != id &&
	       shelf->entries[at].first_index == first_index)
		at++;
	if (!shelf || at == shelf->count || shelf->entries[at].id != id)
		return;
	shelf->bytes -= shelf->entries[at].bytes;
	catalog->bytes -= shelf->entries[at].bytes;
	catalog->events -= shelf->entries[at].rows;
	catalog->blocks--;
	shelf->count--;
	if (!at) {
		shelf->entries++;
		return;
	}
	memmove(&shelf->entries[at], &shelf->entries[at + 1],
		(shelf->count - at) * sizeof(*shelf->entries));
}

uint64_t catalog_end(const struct catalog *catalog, uint32_t boot, uint16_t stream)
{
	const struct shelf *shelf = catalog_shelf(catalog, boot, stream);
	const struct entry *last;

	if (!shelf || !shelf->count)
		return 0;
	last = &shelf->entries[shelf->count - 1];
	return last->first_index + last->rows;
}

/* ---- blocks ---- */

static bool find_boot(const struct catalog *catalog, uint64_t number, uint32_t *ret_boot)
{
	for (size_t i = catalog->boot_count; i-- > 0;) {
		if (catalog->boot_rows[i].number == number) {
			*ret_boot = (uint32_t)i;
			return true;
		}
	}
	return false;
}

static int load_block(struct catalog *catalog, sqlite3_stmt *statement, uint64_t *senseless)
{
	const struct entry entry = {
		.id = database_column(statement, 0),
		.first_index = database_column(statement, 3),
		.rows = (uint32_t)database_column(statement, 4),
		.oldest = database_column(statement, 5),
		.newest = database_column(statement, 6),
		.partial = database_column(statement, 7) != 0,
		.bytes = (uint32_t)database_column(statement, 8),
	};
	const uint64_t rows = database_column(statement, 4), stream = database_column(statement, 2);
	uint32_t boot;

	if (entry.id > catalog->last_id)
		catalog->last_id = entry.id;
	if (!find_boot(catalog, database_column(statement, 1), &boot) ||
	    stream >= STORE_MAX_STREAMS || !rows || rows > BLOCK_MAX_ROWS ||
	    entry.first_index >= LAST_INDEX || entry.oldest > entry.newest) {
		++*senseless;
		return 0;
	}
	if (catalog_reserve(catalog, boot, (uint16_t)stream, 1) < 0)
		return -ENOMEM;
	catalog_add(catalog, boot, (uint16_t)stream, &entry);
	return 0;
}

/* Blocks of a stream do not overlap; where they do, one of the two is not what it says. */
static void mark_overlaps(struct catalog *catalog, uint64_t *senseless)
{
	for (size_t i = 0; i < catalog->shelf_count; i++) {
		struct shelf *shelf = catalog->shelves[i];
		uint64_t end = 0;

		for (size_t j = 0; j < shelf->count; j++) {
			struct entry *entry = &shelf->entries[j];

			entry->damaged = entry->first_index < end;
			*senseless += entry->damaged;
			if (!entry->damaged)
				end = entry->first_index + entry->rows;
		}
	}
}

#define SELECT_BLOCKS                                                                              \
	"SELECT id,boot,stream,first_index,rows,oldest,newest,partial,bytes FROM block "

static int load_blocks(struct catalog *catalog, sqlite3 *database, const char *sql,
		       uint64_t *senseless)
{
	CLEANUP(sqlite3_stmt) sqlite3_stmt *statement = NULL;
	int code = SQLITE_DONE;
	int r = database_prepare(database, sql, &statement);

	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
		r = load_block(catalog, statement, senseless);
	return r < 0 ? r : database_error(code);
}

int catalog_load(struct catalog *catalog, sqlite3 *database, const char *boot_id,
		 uint64_t *ret_senseless)
{
	int r;

	*ret_senseless = 0;
	r = load_boots(catalog, database, boot_id);
	if (r == 0)
		r = load_blocks(catalog, database, SELECT_BLOCKS, ret_senseless);
	mark_overlaps(catalog, ret_senseless);
	return r;
}

/* ---- of a damaged database ---- */

#define MOST_PROBES 200000

/* Looks for each id between two; a damaged page hides only what is in it. */
static int probe(struct catalog *catalog, sqlite3 *database, uint64_t after, uint64_t before)
{
	CLEANUP(sqlite3_stmt) sqlite3_stmt *statement = NULL;
	uint64_t senseless = 0;
	int r = database_prepare(database, SELECT_BLOCKS "WHERE id=?", &statement);

	for (uint64_t i = 0; r == 0 && i < MOST_PROBES && after + i + 1 < before; i++) {
		database_bind(statement, 1, after + i + 1);
		if (sqlite3_step(statement) == SQLITE_ROW)
			r = load_block(catalog, statement, &senseless);
		sqlite3_reset(statement);
	}
	return r == -ENOMEM ? r : 0;
}

/* From the newest back, as far as it goes. */
static int load_backwards(struct catalog *catalog, sqlite3 *database, uint64_t until,
			  uint64_t *ret_first)
{
	CLEANUP(sqlite3_stmt) sqlite3_stmt *statement = NULL;
	uint64_t senseless = 0;
	int r = database_prepare(database, SELECT_BLOCKS "ORDER BY id DESC", &statement);

	*ret_first = until + MOST_PROBES;
	while (r == 0 && sqlite3_step(statement) == SQLITE_ROW &&
	       database_column(statement, 0) > until) {
		*ret_first = database_column(statement, 0);
		r = load_block(catalog, statement, &senseless);
	}
	return r == -ENOMEM ? r : 0;
}

int catalog_salvage(struct catalog *catalog, sqlite3 *database, const char *boot_id)
{
	uint64_t senseless = 0, last, first;
	int r = load_boots(catalog, database, boot_id);

	if (r != -ENOMEM)
		r = load_blocks(catalog, database, SELECT_BLOCKS, &senseless);
	if (r == 0 || r == -ENOMEM)
		goto done;
	last = catalog->last_id;
	r = load_backwards(catalog, database, last, &first);
	if (r == 0)
		r = probe(catalog, database, last, first);
done:
	mark_overlaps(catalog, &senseless);
	return r;
}

int catalog_list(const struct catalog *catalog, uint32_t boot, uint16_t stream, uint64_t since,
		 uint64_t until, struct archive_item **ret_items, size_t *ret_count)
{
	const struct shelf *shelf = catalog_shelf(catalog, boot, stream);
	struct archive_item *items;
	size_t count = 0;

	*ret_items = NULL;
	*ret_count = 0;
	if (!shelf || !shelf->count)
		return 0;
	items = malloc(shelf->count * sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < shelf->count; i++) {
		const struct entry *entry = &shelf->entries[i];

		if (!entry->damaged && entry->oldest <= until && entry->newest >= since)
			items[count++] = (struct archive_item){
				entry->id,     entry->first_index, entry->oldest,
				entry->newest, entry->rows,	   catalog->boot_rows[boot].number
			};
	}
	*ret_items = items;
	*ret_count = count;
	return 0;
}
