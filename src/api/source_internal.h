/* SPDX-License-Identifier: MIT */
/*
 * The two ways in which a source reaches its client. Private to source*.c and http.c.
 *
 * Plain HTTP: the keeper writes to the connection's socket itself, while libmicrohttpd has the
 * connection suspended and unanswered. Answered by the library it would cost each client 26 KiB
 * (the library clears half of its memory pool before it writes a head), this way it is 6, and no
 * HTTP thread is woken for an event.
 *
 * TLS: the library writes, by a callback, and its connection is suspended in between.
 */
#ifndef API_SOURCE_INTERNAL_H
#define API_SOURCE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "api/source.h"
#include "base/buffer.h"

struct MHD_Connection;
struct MHD_Response;

enum source_state {
	SOURCE_READING, /* read() is being called, or may be: who wakes it says so */
	SOURCE_WOKEN,	/* the same, and there is more */
	SOURCE_WAITING, /* for a wake */
	SOURCE_QUEUED,	/* direct: in the keeper's queue */
	SOURCE_BLOCKED, /* direct: the socket takes nothing more */
	SOURCE_OVER,	/* direct: the connection is being closed */
};

struct source {
	struct sources *all;
	const struct source_calls *calls;
	void *context;
	struct MHD_Connection *connection; /* NULL until it is sent */
	int socket;			   /* the connection's; -1 as long */
	bool direct;
	_Atomic int state;	/* enum source_state */
	atomic_bool gone;	/* the client's end is closed */
	atomic_bool due;	/* a keep-alive is */
	_Atomic uint64_t spoke; /* boot ns: when something was sent last */
	struct buffer rest;	/* direct: what the socket did not take yet */
	size_t rest_done;	/* bytes of it that were sent */
	struct source *queued;	/* direct: the next in the queue */
	uint64_t cared;		/* boot ns: when the keeper looked after it, under the lock */
	uint64_t id;
	struct source *next, **place; /* in the list, under the lock */
};

struct sources {
	pthread_mutex_t lock; /* of list, count, last_id */
	struct source *first;
	unsigned int count, most;
	uint64_t last_id;
	pthread_mutex_t queue_lock; /* taken last */
	struct source *queue, **queue_end;
	atomic_bool ending;
	pthread_t keeper;
	bool keeps;
	int epoll, kick;
	char *piece; /* the keeper's */
};

/* ---- source.c ---- */

/* Something to send: from read(), or a keep-alive that is due. As read(). */
ssize_t source_read(struct source *source, char *data, size_t size);
/* Has the keeper hear of the socket. */
void source_watch(struct source *source, uint32_t events);

/* ---- source_direct.c ---- */

#define DIRECT_PIECE_BYTES ((size_t)16 << 10)

/* A source that was woken: its state is SOURCE_QUEUED. */
void direct_queue(struct source *source);
/* Keeper: sends what those in the queue have, each a turn. True when some wait for another. */
bool direct_run(struct sources *all);
/* Keeper: the socket takes more. */
void direct_unblock(struct source *source);
/* Keeper: ends it; from here on it belongs to the thread that closes its connection. */
void direct_end(struct source *source);

/* ---- source_library.c ---- */

void library_resume(struct source *source);

#endif
