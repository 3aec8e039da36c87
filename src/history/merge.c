/* SPDX-License-Identifier: MIT */
/*
 * Servers that ended left pieces of blocks that were never sealed: pieces that follow each other
 * become one block, so that they do not add up over many ends.
 */
#include <errno.h>
#include <sys/mman.h>

#include "history/internal.h"

/* Rows of pieces that are put together, with the memory for them. */
struct rows_of_pieces {
	struct rows rows;
	size_t mapped;
};

static void rows_fini(struct rows_of_pieces *pieces)
{
	if (pieces->mapped)
		munmap(pieces->rows.data, pieces->mapped);
}

static int rows_init(struct rows_of_pieces *pieces, const struct stream_schema *schema,
		     uint32_t count)
{
	const size_t bytes = (size_t)count * (schema->record_size + sizeof(uint16_t));
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	pieces->mapped = bytes;
	/* Records are multiples of 8 bytes, so the lengths behind them are aligned. */
	pieces->rows = (struct rows){
		.data = memory,
		.lengths = (uint16_t *)(void *)((uint8_t *)memory +
						(size_t)count * schema->record_size),
		.stride = schema->record_size,
		.capacity = count,
	};
	return 0;
}

int history_read_block(struct history *history, const struct entry *entry, uint32_t boot,
		       uint16_t stream, struct block **ret_block)
{
	sqlite3_stmt *statement = history->statements.read_block;
	struct codec_place place = {
		.boot = history->catalog.boot_rows[boot].number,
		.stream = stream,
		.first_index = entry->first_index,
		.rows = entry->rows,
		.oldest = entry->oldest,
		.newest = entry->newest,
	};
	struct codec_parts parts;
	int r;

	database_bind(statement, 1, entry->id);
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW) {
		place.disorder = database_column(statement, 2);
		parts = vault_parts(statement, 0);
		r = codec_decode(atomic_load(&history->vault.schemas[stream]), &place, &parts,
				 ret_block);
	} else {
		r = r == SQLITE_DONE ? -EBADMSG : database_error(r);
	}
	sqlite3_reset(statement);
	return r;
}

/* How many entries from `from` on are pieces that follow each other and fit one block. */
static size_t count_run(const struct history *history, const struct shelf *shelf, size_t from,
			uint32_t *ret_rows)
{
	const struct place *place = &history->works[shelf->stream].place;
	size_t count = 0;

	*ret_rows = 0;
	for (size_t i = from; i < shelf->count; i++) {
		const struct entry *entry = &shelf->entries[i];
		const bool open = shelf->boot == history->boot && place->chunk_count &&
				  entry->first_index >= place->chunks[0].first_index;

		if (!entry->partial || open || entry->damaged ||
		    *ret_rows + entry->rows > BLOCK_MAX_ROWS ||
		    (count && entry->first_index != entry[-1].first_index + entry[-1].rows))
			break;
		*ret_rows += entry->rows;
		count++;
	}
	return count;
}

static int add_piece(struct history *history, const struct shelf *shelf, const struct entry *entry,
		     struct rows_of_pieces *pieces, struct block_place *where)
{
	const struct stream_schema *schema = atomic_load(&history->vault.schemas[shelf->stream]);
	struct rows *rows = &pieces->rows;
	FREE struct block *block = NULL;
	int r = history_read_block(history, entry, shelf->boot, shelf->stream, &block);

	if (r < 0)
		return r;
	for (uint32_t row = 0; row < block->rows; row++, rows->count++) {
		const uint64_t time = block_integer(block, &block->column[HEADER_TIMESTAMP], row);

		rows->lengths[rows->count] = (uint16_t)block_row(
			block, schema, row, rows->data + (size_t)rows->count * rows->stride);
		where->oldest = time < where->oldest ? time : where->oldest;
		if (time >= where->newest)
			where->newest = time;
		else if (where->newest - time > where->disorder)
			where->disorder = where->newest - time;
	}
	return 0;
}

static int replace(struct history *history, const struct shelf *shelf, size_t from, size_t count,
		   const struct rows *rows, const struct block_place *where)
{
	const struct stream_schema *schema = atomic_load(&history->vault.schemas[shelf->stream]);
	size_t mapped;
	struct block *block = block_build(history->builder, schema, rows, where, &mapped);
	uint64_t id;
	int r;

	if (!block)
		return -ENOMEM;
	r = transaction_begin(history);
	if (r == 0)
		r = transaction_add(history,
				    &(struct codec_place){ .stream = shelf->stream,
							   .first_index = where->first_index,
							   .rows = rows->count,
							   .oldest = where->oldest,
							   .newest = where->newest,
							   .disorder = where->disorder },
				    block, shelf->boot, rows->count < BLOCK_MAX_ROWS / 2, &id);
	block_free(block, mapped);
	for (size_t i = from; i < from + count && r == 0; i++)
		r = transaction_remove(history, shelf->boot, shelf->stream, shelf->entries[i].id,
				       shelf->entries[i].first_index);
	if (r == 0)
		r = transaction_commit(history);
	if (r < 0)
		transaction_rollback(history);
	return r;
}

static int merge_pieces(struct history *history, const struct shelf *shelf, size_t from,
			size_t count, uint32_t total)
{
	__attribute__((cleanup(rows_fini))) struct rows_of_pieces pieces = { .mapped = 0 };
	struct block_place where = { .first_index = shelf->entries[from].first_index,
				     .oldest = UINT64_MAX };
	int r = rows_init(&pieces, atomic_load(&history->vault.schemas[shelf->stream]), total);

	for (size_t i = from; i < from + count && r == 0; i++)
		r = add_piece(history, shelf, &shelf->entries[i], &pieces, &where);
	return r < 0 ? r : replace(history, shelf, from, count, &pieces.rows, &where);
}

bool merge_run(struct history *history)
{
	const struct shelf *shelf;
	uint32_t rows;
	size_t count;

	if (!history->database || history->merge_shelf >= history->catalog.shelf_count)
		return false;
	shelf = history->catalog.shelves[history->merge_shelf];
	for (; history->merge_entry < shelf->count; history->merge_entry++) {
		count = count_run(history, shelf, history->merge_entry, &rows);
		if (count < 2)
			continue;
		/* Pieces that cannot be read stay what they are: damaged. */
		merge_pieces(history, shelf, history->merge_entry, count, rows);
		history->merge_entry += 1;
		return true;
	}
	history->merge_shelf++;
	history->merge_entry = 0;
	return true;
}
