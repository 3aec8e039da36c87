/* SPDX-License-Identifier: MIT */
#include "store/memory.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Rows of one stream: enough to make columns worth while, little enough to stay in a core's cache
 * while they are turned, and only a small part of the limit when there are many streams. */
#define ROWS_MOST_BYTES ((size_t)1 << 20)
#define ROWS_FEWEST 256u
#define FEWEST_STREAMS 8u

static size_t page_round(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

size_t block_mapped(const struct block *block)
{
	return page_round(block->bytes);
}

static size_t stream_shares(const struct store *store)
{
	size_t streams = store_stream_count(store);

	return streams < FEWEST_STREAMS ? FEWEST_STREAMS : streams;
}

static uint32_t choose_capacity(const struct store *store, const struct stream_schema *schema)
{
	const size_t share = store->limit / stream_shares(store);
	const size_t row = schema->record_size + sizeof(uint16_t);
	size_t capacity = (share / 8 < ROWS_MOST_BYTES ? share / 8 : ROWS_MOST_BYTES) / row;

	if (capacity < ROWS_FEWEST)
		capacity = ROWS_FEWEST * row <= share / 4 ? ROWS_FEWEST : share / 4 / row;
	if (capacity > BLOCK_MAX_ROWS)
		capacity = BLOCK_MAX_ROWS;
	return capacity ? (uint32_t)capacity : 1;
}

/* A power of two: as many as the limit has room for small blocks, but no more than a small part of
 * the limit for the slots themselves. */
static uint32_t choose_slots(const struct store *store)
{
	const size_t blocks = store->limit / 8192;
	const size_t most = store->limit / stream_shares(store) / 32 / sizeof(struct slot);
	uint32_t count = 16;

	while (count * 2 <= blocks && count * 2 <= most)
		count *= 2;
	return count;
}

/* ---- taking and giving ---- */

static void add_bytes(struct stream *stream, uint64_t bytes)
{
	atomic_store_explicit(&stream->bytes,
			      atomic_load_explicit(&stream->bytes, memory_order_relaxed) + bytes,
			      memory_order_relaxed);
}

void memory_give(struct store *store, struct stream *stream, size_t bytes)
{
	atomic_fetch_sub_explicit(&store->used, bytes, memory_order_relaxed);
	add_bytes(stream, -(uint64_t)bytes);
}

static bool slot_holds(const struct slot *slot, uint64_t number)
{
	return slot->number == (uint32_t)number &&
	       (atomic_load_explicit(&slot->state, memory_order_relaxed) & PIN_LIVE);
}

void memory_refresh_times(struct stream *stream)
{
	const uint64_t tail = atomic_load_explicit(&stream->tail, memory_order_relaxed);
	uint64_t oldest = UINT64_MAX, newest = 0;

	if (stream->current && stream->fill) {
		oldest = stream->place.oldest;
		newest = stream->place.newest;
	}
	for (uint64_t n = atomic_load_explicit(&stream->head, memory_order_relaxed); n < tail;
	     n++) {
		const struct slot *slot = &stream->slots[n & stream->slot_mask];

		if (!slot_holds(slot, n))
			continue;
		oldest = slot->oldest < oldest ? slot->oldest : oldest;
		newest = slot->newest > newest ? slot->newest : newest;
	}
	atomic_store_explicit(&stream->oldest, oldest == UINT64_MAX ? 0 : oldest,
			      memory_order_relaxed);
	atomic_store_explicit(&stream->newest, newest, memory_order_relaxed);
}

static void move_head(struct stream *stream)
{
	const uint64_t tail = atomic_load_explicit(&stream->tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&stream->head, memory_order_relaxed);

	while (head < tail && !slot_holds(&stream->slots[head & stream->slot_mask], head))
		head++;
	atomic_store_explicit(&stream->head, head, memory_order_release);
}

static bool evict_slot(struct store *store, struct stream *stream, struct slot *slot)
{
	struct block *block = slot->block;
	uint32_t unread = PIN_LIVE;
	size_t mapped;

	if (!atomic_compare_exchange_strong_explicit(&slot->state, &unread, 0, memory_order_acq_rel,
						     memory_order_relaxed))
		return false;
	mapped = block_mapped(block);
	if (slot->newest > atomic_load_explicit(&stream->expired_until, memory_order_relaxed))
		atomic_store_explicit(&stream->expired_until, slot->newest, memory_order_relaxed);
	atomic_fetch_add_explicit(&stream->expired, block->rows, memory_order_release);
	atomic_fetch_sub_explicit(&stream->blocks, 1, memory_order_relaxed);
	block_free(block, mapped);
	slot->block = NULL;
	memory_give(store, stream, mapped);
	move_head(stream);
	memory_refresh_times(stream);
	return true;
}

bool memory_free_slot(struct store *store, struct stream *stream, struct slot *slot)
{
	return !(atomic_load_explicit(&slot->state, memory_order_acquire)) ||
	       evict_slot(store, stream, slot);
}

/* The oldest block of a stream that nobody reads. */
static bool evict_oldest(struct store *store, struct stream *stream)
{
	const uint64_t tail = atomic_load_explicit(&stream->tail, memory_order_relaxed);

	for (uint64_t n = atomic_load_explicit(&stream->head, memory_order_relaxed); n < tail;
	     n++) {
		struct slot *slot = &stream->slots[n & stream->slot_mask];

		if (slot_holds(slot, n) && evict_slot(store, stream, slot))
			return true;
	}
	return false;
}

static uint64_t bytes_of(const struct stream *stream)
{
	return atomic_load_explicit(&stream->bytes, memory_order_relaxed);
}

/* The oldest block of the stream that holds most; of the next one where all are being read. */
static bool evict(struct store *store)
{
	const size_t count = store_stream_count(store);
	bool tried[STORE_MAX_STREAMS] = { false };

	for (size_t round = 0; round < count; round++) {
		struct stream *most = NULL;

		for (size_t i = 0; i < count; i++) {
			struct stream *stream = &store->streams[i];

			if (!tried[i] && (!most || bytes_of(stream) > bytes_of(most)))
				most = stream;
		}
		if (evict_oldest(store, most))
			return true;
		tried[most - store->streams] = true;
	}
	return false;
}

static bool is_idle(struct row_buffer *buffer)
{
	/* Acquire: the last reader is done with the rows. */
	return buffer->mapped && !atomic_load_explicit(&buffer->state, memory_order_acquire);
}

static void unmap_rows(struct store *store, struct stream *stream, struct row_buffer *buffer)
{
	munmap(buffer->rows.data, buffer->mapped);
	memory_give(store, stream, buffer->mapped);
	buffer->mapped = 0;
}

/* Frees rows that some stream keeps without need. */
static bool free_spare(struct store *store)
{
	for (size_t i = 0; i < store_stream_count(store); i++) {
		struct stream *stream = &store->streams[i];

		for (struct row_buffer *b = stream->buffers; b; b = b->next) {
			if (is_idle(b)) {
				unmap_rows(store, stream, b);
				return true;
			}
		}
	}
	return false;
}

static bool make_room(struct store *store, size_t bytes)
{
	if (bytes > store->limit)
		return false;
	while (store_memory_used(store) > store->limit - bytes) {
		if (!evict(store) && !free_spare(store))
			return false;
	}
	return true;
}

bool memory_take(struct store *store, struct stream *stream, size_t bytes)
{
	if (!make_room(store, bytes))
		return false;
	atomic_fetch_add_explicit(&store->used, bytes, memory_order_relaxed);
	add_bytes(stream, bytes);
	return true;
}

/* ---- rows ---- */

/* One builder serves all streams: it has the size that the largest of them needs. */
static bool grow_builder(struct store *store, struct stream *stream, uint32_t capacity)
{
	const size_t had = store->builder ? block_builder_bytes(store->builder_capacity) : 0;
	struct block_builder *builder;

	if (capacity <= store->builder_capacity)
		return true;
	if (!memory_take(store, stream, block_builder_bytes(capacity)))
		return false;
	builder = block_builder_new(capacity);
	if (!builder) {
		memory_give(store, stream, block_builder_bytes(capacity));
		return false;
	}
	/* Belongs to the store, not to the stream that came first. */
	add_bytes(stream, -(uint64_t)block_builder_bytes(capacity));
	atomic_fetch_sub_explicit(&store->used, had, memory_order_relaxed);
	block_builder_free(store->builder);
	store->builder = builder;
	store->builder_capacity = capacity;
	return true;
}

/* The first event of a stream: decides sizes and makes the directory. */
static bool start_stream(struct store *store, struct stream *stream)
{
	const uint32_t capacity = choose_capacity(store, stream->schema);
	const uint32_t slots = choose_slots(store);

	if (!grow_builder(store, stream, capacity) ||
	    !memory_take(store, stream, slots * sizeof(struct slot)))
		return false;
	stream->slots = calloc(slots, sizeof(struct slot));
	if (!stream->slots) {
		memory_give(store, stream, slots * sizeof(struct slot));
		return false;
	}
	stream->slot_mask = slots - 1;
	stream->capacity = capacity;
	return true;
}

static bool map_rows(struct store *store, struct stream *stream, struct row_buffer *buffer)
{
	const size_t stride = stream->schema->record_size;
	const size_t mapped = page_round(stream->capacity * (stride + sizeof(uint16_t)));
	void *memory;

	if (!memory_take(store, stream, mapped))
		return false;
	memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		memory_give(store, stream, mapped);
		return false;
	}
	buffer->mapped = mapped;
	buffer->rows = (struct rows){
		.data = memory,
		.lengths = (uint16_t *)(void *)((uint8_t *)memory + stream->capacity * stride),
		.stride = (uint32_t)stride,
		.capacity = stream->capacity,
	};
	return true;
}

static struct row_buffer *new_buffer(struct store *store, struct stream *stream)
{
	struct row_buffer *buffer;

	for (buffer = stream->buffers; buffer; buffer = buffer->next) {
		if (!buffer->mapped)
			return buffer;
	}
	if (!memory_take(store, stream, sizeof(*buffer)))
		return NULL;
	buffer = calloc(1, sizeof(*buffer));
	if (!buffer) {
		memory_give(store, stream, sizeof(*buffer));
		return NULL;
	}
	buffer->next = stream->buffers;
	stream->buffers = buffer;
	return buffer;
}

/* Readers held several rows at once, which is over: one spare is enough for the next time. */
static void trim_spares(struct store *store, struct stream *stream, const struct row_buffer *chosen)
{
	bool kept = false;

	for (struct row_buffer *b = stream->buffers; b; b = b->next) {
		if (b == chosen || !is_idle(b))
			continue;
		if (kept)
			unmap_rows(store, stream, b);
		kept = true;
	}
}

struct row_buffer *memory_row_buffer(struct store *store, struct stream *stream)
{
	struct row_buffer *buffer;

	if (!stream->capacity && !start_stream(store, stream))
		return NULL;
	for (buffer = stream->buffers; buffer; buffer = buffer->next) {
		if (is_idle(buffer)) {
			trim_spares(store, stream, buffer);
			return buffer;
		}
	}
	buffer = new_buffer(store, stream);
	return buffer && map_rows(store, stream, buffer) ? buffer : NULL;
}
