/* SPDX-License-Identifier: MIT */
#include "store/segment.h"

#include <errno.h>
#include <string.h>

static struct slot *pin_slot(const struct stream *stream, uint64_t number)
{
	struct slot *slot;

	if (number >= atomic_load_explicit(&stream->tail, memory_order_acquire))
		return NULL;
	slot = &stream->slots[number & stream->slot_mask];
	if (!pin(&slot->state))
		return NULL;
	if (slot->number == (uint32_t)number)
		return slot;
	unpin(&slot->state);
	return NULL;
}

bool segment_pin_sealed(const struct stream *stream, uint64_t number, struct segment *ret_segment)
{
	struct slot *slot = pin_slot(stream, number);

	if (!slot)
		return false;
	*ret_segment = (struct segment){
		.state = &slot->state,
		.schema = stream->schema,
		.block = slot->block,
		.count = slot->block->rows,
		.number = number,
		.first_index = slot->block->first_index,
		.oldest = slot->oldest,
		.newest = slot->newest,
		.disorder = slot->block->disorder,
	};
	return true;
}

bool segment_range(const struct stream *stream, uint64_t number, struct segment_range *ret_range)
{
	struct slot *slot = pin_slot(stream, number);

	if (!slot)
		return false;
	*ret_range = (struct segment_range){ slot->oldest, slot->newest, slot->block->first_index,
					     slot->block->rows };
	unpin(&slot->state);
	return true;
}

/* Pins the buffer that is open now, or returns NULL when there is none. */
static struct row_buffer *pin_open_buffer(const struct stream *stream)
{
	struct row_buffer *buffer;

	/* What is live is open, or is so again: a buffer that was sealed since is not live, and
	 * then the next load gives another one, or none. */
	do
		buffer = atomic_load_explicit(&stream->open, memory_order_acquire);
	while (buffer && !pin(&buffer->state));
	return buffer;
}

bool segment_pin_open(const struct stream *stream, struct segment *ret_segment)
{
	struct row_buffer *buffer = pin_open_buffer(stream);

	if (!buffer)
		return false;
	*ret_segment = (struct segment){
		.state = &buffer->state,
		.schema = stream->schema,
		.rows = buffer->rows,
		.count = atomic_load_explicit(&buffer->count, memory_order_acquire),
		.number = buffer->number,
		.first_index = buffer->first_index,
	};
	/* After the count, so that they cover its rows. */
	ret_segment->oldest = atomic_load_explicit(&buffer->oldest, memory_order_relaxed);
	ret_segment->newest = atomic_load_explicit(&buffer->newest, memory_order_relaxed);
	ret_segment->disorder = atomic_load_explicit(&buffer->disorder, memory_order_relaxed);
	ret_segment->rows.count = ret_segment->count;
	return true;
}

bool segment_pin(const struct stream *stream, uint64_t number, struct segment *ret_segment)
{
	struct segment segment;

	/* Sealing moves a block one way, so what is not open any more is looked for after. */
	if (segment_pin_open(stream, &segment)) {
		if (segment.number == number) {
			*ret_segment = segment;
			return true;
		}
		segment_unpin(&segment);
	}
	return segment_pin_sealed(stream, number, ret_segment);
}

void segment_unpin(struct segment *segment)
{
	if (segment->state)
		unpin(segment->state);
	segment->state = NULL;
}

void segment_filter(const struct segment *segment, const struct filter *filter, uint32_t rows,
		    uint64_t *bits)
{
	if (segment->block)
		block_filter(segment->block, segment->schema, filter, 0, rows, bits);
	else
		rows_filter(&segment->rows, segment->schema, filter, 0, rows, bits);
}

bool segment_not_null(const struct segment *segment, const struct field *field, uint32_t rows,
		      uint64_t *bits)
{
	if (segment->block)
		return block_not_null(segment->block, segment->schema, field, 0, rows, bits);
	return rows_not_null(&segment->rows, segment->schema, field, 0, rows, bits);
}

void segment_and_window(const struct segment *segment, uint64_t low, uint64_t high, uint32_t rows,
			uint64_t *bits)
{
	uint64_t window[BLOCK_MAX_ROWS / 64];

	if (segment_lies_within(segment, low, high))
		return;
	if (segment->block)
		block_filter_time(segment->block, segment->schema, low, high, 0, rows, window);
	else
		rows_filter_time(&segment->rows, segment->schema, low, high, 0, rows, window);
	for (size_t i = 0; i < block_bitmap_words(rows); i++)
		bits[i] &= window[i];
}

uint64_t segment_timestamp(const struct segment *segment, uint32_t row)
{
	const struct field *time = &segment->schema->fields[HEADER_TIMESTAMP];
	uint64_t timestamp;

	if (segment->block)
		return block_integer(segment->block, &segment->block->column[HEADER_TIMESTAMP],
				     row);
	memcpy(&timestamp, segment->rows.data + (size_t)row * segment->rows.stride + time->offset,
	       sizeof(timestamp));
	return timestamp;
}

uint32_t segment_record(const struct segment *segment, uint32_t row, uint8_t *record)
{
	uint32_t length;

	if (segment->block)
		return block_row(segment->block, segment->schema, row, record);
	length = segment->rows.lengths[row];
	memcpy(record, segment->rows.data + (size_t)row * segment->rows.stride, length);
	memset(record + length, 0, segment->schema->record_size - length);
	return length;
}

uint64_t store_first_held(const struct store *store, size_t number)
{
	const struct stream *stream = &store->streams[number];
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

int store_time_at(const struct store *store, size_t number, uint64_t index, uint64_t *ret_timestamp)
{
	const struct stream *stream = &store->streams[number];
	const uint64_t tail = atomic_load_explicit(&stream->tail, memory_order_acquire);
	struct segment segment;

	/* One past the tail: what is open. */
	for (uint64_t n = atomic_load_explicit(&stream->head, memory_order_acquire); n <= tail;
	     n++) {
		bool found;

		if (!segment_pin(stream, n, &segment))
			continue;
		found = index >= segment.first_index && index - segment.first_index < segment.count;
		if (found)
			*ret_timestamp = segment_timestamp(&segment,
							   (uint32_t)(index - segment.first_index));
		segment_unpin(&segment);
		if (found)
			return 0;
	}
	return -ENOENT;
}
