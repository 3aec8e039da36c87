/* SPDX-License-Identifier: MIT */
/*
 * Answers whose body comes in pieces, for as long as the client stays: live streams. A handler
 * opens a source and gives the calls that fill it; no thread waits for it, and its client costs
 * little memory while there is nothing to send.
 *
 * What every such answer needs is done here: at most so many at once (api_options.max_streams),
 * keep-alive comments, clients that went away without a word, the end of all at api_stop(). A
 * client that takes nothing for SOURCE_PATIENCE_SECONDS is disconnected.
 */
#ifndef API_SOURCE_H
#define API_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api/answer.h"
#include "api/http.h"

/* What read() returns besides a count of bytes. */
#define SOURCE_WAIT 0	/* nothing now: it is called again after source_wake() */
#define SOURCE_END (-1) /* the body is complete */

/* read() is never asked for less. */
#define SOURCE_PIECE_MINIMUM 1024

#define SOURCE_KEEP_ALIVE_SECONDS 15
#define SOURCE_PATIENCE_SECONDS 300

struct source;

struct source_calls {
	/* Puts up to `size` bytes to `data` and returns how many, SOURCE_WAIT or SOURCE_END. On a
	 * thread that others need too: never waits. One call at a time for one source. */
	ssize_t (*read)(void *context, char *data, size_t size);
	/* The client is gone, the server stops, or the answer was never sent. Called exactly once,
	 * after the last read(); when it returns nobody may call source_wake() any more. */
	void (*free)(void *context);
	/* What is sent after SOURCE_KEEP_ALIVE_SECONDS of silence; it may stand between any two
	 * results of read(), so these end where a comment may begin. NULL: nothing. */
	const char *keep_alive;
};

/*
 * Makes the answer a stream: 200 with this media type, never cached, compressed or kept by a proxy.
 * On success the answer owns the source, and that the context: from here on whoever gives up only
 * says so by answer_error(), which frees both. Returns 0, or a negative value with the answer
 * filled (503: too many streams, or the server stops), and then the context is still the caller's.
 */
int source_open(struct request *request, struct answer *answer, const char *media_type,
		const struct source_calls *calls, void *context);
/* There is something to read. Any thread, at any time between source_open() and free(), also from
 * within read(); cheap when it was woken already. Calls nobody back. */
void source_wake(struct source *source);
/* Frees one that was never sent, and its context. Accepts NULL. */
void source_discard(struct source *source);

/* ---- for http.c ---- */

struct MHD_Connection;
struct MHD_Response;

struct sources;
/* `most`: at once. NULL when out of memory, descriptors or threads. */
struct sources *sources_new(unsigned int most);
/* Refuses new ones, and ends those there are: their next read is their last. */
void sources_end(struct sources *sources);
/* After the connections are gone. Accepts NULL. */
void sources_free(struct sources *sources);
unsigned int sources_count(struct sources *sources);
unsigned int sources_most(const struct sources *sources);

/*
 * Sends head and body past the library, which keeps the connection suspended until the source is
 * over and then asks its handler once more: that closes the connection, and source_discard() is for
 * whoever is told so. False when it cannot be, under TLS: then source_response() can.
 */
bool source_send(struct source *source, struct MHD_Connection *connection, struct buffer *head);
/* A response whose body the source is. Takes the source also on failure (NULL). */
struct MHD_Response *source_response(struct source *source, struct MHD_Connection *connection);

#endif
