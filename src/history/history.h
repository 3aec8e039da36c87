/* SPDX-License-Identifier: MIT */
/*
 * What outlives memory and process: the blocks of the store, as they are, in an SQLite database
 * (history/database.h), put there by a thread of its own that never makes the reader thread wait.
 *
 * An event that is older than the flush interval survives the death of any of our processes, once
 * and only once: rows of open blocks are written at least that often, and the block, when it is
 * sealed, takes their place in one transaction. What memory had to let go before the disk took it
 * is counted, and answers say so.
 *
 * Queries go on into it through store/archive.h; other processes read it by history/reader.h.
 */
#ifndef HISTORY_HISTORY_H
#define HISTORY_HISTORY_H

#include "store/archive.h"
#include "store/store.h"

struct history;

struct history_options {
	struct store *store;   /* empty, without streams */
	int directory;	       /* for openat(2); not taken */
	const char *path;      /* the same */
	uint64_t size_limit;   /* bytes of the database; the oldest blocks make room */
	uint64_t age_limit_ns; /* older blocks go; 0: no limit */
	uint64_t flush_ns;
	unsigned int generation; /* of the server: 0 for a loader's first */
	const char *boot_id;	 /* NULL: this machine's, clock_boot_id() */
};

/*
 * Opens or makes the database, adds the streams that it knows to the store, under the numbers that
 * they had, and gives this boot the seconds by which event ids knew it. A file that is damaged or
 * none of ours is set aside by name, what is whole in it is taken over later, and a fresh one is
 * begun. 0; -EBUSY when another server has it; -errno; with a line in `error` that says that there
 * is no history and why. Before other threads.
 */
int history_open(const struct history_options *options, struct history **ret_history, char *error,
		 size_t error_size);
/* Starts the thread. 0 or -errno. */
int history_start(struct history *history);
/* Something new was settled in the store. Reader thread; next to nothing while the writer is
 * awake. */
void history_wake(struct history *history);
/* Ends the thread, and writes whatever the store has. */
void history_stop(struct history *history);
/* Stops it when it was not. Nobody asks the store any more: the streams' schemas go. The store goes
 * after it. Accepts NULL. */
void history_close(struct history *history);
DEFINE_CLEANUP(history, history_close)

struct archive *history_archive(struct history *history);

/* ---- any thread ---- */

struct history_figures {
	uint64_t bytes;	     /* of the database file that are in use */
	uint64_t file_bytes; /* of the file */
	uint64_t limit_bytes;
	uint64_t blocks, events;
	uint64_t oldest_real; /* wall ns of the oldest event; 0: none */
	uint64_t damaged;     /* blocks that were found damaged */
	uint64_t retired;     /* events that went by age or size */
	uint64_t commits, failures;
	bool taking_over;  /* what is whole in a file that was set aside is not all here yet */
	char failing[160]; /* why nothing is written at present; "" while all is well */
};
void history_figures(struct history *history, struct history_figures *ret_figures);

/* Of one stream, since this server began: events that were written, and those that left memory
 * before. */
struct history_stream_figures {
	uint64_t persisted, not_persisted;
};
void history_stream_figures(const struct history *history, size_t stream,
			    struct history_stream_figures *ret_figures);

/* Wall ns of the oldest and newest event of a stream in the history; false when there is none. */
bool history_span(struct history *history, size_t stream, uint64_t *ret_oldest,
		  uint64_t *ret_newest);

/* True when every event of the stream that was stored at `since` (ns since this boot; `since_real`
 * is the same in wall ns, and goes back to earlier boots) or later is in memory or history. */
bool history_is_complete(struct history *history, size_t stream, uint64_t since,
			 uint64_t since_real);

#endif
