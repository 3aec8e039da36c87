/* SPDX-License-Identifier: MIT */
/*
 * From ring buffers to the store: the one reader thread, and the registry of programs and streams
 * that the rest of the server looks things up in.
 *
 * The reader sleeps in epoll (edge-triggered: the kernel wakes it only when a ring crosses 1/16 of
 * its size) with a timeout: 50 ms while events come, 200 ms when idle, 10 and 25 ms while somebody
 * follows. A question to the API asks for a drain first (pipeline_sync), so an answer holds
 * whatever happened before the question.
 */
#ifndef PIPELINE_PIPELINE_H
#define PIPELINE_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "loader/interface_link.h"
#include "loader/message.h"
#include "schema/schema.h"
#include "store/store.h"

struct btf;
struct history;
struct pipeline;

/*
 * `accounts`: STREAM_ACCOUNTS of them, shared with the loader, so that counts outlive a server that
 * dies (loader/message.h); what they say was stored by earlier servers counts as forgotten from
 * here on. `possible_cpus`: libbpf_num_possible_cpus(), taken before the process is confined, since
 * the number stands in /sys. Takes neither store nor accounts. NULL when out of memory or
 * descriptors.
 */
struct pipeline *pipeline_new(struct store *store, struct stream_account *accounts,
			      unsigned int possible_cpus);
/* Stops the thread, drains a last time, closes the rings, frees the schemas. The store is freed
 * after it, or between pipeline_stop() and it. */
void pipeline_free(struct pipeline *pipeline);
DEFINE_CLEANUP(pipeline, pipeline_free)

/* Tells a history of what is new; before pipeline_start(). It must outlive the reader thread. */
void pipeline_set_history(struct pipeline *pipeline, struct history *history);

/* Starts the reader thread. Returns 0 or -errno. */
int pipeline_start(struct pipeline *pipeline);
/* Ends the reader thread after a last drain. What was read stays; nothing more is. */
void pipeline_stop(struct pipeline *pipeline);

/*
 * ---- control plane: called by the one thread that hears the loader, in the loader's order ----
 * Program numbers are the loader's, below MESSAGE_MAX_PROGRAMS.
 */

/* A program as the loader knows it now. Creates it when new. `message` is MESSAGE_PROGRAM. 0,
 * -EINVAL for a number or status that cannot be, -ENOMEM. */
int pipeline_program(struct pipeline *pipeline, const struct message *message);
/* Its object file (fd of a memfd or file; not taken): reads the schema, adds its streams to the
 * store. A stream of the same name and layout as one from before goes on in that; another layout
 * begins a new one and the old stays readable. 0, or -errno with a line in `error`; the program's
 * view then shows the line, and its maps are not read. */
int pipeline_object(struct pipeline *pipeline, const struct message *message, int fd,
		    const struct btf *kernel, char *error, size_t error_size);
/* A map of it: ring buffers begin to be read, ledgers and maps of metrics are kept for counts,
 * others are of no use here. Takes the fd, also on failure. 0 or -errno; returns when the reader
 * has the ring. */
int pipeline_map(struct pipeline *pipeline, const struct message *message, int fd);
/* The value of a parameter (MESSAGE_PARAMETER). 0, -EINVAL, -ENOENT (no such program), -ENOMEM. */
int pipeline_parameter(struct pipeline *pipeline, const struct message *message);
/* One of a program's network interfaces (MESSAGE_INTERFACE); the list is shown when it is whole. 0,
 * -ENOENT (no such program), -EINVAL, -ENOMEM. */
int pipeline_interface(struct pipeline *pipeline, const struct message *message);
/* Run counts (MESSAGE_STATISTICS). */
void pipeline_statistics(struct pipeline *pipeline, const struct message *message);
/* The program was unloaded: drains and closes its rings; its counts stay in the ledger. Returns
 * when that is done. */
void pipeline_unload(struct pipeline *pipeline, uint32_t program);

/* ---- data plane: any thread ---- */

/* Returns when everything that was in the rings at the time of the call is in the store and
 * visible, or when `timeout_ms` has passed (-ETIMEDOUT: a record is still being written, or the
 * reader is stuck or was not started). Wakes nobody when the rings are empty. */
int pipeline_sync(struct pipeline *pipeline, int timeout_ms);
/* True while the reader thread comes round: it did within the last two seconds. */
bool pipeline_alive(const struct pipeline *pipeline);
/* Nanoseconds since the reader thread last came round all rings; 0 when it does not run. */
uint64_t pipeline_drain_lag(const struct pipeline *pipeline);
/* A descriptor that becomes readable (eventfd semantics, non-blocking) after new events were
 * published, and after a program changed; for followers. Returns fd or -errno. The caller
 * unsubscribes, then closes it. */
int pipeline_subscribe(struct pipeline *pipeline);
void pipeline_unsubscribe(struct pipeline *pipeline, int fd);

/* The loss ledger of a stream: produced = stored + filtered + sampled_out + lost + in_ring, and
 * stored = held + expired. */
struct ledger {
	uint64_t produced, filtered, sampled_out, lost, stored;
	uint64_t malformed;	/* records the reader could not take; part of lost */
	uint64_t held, expired; /* what died with an earlier server has expired */
	uint64_t bytes_waiting; /* in the ring now */
	/* By this server: written to the history; gone from memory before. */
	uint64_t persisted, not_persisted;
};

#define STREAM_NONE (-1)
struct stream_view {
	int stream; /* number in the store */
	uint32_t program;
	const struct stream_schema *schema;
	bool active;	   /* its ring is being read */
	size_t ring_bytes; /* of that ring; else 0 */
	bool superseded;   /* a later object of the program has another layout for this type */
};

#define PROGRAM_MAX_PARAMETERS 32
#define PROGRAM_MAX_STREAMS 8

struct program_view {
	uint32_t number;
	char name[MESSAGE_NAME_SIZE];
	enum program_status status;
	bool enabled; /* asked for */
	bool loaded, attached;
	char hook[MESSAGE_HOOK_SIZE];		 /* "tp_btf/kfree_skb", several joined by ", " */
	char fallback_reason[MESSAGE_TEXT_SIZE]; /* "" when the first choice was taken */
	char error[MESSAGE_TEXT_SIZE];		 /* "" when there is none */
	/* NULL until its object was read; lives as long as the pipeline. */
	const struct program_schema *schema;
	/* Values in force, one a parameter of the schema; points into this same view. */
	const uint8_t (*parameters)[MESSAGE_VALUE_SIZE];
	uint8_t parameter_values[PROGRAM_MAX_PARAMETERS][MESSAGE_VALUE_SIZE];
	bool statistics_known;
	uint64_t run_count, run_time_ns;
	int streams[PROGRAM_MAX_STREAMS]; /* numbers in the store; superseded ones last */
	size_t stream_count;
};

/* Highest program number that is known, plus one; numbers between may be unknown. */
size_t pipeline_program_count(const struct pipeline *pipeline);
/* Copies what is known of program `number`. Returns 0 or -ENOENT. The copy is not to be copied on
 * by assignment (`parameters`). */
int pipeline_program_view(const struct pipeline *pipeline, size_t number,
			  struct program_view *ret_view);
/* Its number, or -ENOENT. */
int pipeline_find_program(const struct pipeline *pipeline, const char *name);
/* A network interface that a program attaches to, in one direction. */
struct interface_view {
	char name[MESSAGE_NAME_SIZE];
	enum interface_direction direction;
	char mode[32];			/* "xdp native"; "" while it is not attached */
	char reason[MESSAGE_TEXT_SIZE]; /* why not, or not in a better mode; "" */
};
/* A copy for the caller to free. 0, -ENOENT, -ENOMEM. */
int pipeline_program_interfaces(const struct pipeline *pipeline, size_t number,
				struct interface_view **ret_list, size_t *ret_count);
/* A map of metrics of a program that is loaded, or its sums: a descriptor of the caller's, or
 * -ENOENT, -errno. The generation is another one when the map is not the one that it was. */
int pipeline_open_map(const struct pipeline *pipeline, uint32_t program, const char *map,
		      uint64_t *ret_generation);
/* True once the loader has said that every program was tried. */
bool pipeline_ready(const struct pipeline *pipeline);
void pipeline_set_ready(struct pipeline *pipeline, bool ready);

/* Streams are numbered as in the store. A type may have several streams, one a layout that it had;
 * their ledgers add up to the type's. */
size_t pipeline_stream_count(const struct pipeline *pipeline);
int pipeline_stream_view(const struct pipeline *pipeline, size_t stream,
			 struct stream_view *ret_view);
/* Counts as of now. Returns 0 or -ENOENT. */
int pipeline_ledger(const struct pipeline *pipeline, size_t stream, struct ledger *ret_ledger);
/* How many events of the stream were lost between two boot times. The kernel only counts, and the
 * counts are looked at each second, at this call and at pipeline_ledger(): a loss is known to lie
 * between two looks and belongs to every window that touches that time. */
uint64_t pipeline_lost_between(const struct pipeline *pipeline, size_t stream, uint64_t since,
			       uint64_t until);

struct store *pipeline_store(const struct pipeline *pipeline);
/* NULL: nothing is kept. */
struct history *pipeline_history(const struct pipeline *pipeline);

#endif
