/* SPDX-License-Identifier: MIT */
/* The writer's half of the store; how readers take part is in store/segment.h. */
#include "store/store.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "store/memory.h"
#include "store/segment.h"

struct store *store_new(size_t memory)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->limit = memory < STORE_MIN_MEMORY ? STORE_MIN_MEMORY : memory;
	atomic_init(&store->used, sizeof(*store));
	return store;
}

static void stream_fini(struct stream *stream)
{
	const uint64_t tail = atomic_load(&stream->tail);
	struct row_buffer *next;

	for (uint64_t number = atomic_load(&stream->head); number < tail; number++) {
		struct slot *slot = &stream->slots[number & stream->slot_mask];

		if (slot->number == (uint32_t)number && atomic_load(&slot->state))
			block_free(slot->block, block_mapped(slot->block));
	}
	for (struct row_buffer *buffer = stream->buffers; buffer; buffer = next) {
		next = buffer->next;
		if (buffer->mapped)
			munmap(buffer->rows.data, buffer->mapped);
		free(buffer);
	}
	free(stream->slots);
}

void store_free(struct store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < store_stream_count(store); i++)
		stream_fini(&store->streams[i]);
	block_builder_free(store->builder);
	free(store);
}

int store_add_stream(struct store *store, const struct stream_schema *schema)
{
	const size_t number = atomic_load_explicit(&store->stream_count, memory_order_relaxed);

	if (number == STORE_MAX_STREAMS)
		return -ENOSPC;
	store->streams[number].schema = schema;
	atomic_store_explicit(&store->stream_count, number + 1, memory_order_release);
	return (int)number;
}

void store_set_first_index(struct store *store, size_t number, uint64_t index)
{
	struct stream *stream = &store->streams[number];

	stream->next_index = index;
	atomic_store_explicit(&stream->first, index, memory_order_relaxed);
	atomic_store_explicit(&stream->settled, index, memory_order_relaxed);
	atomic_store_explicit(&stream->appended, index, memory_order_release);
}

size_t store_stream_count(const struct store *store)
{
	return atomic_load_explicit(&store->stream_count, memory_order_acquire);
}

const struct stream_schema *store_stream_schema(const struct store *store, size_t stream)
{
	return store->streams[stream].schema;
}

static void count(_Atomic uint64_t *figure, uint64_t more)
{
	/* One writer: no read-modify-write is needed. Release: see store_figures(). */
	atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + more,
			      memory_order_release);
}

static void raise_to(_Atomic uint64_t *figure, uint64_t value)
{
	if (value > atomic_load_explicit(figure, memory_order_relaxed))
		atomic_store_explicit(figure, value, memory_order_relaxed);
}

void store_publish(struct store *store, size_t number)
{
	struct stream *stream = &store->streams[number];
	struct row_buffer *buffer = stream->current;
	const struct block_place *place = &stream->place;
	uint64_t oldest;

	if (!buffer || stream->fill == atomic_load_explicit(&buffer->count, memory_order_relaxed))
		return;
	atomic_store_explicit(&buffer->oldest, place->oldest, memory_order_relaxed);
	atomic_store_explicit(&buffer->newest, place->newest, memory_order_relaxed);
	atomic_store_explicit(&buffer->disorder, place->disorder, memory_order_relaxed);
	atomic_store_explicit(&buffer->count, stream->fill, memory_order_release);

	oldest = atomic_load_explicit(&stream->oldest, memory_order_relaxed);
	if (!oldest || place->oldest < oldest)
		atomic_store_explicit(&stream->oldest, place->oldest, memory_order_relaxed);
	raise_to(&stream->newest, place->newest);
	atomic_store_explicit(&stream->appended, stream->next_index, memory_order_release);
}

void store_settle(struct store *store, size_t number)
{
	struct stream *stream = &store->streams[number];

	atomic_store_explicit(&stream->settled,
			      atomic_load_explicit(&stream->appended, memory_order_relaxed),
			      memory_order_release);
}

/* Sealed or not, the rows of the current block are gone from memory. */
static void expire(struct stream *stream, uint64_t rows, uint64_t newest)
{
	raise_to(&stream->expired_until, newest);
	count(&stream->expired, rows);
}

/* Turns the current rows into a block in the directory; false when there is no room for it. */
static bool seal_rows(struct store *store, struct stream *stream)
{
	struct row_buffer *buffer = stream->current;
	struct slot *slot = &stream->slots[buffer->number & stream->slot_mask];
	struct rows rows = buffer->rows;
	size_t bound, mapped;

	rows.count = stream->fill;
	bound = block_bound(stream->schema, rows.count);
	if (!memory_free_slot(store, stream, slot) || !memory_take(store, stream, bound))
		return false;
	slot->block = block_build(store->builder, stream->schema, &rows, &stream->place, &mapped);
	memory_give(store, stream, slot->block ? bound - mapped : bound);
	if (!slot->block)
		return false;
	slot->number = (uint32_t)buffer->number;
	slot->oldest = stream->place.oldest;
	slot->newest = stream->place.newest;
	atomic_store_explicit(&slot->state, PIN_LIVE, memory_order_release);
	count(&stream->blocks, 1);
	return true;
}

/* The current block is full: its rows become a sealed block, and are free, or left to their
 * readers. */
static void seal(struct store *store, struct stream *stream)
{
	struct row_buffer *buffer = stream->current;
	bool sealed;

	store_publish(store, (size_t)(stream - store->streams));
	sealed = seal_rows(store, stream);
	atomic_store_explicit(&stream->tail, buffer->number + 1, memory_order_release);
	/* In this order: who does not find the rows finds the block. */
	atomic_store_explicit(&stream->open, NULL, memory_order_release);
	atomic_fetch_and_explicit(&buffer->state, ~PIN_LIVE, memory_order_acq_rel);
	stream->current = NULL;
	stream->fill = 0;
	if (!sealed) {
		expire(stream, stream->next_index - stream->place.first_index,
		       stream->place.newest);
		memory_refresh_times(stream);
	}
}

/* Opens a block for the next event; false when there is no memory for its rows. */
static bool open_rows(struct store *store, struct stream *stream)
{
	struct row_buffer *buffer = memory_row_buffer(store, stream);

	if (!buffer)
		return false;
	buffer->number = atomic_load_explicit(&stream->tail, memory_order_relaxed);
	buffer->first_index = stream->next_index;
	stream->place =
		(struct block_place){ .first_index = stream->next_index, .oldest = UINT64_MAX };
	atomic_store_explicit(&buffer->count, 0, memory_order_relaxed);
	atomic_store_explicit(&buffer->oldest, UINT64_MAX, memory_order_relaxed);
	atomic_store_explicit(&buffer->newest, 0, memory_order_relaxed);
	atomic_store_explicit(&buffer->disorder, 0, memory_order_relaxed);
	atomic_store_explicit(&buffer->state, PIN_LIVE, memory_order_release);
	atomic_store_explicit(&stream->open, buffer, memory_order_release);
	stream->current = buffer;
	stream->fill = 0;
	return true;
}

static uint64_t record_timestamp(const struct stream *stream, const void *record)
{
	uint64_t timestamp;

	memcpy(&timestamp,
	       (const uint8_t *)record + stream->schema->fields[HEADER_TIMESTAMP].offset,
	       sizeof(timestamp));
	return timestamp;
}

static __attribute__((noinline)) bool next_rows(struct store *store, struct stream *stream,
						const void *record)
{
	if (stream->current)
		seal(store, stream);
	if (open_rows(store, stream))
		return true;
	stream->next_index++;
	/* Before it is counted as expired, so that no reader sees more expired than appended. */
	atomic_store_explicit(&stream->appended, stream->next_index, memory_order_release);
	expire(stream, 1, record_timestamp(stream, record));
	return false;
}

void store_append(struct store *store, size_t number, const void *record, size_t length)
{
	struct stream *stream = &store->streams[number];
	const uint64_t timestamp = record_timestamp(stream, record);
	struct block_place *place = &stream->place;
	struct rows *rows;

	if ((!stream->current || stream->fill == stream->capacity) &&
	    !next_rows(store, stream, record))
		return;
	rows = &stream->current->rows;
	memcpy(rows->data + (size_t)stream->fill * rows->stride, record, length);
	rows->lengths[stream->fill++] = (uint16_t)length;
	stream->next_index++;
	place->oldest = timestamp < place->oldest ? timestamp : place->oldest;
	if (timestamp >= place->newest)
		place->newest = timestamp;
	else if (place->newest - timestamp > place->disorder)
		place->disorder = place->newest - timestamp;
}

void store_figures(const struct store *store, size_t number, struct store_figures *ret_figures)
{
	const struct stream *stream = &store->streams[number];
	/* First what expired: events are appended before, so what is held never comes out
	 * negative. */
	const uint64_t expired = atomic_load_explicit(&stream->expired, memory_order_acquire);
	const uint64_t first = atomic_load_explicit(&stream->first, memory_order_relaxed);
	const uint64_t appended =
		atomic_load_explicit(&stream->appended, memory_order_acquire) - first;

	*ret_figures = (struct store_figures){
		.first = first,
		.appended = appended,
		.held = appended - expired,
		.expired = expired,
		.bytes = atomic_load_explicit(&stream->bytes, memory_order_relaxed),
		.blocks = atomic_load_explicit(&stream->blocks, memory_order_relaxed),
		.expired_until = atomic_load_explicit(&stream->expired_until, memory_order_relaxed),
	};
	if (!ret_figures->held)
		return;
	ret_figures->oldest = atomic_load_explicit(&stream->oldest, memory_order_relaxed);
	ret_figures->newest = atomic_load_explicit(&stream->newest, memory_order_relaxed);
}

size_t store_memory_limit(const struct store *store)
{
	return store->limit;
}

size_t store_memory_used(const struct store *store)
{
	return atomic_load_explicit(&store->used, memory_order_relaxed);
}
