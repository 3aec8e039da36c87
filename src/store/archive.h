/* SPDX-License-Identifier: MIT */
/*
 * Where sealed blocks are that memory does not hold: what the engines of this layer (query, walk)
 * ask of whoever keeps them (src/history), so that one answer goes from memory on into what was
 * kept, each event once. Blocks are immutable, numbered like streams in memory, and may be of
 * earlier boots, whose times are on a clock of their own.
 *
 * All is asked within a session: a consistent view, of one thread. What a call returns is valid
 * until the session ends, or, for blocks, until they are released.
 */
#ifndef STORE_ARCHIVE_H
#define STORE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/encode.h"
#include "store/block.h"

struct archive;
struct archive_session;

/* A block that is kept. Those of one stream and boot do not overlap. */
struct archive_item {
	uint64_t id;
	uint64_t first_index;
	uint64_t oldest, newest; /* ns since its boot, both inclusive */
	uint32_t rows;
	uint32_t boot; /* the keeper's own number of it */
};

/* Boots, oldest first. */
struct archive_boot {
	struct event_boot clock;
	bool running; /* the one that this machine is in now */
};

/*
 * What is known of a block. `head` has everything but the rows' own data: header, columns,
 * dictionaries; what of it reads rows must not be used. `counts`: for block_count().
 */
struct archive_head {
	const struct block *head;
	const uint16_t *counts;
};

struct archive_ops {
	/* 0, or -errno when there is nothing to be had (the answer is then not complete). */
	int (*begin)(struct archive *archive, struct archive_session **ret_session);
	void (*end)(struct archive_session *session);
	/* All lists were made: until then nothing is added or taken away, so that memory, which is
	 * looked at meanwhile, and lists together have each event once. At most once, soon. */
	void (*settle)(struct archive_session *session);
	const struct archive_boot *(*boots)(const struct archive_session *session,
					    size_t *ret_count);
	/* Blocks that touch [since, until] (ns since that boot), by first_index. The array is the
	 * caller's to free. 0, -ENOMEM. */
	int (*list)(struct archive_session *session, size_t boot, uint16_t stream, uint64_t since,
		    uint64_t until, struct archive_item **ret_items, size_t *ret_count);
	/* 0, -EBADMSG (damaged: counted), -EIO, -ENOMEM. `stream` says how it is read. */
	int (*head)(struct archive_session *session, const struct archive_item *item,
		    uint16_t stream, struct archive_head *ret_head);
	int (*open)(struct archive_session *session, const struct archive_item *item,
		    uint16_t stream, const struct block **ret_block);
	/* Of head() (its `head`) or open(). */
	void (*release)(struct archive_session *session, const struct block *block);
	/* The schema of a stream, or NULL. */
	const struct stream_schema *(*schema)(const struct archive_session *session,
					      uint16_t stream);
};

/* Embedded in whatever keeps the blocks. */
struct archive {
	const struct archive_ops *ops;
};

#endif
