/* SPDX-License-Identifier: MIT */
/*
 * Events to whoever follows them live, as server-sent events. Clients that ask the same share a
 * channel: each event is tested once for all of them and encoded once for everybody, and a client
 * is no more than a place in its channel. One thread reads the store, as often as the reader of
 * the rings publishes; it never waits for a client, and nobody waits for it.
 *
 * A client gets each event that matches once, in a fixed order (live/rounds.h), or is told how many
 * it missed. Frames are `id: <event id>` with `data: <event>`, and
 *
 *   event: lost
 *   data: {"missed":<count, null where nobody can know>,"reason":"…","filtered":<bool>}
 *
 * `filtered`: the count is of events that match; else of all events of the types that are followed.
 *   slow_reader  this client read too slowly, and the channel went on
 *   ring_full    the kernel had no room for them
 *   overrun      they had left the memory before they could be looked at
 *   expired      on resuming: they have left the memory
 *
 * Memory: what all channels together hold for slow clients is bounded; when it is used up, the
 * channel that holds most gives up its oldest.
 */
#ifndef LIVE_LIVE_H
#define LIVE_LIVE_H

#include <sys/types.h>

#include "base/memory.h"
#include "pipeline/pipeline.h"
#include "schema/encode.h"

struct symbols;
struct live;
struct live_client;

struct live_options {
	struct pipeline *pipeline;
	struct symbols *symbols;
	/* What is added to boot times in this moment, in ns; any thread. */
	int64_t (*boot_to_real)(void *context);
	void *context;
	size_t memory; /* bytes for frames that were not read yet; 0: LIVE_MEMORY */
};

#define LIVE_MEMORY ((size_t)16 << 20)
#define LIVE_RETRY_MS 1000

/* Starts the thread, which sleeps while nobody follows. Returns 0 or -errno. */
int live_new(const struct live_options *options, struct live **ret_live);
/* After the last client has left. Accepts NULL. */
void live_free(struct live *live);
DEFINE_CLEANUP(live, live_free)

struct live_filter {
	const char *field, *expression; /* schema/filter.h */
};

/* What is asked for. Streams that lack a field that is filtered on, or do not understand the
 * expression, take no part; streams that are added later do. */
struct live_question {
	const char *types; /* a list of types, NULL for all */
	const struct live_filter *filters;
	size_t filter_count;
	bool integers_as_strings;
};

/*
 * A new client. `after`: first what followed this event, as far as it is in memory; NULL: what is
 * published from now on. `wake(context)` is called when there is something to read after
 * live_read() gave less than it might have; from any thread, under locks: it must not call back.
 * The question is copied. Returns 0, -ENOMEM, -errno. Any thread.
 */
int live_join(struct live *live, const struct live_question *question, const struct event_id *after,
	      void (*wake)(void *context), void *context, struct live_client **ret_client);
/* Puts what comes next to `data`, mostly whole frames; returns how many bytes, 0 when there is
 * nothing now, -ENOMEM: the client had better come again. One thread at a time for one client;
 * `size` at least 1024. Does not wait. */
ssize_t live_read(struct live_client *client, char *data, size_t size);
/* Afterwards it is not woken any more. Accepts NULL. */
void live_leave(struct live_client *client);

struct live_figures {
	uint64_t clients, channels;
	uint64_t bytes;	  /* held for clients that have not read them yet */
	uint64_t encoded; /* events that were encoded, once for all channels */
	uint64_t missed;  /* events that clients were told they missed by reading slowly */
};
void live_figures(struct live *live, struct live_figures *ret_figures);

#endif
