/* SPDX-License-Identifier: MIT */
/*
 * How store, query and follower share blocks without locks. Private to this folder.
 *
 * What a reader looks at, rows of an open block or a sealed one, has a state word that is never
 * freed: a count of readers, and a bit that says that it is live. Readers add themselves only to
 * what is live. The writer takes the bit away before it reuses rows (and leaves them alone until
 * the last reader is gone: it goes on with other rows), or together with a count of zero when it
 * evicts a block. So neither side ever waits for the other.
 *
 * Blocks of a stream are numbered in order; block n stands in slot n % slot_count. The open rows
 * have the number that their block will have.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include <stdatomic.h>

#include "schema/filter.h"
#include "store/block.h"
#include "store/store.h"

#define PIN_LIVE 0x80000000u

static inline bool pin(_Atomic uint32_t *state)
{
	/* Acquire also on failure: a reader that finds rows retired then sees what the writer had
	 * stored before, so it never asks for them again. */
	uint32_t seen = atomic_load_explicit(state, memory_order_acquire);

	do {
		if (!(seen & PIN_LIVE))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		state, &seen, seen + 1, memory_order_acquire, memory_order_acquire));
	return true;
}

static inline void unpin(_Atomic uint32_t *state)
{
	atomic_fetch_sub_explicit(state, 1, memory_order_release);
}

/* The rows of an open block. The writer alone changes what is not atomic, while not live. */
struct row_buffer {
	_Atomic uint32_t state;
	_Atomic uint32_t count;			   /* rows that are published */
	_Atomic uint64_t oldest, newest, disorder; /* cover at least the published rows */
	uint64_t number;			   /* of the block */
	uint64_t first_index;
	struct rows rows;	 /* rows.count is not used */
	size_t mapped;		 /* 0: has no memory */
	struct row_buffer *next; /* all of a stream, never freed before the store */
};

/* A sealed block's place. The writer alone changes what is not atomic, while not live. */
struct slot {
	_Atomic uint32_t state;
	uint32_t number; /* low bits of the block's number: a slot is used again */
	struct block *block;
	uint64_t oldest, newest;
};

struct stream {
	const struct stream_schema *schema;
	struct slot *slots; /* set before the first block or row is visible */
	uint32_t slot_mask;
	_Atomic(struct row_buffer *) open; /* NULL: none */
	_Atomic uint64_t head, tail;	   /* sealed blocks are among [head, tail) */

	/* Figures, for store_figures(). */
	_Atomic uint64_t first, appended, expired, bytes, blocks, oldest, newest, expired_until;
	_Atomic uint64_t settled; /* places below are */

	/* The writer's own. */
	struct row_buffer *current; /* same as `open` */
	struct row_buffer *buffers; /* list of all */
	uint32_t capacity;	    /* rows of a buffer, 0 until the first append */
	uint32_t fill;		    /* rows in `current`, published or not */
	struct block_place place;   /* of `current`; rows not yet published included */
	uint64_t next_index;
};

struct store {
	size_t limit;
	_Atomic size_t used;
	_Atomic size_t stream_count;
	struct block_builder *builder; /* the writer's */
	uint32_t builder_capacity;
	struct stream streams[STORE_MAX_STREAMS];
};

/* ---- readers ---- */

/* A run of events of one stream, pinned: a sealed block, or open rows. */
struct segment {
	_Atomic uint32_t *state;
	const struct stream_schema *schema;
	const struct block *block; /* NULL: rows */
	struct rows rows;
	uint32_t count;
	uint64_t number, first_index;
	uint64_t oldest, newest, disorder;
};

/* Pins sealed block `number`; false when it is gone. */
bool segment_pin_sealed(const struct stream *stream, uint64_t number, struct segment *ret_segment);
/* Pins the open rows; false when there are none, and then everything is sealed. */
bool segment_pin_open(const struct stream *stream, struct segment *ret_segment);
/* Block `number`, wherever its rows are now. */
bool segment_pin(const struct stream *stream, uint64_t number, struct segment *ret_segment);
void segment_unpin(struct segment *segment);
/* Where sealed block `number` stands; false when it is gone. */
struct segment_range {
	uint64_t oldest, newest, first_index;
	uint32_t rows;
};
bool segment_range(const struct stream *stream, uint64_t number, struct segment_range *ret_range);

uint64_t segment_timestamp(const struct segment *segment, uint32_t row);
/* All events of the segment lie between these times. */
static inline bool segment_lies_within(const struct segment *segment, uint64_t low, uint64_t high)
{
	return segment->oldest >= low && segment->newest <= high;
}
/* The first `rows` rows: sets the bits of those that pass the filter, clears all others'. */
void segment_filter(const struct segment *segment, const struct filter *filter, uint32_t rows,
		    uint64_t *bits);
/* As block_not_null(). */
bool segment_not_null(const struct segment *segment, const struct field *field, uint32_t rows,
		      uint64_t *bits);
/* Clears the bits of the rows outside [low, high]. */
void segment_and_window(const struct segment *segment, uint64_t low, uint64_t high, uint32_t rows,
			uint64_t *bits);
/* Copies a record (record_size bytes; zero past its end), returns its length. */
uint32_t segment_record(const struct segment *segment, uint32_t row, uint8_t *record);

#endif
