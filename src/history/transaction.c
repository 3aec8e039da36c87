/* SPDX-License-Identifier: MIT */
/* Changes of the database and of the catalog, both or none. */
#include <errno.h>
#include <stdio.h>
#include <zlib.h>

#include "history/internal.h"
#include "schema/serialise.h"

int transaction_begin(struct history *history)
{
	int r;

	if (history->in_transaction)
		return 0;
	if (!history->database)
		return -EIO;
	r = database_step(history->statements.begin);
	if (r == 0)
		history->in_transaction = true;
	return r;
}

static int plan_change(struct history *history, const struct change *change)
{
	if (history->change_count == history->change_capacity) {
		const size_t capacity = history->change_capacity * 2 + 64;
		struct change *changes =
			realloc(history->changes, capacity * sizeof(*history->changes));

		if (!changes)
			return -ENOMEM;
		history->changes = changes;
		history->change_capacity = capacity;
	}
	history->changes[history->change_count++] = *change;
	return 0;
}

/* What a row takes beside its parts, about. */
#define ROW_BYTES 128

static int insert_block(struct history *history, const struct codec_place *place,
			const struct codec_parts *parts, uint32_t boot, bool partial,
			uint64_t *ret_id)
{
	sqlite3_stmt *statement = history->statements.add_block;
	struct change change = {
		.kind = CHANGE_ADD,
		.boot = boot,
		.stream = (uint16_t)place->stream,
		.entry = { .id = history->next_id,
			   .first_index = place->first_index,
			   .oldest = place->oldest,
			   .newest = place->newest,
			   .rows = (uint32_t)place->rows,
			   .bytes = (uint32_t)(parts->head_size + parts->body_size + ROW_BYTES),
			   .partial = partial },
	};
	int r;

	database_bind(statement, 1, change.entry.id);
	database_bind(statement, 2, place->boot);
	database_bind(statement, 3, place->stream);
	database_bind(statement, 4, place->first_index);
	database_bind(statement, 5, place->rows);
	database_bind(statement, 6, place->oldest);
	database_bind(statement, 7, place->newest);
	database_bind(statement, 8, place->disorder);
	database_bind(statement, 9, partial);
	database_bind(statement, 10, change.entry.bytes);
	database_bind(statement, 11, parts->head_sum);
	database_bind(statement, 12, parts->body_sum);
	sqlite3_bind_blob(statement, 13, parts->head, (int)parts->head_size, SQLITE_STATIC);
	if (parts->body_size)
		sqlite3_bind_blob(statement, 14, parts->body, (int)parts->body_size, SQLITE_STATIC);
	else
		sqlite3_bind_zeroblob(statement, 14, 0);
	r = database_step(statement);
	if (r < 0)
		return r;
	history->next_id++;
	history->batch_bytes += change.entry.bytes;
	*ret_id = change.entry.id;
	return plan_change(history, &change);
}

int transaction_add(struct history *history, const struct codec_place *given,
		    const struct block *block, uint32_t boot, bool partial, uint64_t *ret_id)
{
	struct codec_place place = *given;
	struct codec_parts parts;
	int r = codec_encode(block, &history->head, &history->body);

	if (r < 0)
		return r;
	place.boot = history->catalog.boot_rows[boot].number;
	parts = (struct codec_parts){ .head = history->head.data,
				      .body = history->body.data,
				      .head_size = history->head.length,
				      .body_size = history->body.length };
	codec_sign(&place, &parts);
	return insert_block(history, &place, &parts, boot, partial, ret_id);
}

int transaction_remove(struct history *history, uint32_t boot, uint16_t stream, uint64_t id,
		       uint64_t first_index)
{
	int r;

	database_bind(history->statements.remove_block, 1, id);
	r = database_step(history->statements.remove_block);
	if (r < 0)
		return r;
	return plan_change(history,
			   &(struct change){ .kind = CHANGE_REMOVE,
					     .boot = boot,
					     .stream = stream,
					     .entry = { .id = id, .first_index = first_index } });
}

static uint64_t to_real(const struct history *history, uint32_t boot, uint64_t time)
{
	return time + (uint64_t)history->catalog.boots[boot].clock.to_real;
}

int transaction_retire(struct history *history, uint32_t boot, uint16_t stream,
		       const struct entry *entry)
{
	const uint64_t until = to_real(history, boot, entry->newest);
	char name[32];
	int r = transaction_remove(history, boot, stream, entry->id, entry->first_index);

	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "retired %u", stream);
	if (until > history->retired_until[stream])
		r = transaction_state(history, name, until);
	if (r < 0)
		return r;
	return plan_change(history, &(struct change){ .kind = CHANGE_RETIRED,
						      .stream = stream,
						      .entry = *entry,
						      .gap = { .until = until } });
}

int transaction_gap(struct history *history, const struct gap *gap, const char *reason)
{
	sqlite3_stmt *statement = history->statements.add_gap;
	int r;

	database_bind(statement, 1, gap->stream);
	database_bind(statement, 2, gap->since);
	database_bind(statement, 3, gap->until);
	database_bind(statement, 4, gap->events);
	sqlite3_bind_text(statement, 5, reason, -1, SQLITE_STATIC);
	r = database_step(statement);
	if (r == 0)
		r = database_step(history->statements.remove_gap);
	if (r < 0)
		return r;
	return plan_change(history, &(struct change){ .kind = CHANGE_GAP, .gap = *gap });
}

int transaction_stream(struct history *history, size_t stream, const struct stream_schema *schema)
{
	sqlite3_stmt *statement = history->statements.add_stream;
	BUFFER bytes = BUFFER_INIT;

	stream_schema_write(schema, &bytes);
	if (bytes.failed)
		return -ENOMEM;
	database_bind(statement, 1, stream);
	sqlite3_bind_text(statement, 2, schema->name, -1, SQLITE_STATIC);
	sqlite3_bind_blob(statement, 3, bytes.data, (int)bytes.length, SQLITE_TRANSIENT);
	database_bind(statement, 4, crc32_z(0, (const Bytef *)bytes.data, bytes.length));
	return database_step(statement);
}

int transaction_state(struct history *history, const char *name, uint64_t value)
{
	sqlite3_stmt *statement = history->statements.set_state;

	sqlite3_bind_text(statement, 1, name, -1, SQLITE_TRANSIENT);
	database_bind(statement, 2, value);
	return database_step(statement);
}

/* ---- the end of one ---- */

static void unpin_all(struct history *history)
{
	for (size_t i = 0; i < history->pinned_count; i++)
		segment_unpin(&history->pinned[i]);
	history->pinned_count = 0;
}

static void forget_transaction(struct history *history)
{
	unpin_all(history);
	history->in_transaction = false;
	history->change_count = 0;
	history->batch_bytes = 0;
}

void transaction_rollback(struct history *history)
{
	if (!history->in_transaction)
		return;
	if (history->database && !sqlite3_get_autocommit(history->database))
		database_step(history->statements.rollback);
	for (size_t i = 0; i < store_stream_count(history->options.store); i++)
		history->works[i].place = history->works[i].done;
	forget_transaction(history);
}

static void remember_gap(struct history *history, const struct gap *gap)
{
	if (history->gap_count == GAPS_MOST) {
		const struct gap *oldest = &history->gaps[0];

		if (oldest->until > history->retired_until[oldest->stream])
			history->retired_until[oldest->stream] = oldest->until;
		memmove(history->gaps, history->gaps + 1, (GAPS_MOST - 1) * sizeof(*history->gaps));
		history->gap_count--;
	}
	history->gaps[history->gap_count++] = *gap;
}

static void apply(struct history *history, const struct change *change)
{
	uint64_t *retired_until;

	switch (change->kind) {
	case CHANGE_ADD:
		catalog_add(&history->catalog, change->boot, change->stream, &change->entry);
		break;
	case CHANGE_REMOVE:
		catalog_remove(&history->catalog, change->boot, change->stream, change->entry.id,
			       change->entry.first_index);
		break;
	case CHANGE_GAP:
		remember_gap(history, &change->gap);
		break;
	case CHANGE_RETIRED:
		retired_until = &history->retired_until[change->stream];
		if (change->gap.until > *retired_until)
			*retired_until = change->gap.until;
		break;
	}
}

static int reserve(struct history *history)
{
	int r = 0;

	for (size_t i = 0; i < history->change_count && r == 0; i++) {
		if (history->changes[i].kind == CHANGE_ADD)
			r = catalog_reserve(&history->catalog, history->changes[i].boot,
					    history->changes[i].stream, history->change_count);
	}
	return r;
}

static void settle_works(struct history *history)
{
	for (size_t i = 0; i < store_stream_count(history->options.store); i++) {
		struct work *work = &history->works[i];

		atomic_fetch_add(&work->persisted, work->place.pending_persisted);
		atomic_fetch_add(&work->not_persisted, work->place.pending_missed);
		work->place.pending_persisted = work->place.pending_missed = 0;
		work->done = work->place;
		atomic_store(&work->written_to, work->done.index);
	}
}

static void count_figures(struct history *history)
{
	struct history_figures *figures = &history->figures;
	uint64_t oldest = UINT64_MAX;

	for (size_t i = 0; i < history->catalog.shelf_count; i++) {
		const struct shelf *shelf = history->catalog.shelves[i];
		uint64_t real;

		if (!shelf->count)
			continue;
		real = to_real(history, shelf->boot, shelf->entries[0].oldest);
		oldest = real < oldest ? real : oldest;
	}
	pthread_mutex_lock(&history->figures_lock);
	figures->blocks = history->catalog.blocks;
	figures->events = history->catalog.events;
	figures->oldest_real = oldest == UINT64_MAX ? 0 : oldest;
	figures->commits++;
	for (size_t i = 0; i < history->change_count; i++) {
		if (history->changes[i].kind == CHANGE_RETIRED)
			figures->retired += history->changes[i].entry.rows;
	}
	pthread_mutex_unlock(&history->figures_lock);
}

int transaction_commit(struct history *history)
{
	int r;

	if (!history->in_transaction)
		return 0;
	pthread_rwlock_wrlock(&history->vault.lock);
	r = reserve(history);
	if (r == 0)
		r = database_step(history->statements.commit);
	for (size_t i = 0; i < history->change_count && r == 0; i++)
		apply(history, &history->changes[i]);
	pthread_rwlock_unlock(&history->vault.lock);
	if (r < 0) {
		transaction_rollback(history);
		return r;
	}
	count_figures(history);
	settle_works(history);
	forget_transaction(history);
	return 0;
}
