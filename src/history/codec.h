/* SPDX-License-Identifier: MIT */
/*
 * A block on its way to disk and back, in two parts: the head, by which a question can skip the
 * block or count its rows, and the body, which holds the rows.
 *
 *   head   the block's header and columns, its dictionaries, and how many rows have each value of
 *          the events' header (block_count_entries() of them a column, 16 bits each)
 *   body   the data of the columns, one after another
 *
 * In the head, a column's `data` is a place in the body, and `bytes` the size of the head. Put one
 * after the other the parts are a block again.
 *
 * Nothing that comes from disk is believed: checksums tell what was damaged, and the structure is
 * checked even so, so that no bytes whatever make a reader of blocks go astray.
 */
#ifndef HISTORY_CODEC_H
#define HISTORY_CODEC_H

#include "base/buffer.h"
#include "store/block.h"

/* Where a block stands and how many rows it has, as the database says it; part of its checksums. */
struct codec_place {
	uint64_t boot, stream, first_index, rows, oldest, newest, disorder;
};

struct codec_parts {
	const void *head, *body;
	size_t head_size, body_size;
	uint32_t head_sum, body_sum;
};

/* Appends a sealed block's parts to two buffers. 0 or -ENOMEM. */
int codec_encode(const struct block *block, struct buffer *head, struct buffer *body);
/* Fills in the checksums. */
void codec_sign(const struct codec_place *place, struct codec_parts *parts);

/* A head alone: `head` can be used until the memory is freed (free(3)), which begins there. 0,
 * -EBADMSG, -ENOMEM. */
int codec_decode_head(const struct stream_schema *schema, const struct codec_place *place,
		      const struct codec_parts *parts, struct block **ret_head);
/* The whole block, of free(3)'s kind too. */
int codec_decode(const struct stream_schema *schema, const struct codec_place *place,
		 const struct codec_parts *parts, struct block **ret_block);

/* The counts in a head. */
const uint16_t *codec_counts(const struct block *head);
/* Bytes that a decoded head, or block, takes in memory. */
size_t codec_bytes(const struct block *block);

#endif
