/* SPDX-License-Identifier: MIT */
/*
 * The hot store: the newest events of every stream, in memory, bounded by bytes.
 *
 * Each stream has one open block, where the reader thread appends records as the kernel wrote them
 * (rows of a fixed stride), and a list of sealed blocks that hold the same events as narrow columns
 * (store/block.h). When memory is short, the oldest block of the stream that holds the most bytes
 * goes, so a storm in one stream does not wipe out a quiet one.
 *
 * One thread writes (append, seal, evict); any number read at the same time, with no lock between
 * them and the writer: rows of the open block are published by a release store of the row count; a
 * sealed block is pinned while it is looked at (one atomic increment), and the writer passes over
 * pinned ones.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "schema/schema.h"

#define STORE_MAX_STREAMS 256
#define STORE_MIN_MEMORY ((size_t)1 << 20)

struct store;

/* `memory`: bytes for all events with everything that belongs to them, at least STORE_MIN_MEMORY.
 * NULL when out of memory. */
struct store *store_new(size_t memory);
void store_free(struct store *store); /* nobody reads or writes any more */
DEFINE_CLEANUP(store, store_free)

/* Adds a stream and returns its number, or -ENOSPC. The schema must outlive the store. Any one
 * thread at a time; visible to readers at once. Streams are never removed: what they hold stays
 * readable. */
int store_add_stream(struct store *store, const struct stream_schema *schema);
/* Where the places of a stream begin, so that they go on from those that an earlier store gave.
 * Before the first event; without it they begin at 0. */
void store_set_first_index(struct store *store, size_t stream, uint64_t index);
size_t store_stream_count(const struct store *store);
const struct stream_schema *store_stream_schema(const struct store *store, size_t stream);

/* Writer thread only. Appends a record of `length` bytes (minimum_size <= length <= record_size;
 * the caller has checked) and publishes it at the next store_publish(), or before, when its block
 * is full. Never fails and never waits: the oldest events make room. Where there is no memory even
 * so (one record of a stream is larger than all the rest may be), the event expires at once. */
void store_append(struct store *store, size_t stream, const void *record, size_t length);
/* Makes what was appended to this stream visible to readers. Once a batch, not once an event. */
void store_publish(struct store *store, size_t stream);
/* What was published is now this store's alone: it will not come a second time (from a ring whose
 * position had not moved yet when the process died). Only what is settled is written to disk. */
void store_settle(struct store *store, size_t stream);

struct store_figures {
	uint64_t first;		/* place of the first event that this store got, or will get */
	uint64_t appended;	/* events ever, published */
	uint64_t held;		/* in memory now */
	uint64_t expired;	/* appended - held */
	uint64_t bytes;		/* memory in use: open block, columns, summaries */
	uint64_t blocks;	/* sealed ones */
	uint64_t oldest;	/* boot ns of the oldest event held; 0 when none */
	uint64_t newest;	/* boot ns of the newest event held; 0 when none */
	uint64_t expired_until; /* boot ns of the newest event that expired; 0 when none did */
};
/* Any thread; figures of one stream are consistent to within a batch. */
void store_figures(const struct store *store, size_t stream, struct store_figures *ret_figures);
size_t store_memory_limit(const struct store *store);
/* The place in its stream of the oldest event that is held; of the next one when none is. */
uint64_t store_first_held(const struct store *store, size_t stream);
/* The time of the event at this place. Returns 0, or -ENOENT: it has expired, or never came. */
int store_time_at(const struct store *store, size_t stream, uint64_t index,
		  uint64_t *ret_timestamp);
/* Bytes in use by all streams and the store itself; never more than the limit. */
size_t store_memory_used(const struct store *store);

#endif
