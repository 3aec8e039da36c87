/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "store/query.h"
#include "store/segment.h"

_Static_assert(BATCH_MAX_EVENTS == BLOCK_MAX_ROWS, "a batch may be a block");

struct position {
	uint64_t number; /* block to look at next */
	uint64_t index;	 /* first event not yet given */
};

struct follower {
	const struct store *store;
	struct position *positions;
	size_t count; /* of streams that have a position */
	size_t turn;  /* stream that comes first in the next call */
	uint8_t *record;
	size_t record_size;
};

/* What one call hands on. */
struct delivery {
	size_t left;
	void (*take)(void *context, const struct event_batch *batch);
	void *context;
};

/* Makes room for streams that were added since; without memory they wait for the next call. */
static bool grow(struct follower *follower)
{
	const size_t count = store_stream_count(follower->store);
	size_t record_size = follower->record_size;
	struct position *positions;
	uint8_t *record;

	if (count == follower->count)
		return true;
	for (size_t i = follower->count; i < count; i++) {
		const struct stream_schema *schema = store_stream_schema(follower->store, i);

		record_size = schema->record_size > record_size ? schema->record_size : record_size;
	}
	record = realloc(follower->record, record_size);
	if (!record)
		return false;
	follower->record = record;
	follower->record_size = record_size;
	positions = realloc(follower->positions, count * sizeof(*positions));
	if (!positions)
		return false;
	memset(positions + follower->count, 0, (count - follower->count) * sizeof(*positions));
	follower->positions = positions;
	follower->count = count;
	return true;
}

struct follower *follower_new(const struct store *store, bool from_now)
{
	CLEANUP(follower) struct follower *follower = calloc(1, sizeof(*follower));

	if (!follower)
		return NULL;
	follower->store = store;
	if (!grow(follower))
		return NULL;
	for (size_t i = 0; i < follower->count; i++) {
		const struct stream *stream = &store->streams[i];

		follower->positions[i] = (struct position){
			.number = atomic_load_explicit(&stream->head, memory_order_acquire),
			.index = from_now ? atomic_load_explicit(&stream->appended,
								 memory_order_acquire)
					  : store_first_held(store, i),
		};
	}
	return TAKE(follower);
}

void follower_free(struct follower *follower)
{
	if (!follower)
		return;
	free(follower->positions);
	free(follower->record);
	free(follower);
}

/* Gives what a block holds from `index` on, as far as the limit goes. */
static void deliver(const struct follower *follower, size_t number, const struct segment *segment,
		    uint64_t *index, struct delivery *delivery)
{
	const uint64_t end = segment->first_index + segment->count;
	struct event_batch batch = {
		.schema = segment->schema,
		.stream = (uint16_t)number,
		.segment = segment,
		.record = follower->record,
	};

	if (*index < segment->first_index) {
		batch.missed = segment->first_index - *index;
		*index = segment->first_index;
	}
	batch.first_index = *index;
	batch.from = (uint32_t)(*index - segment->first_index);
	if (*index < end)
		batch.count = end - *index < delivery->left ? (uint32_t)(end - *index)
							    : (uint32_t)delivery->left;
	if (!batch.count && !batch.missed)
		return;
	*index += batch.count;
	delivery->left -= batch.count;
	delivery->take(delivery->context, &batch);
}

/* One step: a block, or over a gap. False when there is nothing more now. */
static bool step(const struct follower *follower, size_t number, struct position *position,
		 struct delivery *delivery)
{
	const struct stream *stream = &follower->store->streams[number];
	/* Loaded before the look, so that what comes meanwhile is not taken for lost. */
	const uint64_t appended = atomic_load_explicit(&stream->appended, memory_order_acquire);
	const uint64_t tail = atomic_load_explicit(&stream->tail, memory_order_acquire);
	const uint64_t first = atomic_load_explicit(&stream->first, memory_order_relaxed);
	struct segment segment;
	bool sealed, finished;

	/* What came before this store's first event, nobody could follow. */
	if (position->index < first)
		position->index = first;
	if (segment_pin(stream, position->number, &segment)) {
		deliver(follower, number, &segment, &position->index, delivery);
		sealed = segment.block;
		finished = position->index >= segment.first_index + segment.count;
		segment_unpin(&segment);
		if (!sealed || !finished)
			return false;
		position->number++;
		return true;
	}
	if (position->number < tail) {
		const uint64_t head = atomic_load_explicit(&stream->head, memory_order_acquire);

		position->number = head > position->number ? head : position->number + 1;
		return true;
	}
	/* No block is left, so neither are the events that were in them. */
	if (position->index < appended) {
		const struct event_batch batch = {
			.schema = stream->schema,
			.stream = (uint16_t)number,
			.missed = appended - position->index,
			.first_index = appended,
		};

		position->index = appended;
		delivery->take(delivery->context, &batch);
	}
	return false;
}

size_t follower_read_batches(struct follower *follower, size_t limit,
			     void (*take)(void *context, const struct event_batch *batch),
			     void *context)
{
	struct delivery delivery = { .left = limit, .take = take, .context = context };

	grow(follower);
	for (size_t i = 0; i < follower->count; i++) {
		const size_t number = (follower->turn + i) % follower->count;

		while (delivery.left &&
		       step(follower, number, &follower->positions[number], &delivery))
			;
	}
	/* A busy stream takes all of a call; the next one begins with another. */
	follower->turn += follower->count > 0;
	return limit - delivery.left;
}

void batch_filter(const struct event_batch *batch, const struct filter *filter, uint64_t *bits)
{
	const struct segment *segment = batch->segment;

	if (segment->block)
		block_filter(segment->block, batch->schema, filter, batch->from,
			     batch->from + batch->count, bits);
	else
		rows_filter(&segment->rows, batch->schema, filter, batch->from,
			    batch->from + batch->count, bits);
}

void batch_event(const struct event_batch *batch, uint32_t i, struct event *ret_event)
{
	const struct segment *segment = batch->segment;
	const uint32_t row = batch->from + i;

	*ret_event = (struct event){
		.schema = batch->schema,
		.stream = batch->stream,
		.index = batch->first_index + i,
		.timestamp = segment_timestamp(segment, row),
	};
	if (segment->block) {
		ret_event->length = segment_record(segment, row, batch->record);
		ret_event->record = batch->record;
	} else {
		ret_event->length = segment->rows.lengths[row];
		ret_event->record = segment->rows.data + (size_t)row * segment->rows.stride;
	}
}

uint64_t follower_position(const struct follower *follower, size_t stream)
{
	uint64_t first, index;

	if (stream >= follower->count)
		return 0;
	first = atomic_load_explicit(&follower->store->streams[stream].first, memory_order_relaxed);
	index = follower->positions[stream].index;
	return index > first ? index : first;
}

void follower_skip(struct follower *follower)
{
	grow(follower);
	for (size_t i = 0; i < follower->count; i++) {
		const struct stream *stream = &follower->store->streams[i];

		/* The block first: it may be left behind, and then is passed over. */
		follower->positions[i].number =
			atomic_load_explicit(&stream->head, memory_order_acquire);
		follower->positions[i].index =
			atomic_load_explicit(&stream->appended, memory_order_acquire);
	}
}

/* ---- one by one ---- */

struct one_by_one {
	void (*event)(void *context, const struct event *event);
	void *context;
	uint64_t *missed;
};

static void hand_on(void *context, const struct event_batch *batch)
{
	const struct one_by_one *reader = context;
	struct event event;

	*reader->missed += batch->missed;
	for (uint32_t i = 0; i < batch->count; i++) {
		batch_event(batch, i, &event);
		reader->event(reader->context, &event);
	}
}

size_t follower_read(struct follower *follower, size_t limit,
		     void (*event)(void *context, const struct event *event), void *context,
		     uint64_t *missed)
{
	struct one_by_one reader = { .event = event, .context = context, .missed = missed };

	return follower_read_batches(follower, limit, hand_on, &reader);
}
