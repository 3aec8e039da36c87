/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share, and the seams by which a unit test plays the kernel.
 *
 * Who writes what, under what:
 *   programs, streams[], fields of a stream that can change   control thread, `registry`
 *   sources[], source_count, stream.source                    reader thread, `rings` for writing
 *   counts and losses of a stream                             any thread, `ledgers`
 *   commands                                                  `commands_lock`
 *   store, consumer positions, accounts[].stored, .malformed  reader thread alone
 * No lock is waited for while another is held, and the reader thread waits for none that is held
 * across a system call other than an eventfd's.
 */
#ifndef PIPELINE_INTERNAL_H
#define PIPELINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "pipeline/pipeline.h"
#include "pipeline/ring.h"

/* One CPU's value in a `_ledger` map, as programs write it. */
struct kernel_counts {
	uint64_t produced, filtered, sampled_out, lost;
};
_Static_assert(sizeof(struct kernel_counts) == 32, "the ledger map's value is four u64");

/* Where the kernel's counts are read: a per-CPU array map, or plain memory in a test. */
struct ledger_source {
	int fd; /* owned; -1: none */
	const struct kernel_counts *memory;
};
#define LEDGER_SOURCE_NONE                                                                         \
	(struct ledger_source)                                                                     \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Losses with the time between two looks in which they happened, oldest first. */
struct loss {
	uint64_t from, to, count; /* boot ns */
};
struct loss_log {
	struct loss *entries;
	size_t count, capacity;
	uint64_t unplaced; /* no memory for an entry: belongs to every window */
};
#define LOSS_LOG_ENTRIES 1024

struct source;

struct stream {
	size_t number; /* in the store */
	const struct stream_schema *schema;
	struct stream_account *account;
	uint64_t
		forgotten; /* stored by earlier servers: only the first stream of a name has them */

	uint32_t program;
	bool superseded;
	struct source *source; /* NULL while no ring is read */

	struct ledger_source kernel;
	struct kernel_counts past; /* of maps that are gone */
	struct kernel_counts last; /* of the map that is there, when it was last read */
	uint64_t malformed_before; /* by earlier servers */
	_Atomic uint64_t malformed;
	uint64_t lost_looked_at, looked_at; /* losses known at the last look, and its boot time */
	struct loss_log losses;
};

/* A ring that the reader drains. */
struct source {
	struct ring ring;
	struct pipeline *pipeline;
	struct stream *stream;
	size_t number;
	size_t minimum;		   /* bytes of a good record; the ring knows how many at most */
	uint32_t taken, malformed; /* in this batch */
	unsigned long target;	   /* where the consumer must come to for the sync that is served */
	bool awaited;
	bool limited; /* the last round left something that was ready */
};

enum command_kind { COMMAND_ADD, COMMAND_REMOVE };

/* A change of what is read; lives on the stack of the thread that waits for it. */
struct command {
	enum command_kind kind;
	struct source *source;
	uint64_t deadline; /* ns: a ring that is to go is drained until then at most */
	int result;
	bool done;
	struct command *next;
};

struct program;

struct pipeline {
	struct store *store;
	struct history *history; /* NULL: none */
	struct stream_account *accounts;
	struct kernel_counts *per_cpu; /* room for one lookup, under `ledgers` */
	unsigned int possible_cpus;
	atomic_bool ready;

	pthread_mutex_t registry;
	struct program *programs[MESSAGE_MAX_PROGRAMS];
	uint64_t last_generation;
	struct program_schema **schemas; /* owned; never freed before the pipeline */
	size_t schema_count;
	_Atomic(struct stream *) streams[STORE_MAX_STREAMS];
	_Atomic size_t stream_count;

	pthread_rwlock_t rings;
	struct source *sources[STORE_MAX_STREAMS];
	size_t source_count;

	pthread_mutex_t ledgers;

	pthread_t reader;
	bool started; /* control thread only */
	atomic_bool stop;
	int epoll, kick;
	_Atomic uint64_t heartbeat; /* ns, monotonic; 0: not running */
	int timeout_ms;
	bool news, limited; /* this round: published something; left something in a ring */
	uint64_t next_look;

	pthread_mutex_t commands_lock;
	pthread_cond_t commands_done;
	struct command *commands; /* newest first */
	atomic_bool commands_waiting;
	struct command *leaving; /* removals that wait for their ring to be empty; reader only */

	pthread_mutex_t sync_lock;
	pthread_cond_t sync_done;
	_Atomic uint64_t sync_requested;
	uint64_t sync_serving, sync_served; /* serving: reader only */

	pthread_mutex_t subscribers_lock;
	int *subscribers;
	_Atomic size_t subscriber_count;
};

/* ---- seams for tests, used by the real paths too ---- */

/* Positions and data that are mapped already, one page each before the data; ring_close() unmaps
 * `consumer` (a page) and `producer` (a page and `bytes`) and closes `fd` unless it is -1. */
int ring_attach(struct ring *ring, int fd, unsigned long *consumer, const unsigned long *producer,
		size_t bytes, size_t longest);
/* A schema that the caller keeps alive until the pipeline is gone, of a program that is known. */
int pipeline_register_schema(struct pipeline *pipeline, uint32_t program,
			     const struct program_schema *schema, char *error, size_t error_size);
/* The parts of pipeline_map(): both take what they are given, also on failure. -ENOENT: no current
 * stream of that name. */
int pipeline_attach_ring(struct pipeline *pipeline, uint32_t program, const char *stream,
			 struct ring *ring);
int pipeline_attach_ledger(struct pipeline *pipeline, uint32_t program, const char *stream,
			   struct ledger_source source);
/* What the reader thread does each time it comes round; by hand only while it does not run. Returns
 * how many records were looked at. */
size_t pipeline_round(struct pipeline *pipeline);

/* ---- reader.c ---- */

int reader_init(struct pipeline *pipeline);
void reader_fini(struct pipeline *pipeline);
/* Wakes whoever subscribed. Any thread. */
void reader_wake_subscribers(struct pipeline *pipeline);
/* Begins, or ends, to read a ring, and waits until the reader has done so. After a removal nobody
 * else knows the source. */
int reader_add(struct pipeline *pipeline, struct source *source);
void reader_remove(struct pipeline *pipeline, struct source *source);

/* ---- ledger.c ---- */

/* The account of this name, made when there is none; NULL when the table is full. */
struct stream_account *ledger_account(struct pipeline *pipeline, const char *name);
/* Gives a new stream its history from its account, when it is the first of its name. */
void ledger_inherit(struct stream *stream);
/* Counts of a map that came; the stream has none. Takes the source. */
void ledger_attach(struct pipeline *pipeline, struct stream *stream, struct ledger_source source);
/* Keeps the kernel's counts of a map that goes. */
void ledger_detach(struct pipeline *pipeline, struct stream *stream);
/* Looks at the counts of every stream, unless somebody is at it. */
void ledger_look(struct pipeline *pipeline, uint64_t now);
void loss_log_add(struct loss_log *log, uint64_t from, uint64_t to, uint64_t count);
uint64_t loss_log_between(const struct loss_log *log, uint64_t since, uint64_t until);

/* ---- registry.c, streams.c ---- */

/* Layout, meaning and names are the same: events of both can stand in one stream. */
bool stream_schema_same(const struct stream_schema *a, const struct stream_schema *b);
bool program_schema_same(const struct program_schema *a, const struct program_schema *b);

struct setting {
	char name[MESSAGE_NAME_SIZE];
	uint8_t value[MESSAGE_VALUE_SIZE];
	uint32_t size;
};

/* A map that is looked into from outside; those of metrics, and their sums. */
struct kept_map {
	char name[MESSAGE_NAME_SIZE];
	int fd;		     /* owned */
	uint64_t generation; /* another number, another map */
};
#define KEPT_MAPS 16

struct interface_list {
	struct interface_view *items;
	size_t count, total; /* total: as many as it is to have */
};

struct program {
	char name[MESSAGE_NAME_SIZE];
	enum program_status status;
	uint32_t flags;
	char hook[MESSAGE_HOOK_SIZE];
	char reason[MESSAGE_TEXT_SIZE];
	char text[MESSAGE_TEXT_SIZE];
	char failure[MESSAGE_TEXT_SIZE]; /* what the server could not take of it */
	bool refused;			 /* its object, that is: its maps are not read */
	const struct program_schema *schema;
	struct setting
		*settings; /* parameters that the loader named, in the order of their coming */
	size_t setting_count;
	bool statistics_known;
	uint64_t run_count, run_time_ns;
	struct kept_map maps[KEPT_MAPS];
	size_t map_count;
	struct interface_list interfaces, coming; /* coming: control thread only */
};

void interface_list_free(struct interface_list *list);

/* The stream of this number, or NULL. Any thread. */
static inline struct stream *pipeline_stream(const struct pipeline *pipeline, size_t number)
{
	return number < STORE_MAX_STREAMS ? atomic_load(&pipeline->streams[number]) : NULL;
}

/* Stops reading a stream's ring and keeps its counts. Control thread. */
void stream_detach(struct pipeline *pipeline, struct stream *stream);
void stream_free(struct stream *stream);

/* ---- maps.c ---- */

/* Keeps a map that the program's schema speaks of; closes any other. Takes the fd. 0 or -errno. */
int maps_keep(struct pipeline *pipeline, struct program *program, const char *name, int fd);
/* Under `registry`. */
void maps_close(struct program *program);
/* A metric belongs to one program: while another one that is loaded has its name, it is refused. */
int maps_check(const struct pipeline *pipeline, uint32_t program,
	       const struct program_schema *schema, char *error, size_t error_size);

/* A map could not be read: the program's view says so until it is unloaded. */
void program_map_failed(struct pipeline *pipeline, uint32_t number, const char *map, int rc);

/* The whole of a file from its beginning, at most `limit` bytes. 0, -EFBIG, -ENOMEM, -errno. */
int pipeline_read_file(int fd, size_t limit, struct buffer *contents);

uint64_t pipeline_monotonic_ns(void);

/* Locks are no part of what a const pipeline promises not to change. */
static inline struct pipeline *pipeline_unconst(const struct pipeline *pipeline)
{
	return (struct pipeline *)(uintptr_t)pipeline;
}

#endif
