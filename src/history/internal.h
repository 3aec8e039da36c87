/* SPDX-License-Identifier: MIT */
/*
 * What the files of the writing half share. Who touches what:
 *   catalog, gaps, what is committed   written by the writer under vault.lock, by all others read
 *                                      under it
 *   works[], the database, places      writer thread alone (before it starts: the opener)
 *   figures, persisted, not_persisted  atomic
 */
#ifndef HISTORY_INTERNAL_H
#define HISTORY_INTERNAL_H

#include <stdatomic.h>

#include "base/clock.h"
#include "history/history.h"
#include "history/vault.h"
#include "store/segment.h"

/* So many pieces of one open block, then they are put together. */
#define CHUNKS_MOST 64
/* What a transaction takes at most, so that it is short; blocks in it stay pinned in memory. */
#define BATCH_BLOCKS 64
#define BATCH_BYTES (8u << 20)
#define GAPS_MOST 256

/* Events of a stream that are missing. */
struct gap {
	uint16_t stream;
	uint64_t since, until; /* wall ns */
	uint64_t events;       /* 0: unknown */
};

/* How far a stream of the store was written. */
struct place {
	uint64_t number; /* block to look at next */
	uint64_t index;	 /* event that is to be written next */
	uint64_t time;	 /* of the newest that was written; 0: none */
	struct chunk {
		uint64_t id, first_index;
	} chunks[CHUNKS_MOST]; /* of the open block */
	uint32_t chunk_count;
	bool in_database; /* the stream has its row */
	bool begun;	  /* index was set */
	uint64_t
		seen_at; /* boot ns at which the event `index` was first seen unwritten; 0: never */
	uint64_t pending_persisted, pending_missed; /* in this transaction */
};

struct work {
	struct place done, place; /* committed; in the transaction */
	_Atomic uint64_t persisted, not_persisted;
	_Atomic uint64_t written_to; /* events below are written, or given up */
};

/* A change of the catalog that a transaction makes. */
struct change {
	enum { CHANGE_ADD, CHANGE_REMOVE, CHANGE_GAP, CHANGE_RETIRED } kind;
	uint32_t boot;
	uint16_t stream;
	struct entry entry;
	struct gap gap; /* of a retired block: `until` */
};

struct statements {
	sqlite3_stmt *begin, *commit, *rollback;
	sqlite3_stmt *add_block, *remove_block, *read_block;
	sqlite3_stmt *add_stream, *set_boot, *add_gap, *remove_gap, *set_state;
	sqlite3_stmt *pages, *free_pages;
};

struct history {
	struct history_options options;
	char *path; /* of the database */
	int lock;   /* holds the lock file */
	sqlite3 *database;
	struct statements statements;
	struct catalog catalog;
	struct vault vault;
	uint32_t boot;	 /* index of the running boot */
	int64_t to_real; /* as the database has it */
	uint64_t page_size;
	uint64_t next_id;
	int log_pages; /* of the log at the last commit */

	/* Under the lock, as the catalog. What a full list forgets counts as retired. */
	struct gap gaps[GAPS_MOST];
	size_t gap_count;
	/* Wall ns of the newest event that was retired, of each stream. */
	uint64_t retired_until[STORE_MAX_STREAMS];
	/* Until then (wall ns) a file was kept that turned out to be damaged: what it held, nobody
	 * knows. */
	uint64_t damaged_until;

	struct work *works; /* STORE_MAX_STREAMS */

	/* The transaction that is being made. */
	bool in_transaction;
	struct change *changes;
	size_t change_count, change_capacity;
	struct segment pinned[BATCH_BLOCKS];
	size_t pinned_count;
	uint64_t batch_bytes, batch_limit;
	struct buffer head, body;
	struct block_builder *builder;
	uint64_t retry_at; /* boot ns; after a failure */
	bool failing_told;

	struct salvage *salvage; /* of a file that was set aside; NULL: none */
	_Atomic bool salvaging;
	size_t merge_shelf, merge_entry; /* next */

	pthread_t thread;
	bool started;
	pthread_mutex_t wake_lock;
	pthread_cond_t wake;
	bool stop, news;
	_Atomic uint32_t asleep; /* waits for news without a limit */

	pthread_mutex_t figures_lock;
	struct history_figures figures;
};

/* ---- open.c ---- */

int history_prepare(struct history *history);
/* The file cannot be used: sets it aside, begins a fresh one, and plans to take over what is whole
 * in the old. 0 or -errno: then there is no history any more. */
int history_begin_anew(struct history *history);
/* Opens the file, or begins it, with the statements. 0; -EBADMSG: it is to be set aside; -errno. */
int history_open_database(struct history *history);
void history_close_database(struct history *history);
/* What a file has before any block: boots, streams, the state. */
int history_write_frame(struct history *history);
int history_write_boot(struct history *history, uint32_t boot);

/* ---- writer.c ---- */

/* While it runs: begins a fresh file, since this one is damaged. 0 or -errno. */
int history_start_over(struct history *history);

/* ---- transaction.c ---- */

int transaction_begin(struct history *history);
/* Adds a block; `place` and the block agree. */
int transaction_add(struct history *history, const struct codec_place *place,
		    const struct block *block, uint32_t boot, bool partial, uint64_t *ret_id);
int transaction_remove(struct history *history, uint32_t boot, uint16_t stream, uint64_t id,
		       uint64_t first_index);
/* The same, since it made room. */
int transaction_retire(struct history *history, uint32_t boot, uint16_t stream,
		       const struct entry *entry);
int transaction_gap(struct history *history, const struct gap *gap, const char *reason);
int transaction_stream(struct history *history, size_t stream, const struct stream_schema *schema);
int transaction_state(struct history *history, const char *name, uint64_t value);
/* Makes it so, for questions too. On failure nothing of it has happened. */
int transaction_commit(struct history *history);
void transaction_rollback(struct history *history);

/* ---- flush.c ---- */

/* Writes what is due; `all`: everything that is settled. 0 or -errno. */
int flush_run(struct history *history, bool all);
/* Something is unwritten. */
bool flush_is_pending(const struct history *history);

/* Ends the transaction, if there is one. */
int history_commit(struct history *history);

/* ---- retain.c ---- */

/* Something is too old. */
bool retain_is_due(const struct history *history);
/* Within a transaction: takes away what is too old or too much. */
int retain_run(struct history *history);
/* Between transactions: the log into the file, free pages back to the file system. */
void retain_tidy(struct history *history);

/* ---- salvage.c, merge.c: a little each call; true when there is more ---- */

/* Opens a file that was set aside and reads what is in it. At the start its boots and streams
 * become ours; later we have them already, and the catalog moves over: a fresh database has no
 * block. What cannot be opened is left alone. 0 or -ENOMEM. */
int salvage_begin(struct history *history, const char *path);
bool salvage_run(struct history *history);
void salvage_end(struct history *history);
/* The place after the last event of the running boot that will be taken over. */
uint64_t salvage_end_place(const struct history *history, uint16_t stream);
bool merge_run(struct history *history);

/* A block of the database, decoded; the caller's to free. Writer thread. */
int history_read_block(struct history *history, const struct entry *entry, uint32_t boot,
		       uint16_t stream, struct block **ret_block);

#endif
