/* SPDX-License-Identifier: MIT */
/*
 * The store's memory: who may take how much, and what goes when it is short. Private to this
 * folder; writer thread only.
 */
#ifndef STORE_MEMORY_H
#define STORE_MEMORY_H

#include "store/segment.h"

/* Takes `bytes` for a stream, evicting blocks until they fit; false when they cannot fit, since all
 * that is left is open or being read. */
bool memory_take(struct store *store, struct stream *stream, size_t bytes);
void memory_give(struct store *store, struct stream *stream, size_t bytes);
/* Evicts the block that still stands in a slot; false when it is being read. */
bool memory_free_slot(struct store *store, struct stream *stream, struct slot *slot);
/* Rows that nobody reads, not live; NULL when there is no memory. */
struct row_buffer *memory_row_buffer(struct store *store, struct stream *stream);
/* After events went: the oldest and newest time of what is left. */
void memory_refresh_times(struct stream *stream);

/* What a block of the store has mapped. */
size_t block_mapped(const struct block *block);

#endif
