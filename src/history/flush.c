/* SPDX-License-Identifier: MIT */
/* From the store to the database: sealed blocks as they are, rows of open ones in pieces. */
#include <errno.h>

#include "base/log.h"
#include "history/internal.h"

/* The age, in fifths of the flush interval, from which a row of an open block is written. Looked at
 * each fifth, it is on its way at three fifths at most; two are for the disk. Blocks that fill up
 * before are written once, sealed. */
#define DUE_FIFTHS 2

static struct stream *stream_of(const struct history *history, size_t number)
{
	return &history->options.store->streams[number];
}

static uint64_t settled(const struct stream *stream)
{
	return atomic_load_explicit(&stream->settled, memory_order_acquire);
}

static uint64_t real_of(const struct history *history, uint64_t time)
{
	return time + (uint64_t)history->catalog.boots[history->boot].clock.to_real;
}

/* ---- what is missing ---- */

/* Events left memory before they were written: until `until` (ns since boot). */
static int note_missed(struct history *history, size_t number, uint64_t events, uint64_t until)
{
	struct place *place = &history->works[number].place;
	int r = transaction_begin(history);

	if (r == 0)
		r = transaction_gap(
			history,
			&(struct gap){ .stream = (uint16_t)number,
				       .since = place->time ? real_of(history, place->time) : 0,
				       .until = real_of(history, until),
				       .events = events },
			"left memory before it was written");
	place->pending_missed += events;
	place->index += events;
	return r;
}

/* ---- one block ---- */

static int write_sealed(struct history *history, size_t number, struct segment *segment)
{
	struct work *work = &history->works[number];
	struct place *place = &work->place;
	const struct block *block = segment->block;
	const uint64_t end = segment->first_index + segment->count;
	const struct codec_place where = {
		.stream = number,
		.first_index = segment->first_index,
		.rows = segment->count,
		.oldest = block->oldest,
		.newest = block->newest,
		.disorder = block->disorder,
	};
	uint64_t id;
	int r = transaction_add(history, &where, block, history->boot, false, &id);

	for (uint32_t i = 0; i < place->chunk_count && r == 0; i++)
		r = transaction_remove(history, history->boot, (uint16_t)number,
				       place->chunks[i].id, place->chunks[i].first_index);
	if (r < 0)
		return r;
	place->pending_persisted += end - place->index;
	place->index = end;
	place->time = block->newest > place->time ? block->newest : place->time;
	place->chunk_count = 0;
	place->seen_at = 0;
	place->number++;
	return 0;
}

static struct block_place place_of_rows(const struct segment *segment, uint32_t from, uint32_t to)
{
	struct block_place place = { .first_index = segment->first_index + from,
				     .oldest = UINT64_MAX };

	for (uint32_t row = from; row < to; row++) {
		const uint64_t time = segment_timestamp(segment, row);

		place.oldest = time < place.oldest ? time : place.oldest;
		if (time >= place.newest)
			place.newest = time;
		else if (place.newest - time > place.disorder)
			place.disorder = place.newest - time;
	}
	return place;
}

static int add_chunk(struct history *history, size_t number, const struct segment *segment,
		     uint32_t from, uint32_t to)
{
	struct place *place = &history->works[number].place;
	const struct rows rows = {
		.data = segment->rows.data + (size_t)from * segment->rows.stride,
		.lengths = segment->rows.lengths + from,
		.stride = segment->rows.stride,
		.count = to - from,
	};
	const struct block_place where = place_of_rows(segment, from, to);
	struct block *block;
	size_t mapped;
	uint64_t id;
	int r;

	block = block_build(history->builder, segment->schema, &rows, &where, &mapped);
	if (!block)
		return -ENOMEM;
	r = transaction_add(history,
			    &(struct codec_place){ .stream = number,
						   .first_index = where.first_index,
						   .rows = rows.count,
						   .oldest = where.oldest,
						   .newest = where.newest,
						   .disorder = where.disorder },
			    block, history->boot, true, &id);
	block_free(block, mapped);
	if (r < 0)
		return r;
	place->time = where.newest > place->time ? where.newest : place->time;
	place->chunks[place->chunk_count++] = (struct chunk){ id, where.first_index };
	return 0;
}

/* The rows that came since, up to `to`. */
static int write_open(struct history *history, size_t number, const struct segment *segment,
		      uint32_t to)
{
	struct place *place = &history->works[number].place;
	uint32_t from = (uint32_t)(place->index - segment->first_index);
	int r = 0;

	/* Many pieces become one, which is the block so far. */
	if (place->chunk_count == CHUNKS_MOST) {
		for (uint32_t i = 0; i < CHUNKS_MOST && r == 0; i++)
			r = transaction_remove(history, history->boot, (uint16_t)number,
					       place->chunks[i].id, place->chunks[i].first_index);
		place->chunk_count = 0;
		from = 0;
	}
	if (r == 0)
		r = add_chunk(history, number, segment, from, to);
	if (r < 0)
		return r;
	place->pending_persisted += segment->first_index + to - place->index;
	place->index = segment->first_index + to;
	place->seen_at = 0;
	return 0;
}

/* ---- one stream ---- */

/* Rows that are not written yet are so old that they have to be now. */
static bool is_due(const struct history *history, struct place *place,
		   const struct segment *segment)
{
	const uint64_t age = history->options.flush_ns / 5 * DUE_FIFTHS;
	const uint64_t now = clock_boot_ns();
	const uint64_t time =
		segment_timestamp(segment, (uint32_t)(place->index - segment->first_index));

	/* A program may say what time it likes. */
	if (!place->seen_at)
		place->seen_at = now;
	return (now > time && now - time >= age) || now - place->seen_at >= age;
}

static int make_room_in_batch(struct history *history)
{
	if (history->pinned_count < BATCH_BLOCKS && history->batch_bytes < history->batch_limit)
		return 0;
	return history_commit(history);
}

/* A pinned block, sealed or open. Sets *ret_more when the next one is to be looked at. */
static int write_segment(struct history *history, size_t number, struct segment *segment, bool all,
			 bool *ret_more)
{
	struct place *place = &history->works[number].place;
	const uint64_t limit = settled(stream_of(history, number));
	const uint64_t end = segment->first_index + segment->count;
	const uint64_t ready = limit < end ? limit : end;
	int r;

	*ret_more = false;
	if (segment->first_index > place->index) {
		/* Pieces of a block that was never sealed stay as they are. */
		r = note_missed(history, number, segment->first_index - place->index,
				segment->oldest);
		place->chunk_count = 0;
		place->seen_at = 0;
		if (r < 0)
			return r;
	}
	if (ready <= place->index && !(segment->block && place->index == end))
		return 0;
	if (segment->block ? ready < end : !all && !is_due(history, place, segment))
		return 0;
	r = transaction_begin(history);
	if (r < 0)
		return r;
	*ret_more = segment->block;
	r = segment->block ? write_sealed(history, number, segment)
			   : write_open(history, number, segment,
					(uint32_t)(ready - segment->first_index));
	if (r == 0) {
		/* Until this is committed, it is in memory for questions to find. */
		history->pinned[history->pinned_count++] = *segment;
		segment->state = NULL;
	}
	return r;
}

/* Nothing is held at `place->number`. True when there is something behind it. */
static bool skip_gone(const struct history *history, size_t number)
{
	const struct stream *stream = stream_of(history, number);
	struct place *place = &history->works[number].place;
	const uint64_t tail = atomic_load_explicit(&stream->tail, memory_order_acquire);
	const uint64_t head = atomic_load_explicit(&stream->head, memory_order_acquire);

	if (place->number >= tail)
		return false;
	place->number = head > place->number ? head : place->number + 1;
	return true;
}

/* All that came has gone from memory. */
static int note_all_gone(struct history *history, size_t number, uint64_t appended)
{
	struct place *place = &history->works[number].place;
	struct store_figures figures;

	if (appended <= place->index)
		return 0;
	store_figures(history->options.store, number, &figures);
	place->chunk_count = 0;
	place->seen_at = 0;
	return note_missed(history, number, appended - place->index,
			   figures.expired_until ? figures.expired_until : clock_boot_ns());
}

static int record_stream(struct history *history, size_t number)
{
	struct work *work = &history->works[number];
	const struct stream *stream = stream_of(history, number);
	int r;

	if (work->place.in_database)
		return 0;
	r = transaction_begin(history);
	if (r == 0)
		r = transaction_stream(history, number, stream->schema);
	if (r < 0)
		return r;
	atomic_store(&history->vault.schemas[number], stream->schema);
	if (number >= atomic_load(&history->vault.stream_count))
		atomic_store(&history->vault.stream_count, number + 1);
	work->place.in_database = true;
	return 0;
}

static int begin_stream(struct history *history, size_t number)
{
	struct work *work = &history->works[number];
	const struct stream *stream = stream_of(history, number);
	int r = 0;

	/* Numbers are places in the store: one that is left out would shift those after it. */
	for (size_t i = 0; i <= number && r == 0; i++)
		r = record_stream(history, i);
	if (r < 0)
		return r;
	if (work->place.begun)
		return 0;
	work->place.index = atomic_load_explicit(&stream->first, memory_order_relaxed);
	work->place.begun = true;
	work->done.begun = true;
	work->done.index = work->place.index;
	atomic_store(&work->written_to, work->place.index);
	return 0;
}

static int flush_stream(struct history *history, size_t number, bool all)
{
	const struct stream *stream = stream_of(history, number);
	struct work *work = &history->works[number];
	bool more = true;
	int r = 0;

	/* Most of the time most streams have nothing new. */
	if (work->place.begun && settled(stream) <= work->place.index && !all)
		return 0;
	if (!work->place.begun && !atomic_load_explicit(&stream->appended, memory_order_acquire))
		return 0;
	r = begin_stream(history, number);
	while (r == 0 && more) {
		/* Loaded before the look, so that what comes meanwhile is not taken for lost. */
		const uint64_t appended = settled(stream);
		struct segment segment;

		r = make_room_in_batch(history);
		if (r < 0)
			break;
		if (segment_pin(stream, work->place.number, &segment)) {
			r = write_segment(history, number, &segment, all, &more);
			segment_unpin(&segment);
		} else if (!skip_gone(history, number)) {
			more = false;
			r = note_all_gone(history, number, appended);
		}
	}
	return r;
}

bool flush_is_pending(const struct history *history)
{
	const size_t count = store_stream_count(history->options.store);

	for (size_t i = 0; i < count; i++) {
		if (settled(stream_of(history, i)) > atomic_load(&history->works[i].written_to))
			return true;
	}
	return false;
}

/* ---- a transaction ---- */

/* The wall clock may have been set. */
static int update_clock(struct history *history)
{
	struct event_boot *clock = &history->catalog.boots[history->boot].clock;
	const int64_t now = clock_boot_to_real_offset();
	const int64_t moved = now > history->to_real ? now - history->to_real
						     : history->to_real - now;

	if (moved < (int64_t)NS_PER_MS)
		return 0;
	pthread_rwlock_wrlock(&history->vault.lock);
	clock->to_real = now;
	pthread_rwlock_unlock(&history->vault.lock);
	history->to_real = now;
	return history_write_boot(history, history->boot);
}

int history_commit(struct history *history)
{
	int r = 0;

	if (!history->in_transaction)
		return 0;
	r = update_clock(history);
	if (r == 0)
		r = retain_run(history);
	return r < 0 ? r : transaction_commit(history);
}

int flush_run(struct history *history, bool all)
{
	const size_t count = store_stream_count(history->options.store);
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = flush_stream(history, i, all);
	if (r == 0)
		r = history_commit(history);
	if (r < 0)
		transaction_rollback(history);
	return r;
}
