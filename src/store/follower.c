/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "store/query.h"
#include "store/segment.h"

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

/* What one call of follower_read() hands on. */
struct delivery {
	size_t left;
	void (*event)(void *context, const struct event *event);
	void *context;
	uint64_t missed;
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

/* Where the oldest event that is held stands. */
static uint64_t first_held(const struct stream *stream)
{
	const uint64_t appended = atomic_load_explicit(&stream->appended, memory_order_acquire);
	const uint64_t tail = atomic_load_explicit(&stream->tail, memory_order_acquire);
	struct segment segment;
	uint64_t index;

	for (uint64_t n = atomic_load_explicit(&stream->head, memory_order_acquire); n < tail;
	     n++) {
		if (segment_pin_sealed(stream, n, &segment)) {
			index = segment.first_index;
			segment_unpin(&segment);
			return index;
		}
	}
	if (!segment_pin_open(stream, &segment))
		return appended;
	index = segment.first_index;
	segment_unpin(&segment);
	return index;
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
					  : first_held(stream),
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
	struct event event = { .schema = segment->schema, .stream = (uint16_t)number };

	if (*index < segment->first_index) {
		delivery->missed += segment->first_index - *index;
		*index = segment->first_index;
	}
	for (; *index < end && delivery->left; ++*index, delivery->left--) {
		const uint32_t row = (uint32_t)(*index - segment->first_index);

		if (segment->block) {
			event.length = segment_record(segment, row, follower->record);
			event.record = follower->record;
		} else {
			event.length = segment->rows.lengths[row];
			event.record = segment->rows.data + (size_t)row * segment->rows.stride;
		}
		event.index = *index;
		event.timestamp = segment_timestamp(segment, row);
		delivery->event(delivery->context, &event);
	}
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
		delivery->missed += appended - position->index;
		position->index = appended;
	}
	return false;
}

size_t follower_read(struct follower *follower, size_t limit,
		     void (*event)(void *context, const struct event *event), void *context,
		     uint64_t *missed)
{
	struct delivery delivery = { .left = limit, .event = event, .context = context };

	grow(follower);
	for (size_t i = 0; i < follower->count; i++) {
		const size_t number = (follower->turn + i) % follower->count;

		while (delivery.left &&
		       step(follower, number, &follower->positions[number], &delivery))
			;
	}
	/* A busy stream takes all of a call; the next one begins with another. */
	follower->turn += follower->count > 0;
	*missed += delivery.missed;
	return limit - delivery.left;
}
