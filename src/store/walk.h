/* SPDX-License-Identifier: MIT */
/*
 * Block by block over all events that are held, in memory and in the archive, each event once: for
 * engines that fold many events into little (summaries, SQL). Earlier boots come first; within one
 * boot stream by stream, each in the order of its places. Any thread.
 */
#ifndef STORE_WALK_H
#define STORE_WALK_H

#include "schema/filter.h"
#include "store/archive.h"
#include "store/store.h"

struct segment;

/* A stream that takes part. */
struct walk_stream {
	uint16_t stream;
	const struct filter
		*filter; /* blocks where nothing can pass are left out; NULL: none are */
};

struct walk {
	const struct store
		*store;		 /* NULL: only what is archived (another process than the server) */
	struct archive *archive; /* NULL: only what is in memory */
	const struct walk_stream *streams;
	size_t stream_count;
	/* Wall ns, both inclusive; 0 and UINT64_MAX for no limit. Blocks that touch the window come
	 * whole: the engine looks at each row's time. */
	uint64_t since, until;
	int64_t boot_to_real; /* of the running boot, for its share of the window */
};

/* What the engine gets: rows [from, to) of a segment (columns or open rows, store/segment.h); the
 * same events never come twice. `boot` is NULL for the running boot of a store. */
struct walk_piece {
	uint16_t stream;
	const struct event_boot *boot;
	const struct segment *segment;
	uint32_t from, to;
	uint64_t since, until; /* the window on this segment's clock: ns since its boot */
};

struct walk_report {
	uint64_t blocks, skipped; /* looked at; left out by their summaries */
	/* Blocks of the archive that could not be read, and earlier boots that could not be asked
	 * (about addresses of kernel code): not complete. */
	uint64_t damaged;
};

/* Calls `piece` until it returns other than 0, and returns that; -ENOMEM; else 0. The segment is
 * valid during the call. */
int walk_run(const struct walk *walk, int (*piece)(void *context, const struct walk_piece *piece),
	     void *context, struct walk_report *ret_report);

#endif
