/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share.
 *
 * Who may touch what: the list of channels, their streams, the follower, the rounds and the pool
 * under live.lock, which whoever runs a round holds; frames, losses and clients of a channel under
 * channel.lock too, so that clients read without live.lock. live.lock is taken first, and never
 * two channels' locks at once. What else a client has is of the thread that reads it.
 */
#ifndef LIVE_INTERNAL_H
#define LIVE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "live/frames.h"
#include "live/live.h"
#include "live/rounds.h"
#include "schema/filter.h"
#include "store/query.h"

enum loss { LOSS_RING_FULL, LOSS_OVERRUN, LOSS_KINDS };

/* What a channel makes of a stream of the store. */
struct channel_stream {
	bool in; /* takes part */
	struct filter filter;
};

struct channel {
	struct channel *next;
	size_t index; /* in the list; valid in a round */

	/* The question, and a text that is the same for all who ask it. */
	char *key;
	size_t key_length;
	char **types; /* NULL: all */
	size_t type_count;
	struct live_filter *filters; /* owned */
	size_t filter_count;
	bool as_strings;

	struct channel_stream *streams; /* by their number in the store */
	size_t stream_count;

	pthread_mutex_t lock;
	struct frames frames;
	uint64_t losses[LOSS_KINDS]; /* ever */
	struct live_client *clients;
};

struct live_client {
	struct live *live;
	struct channel *channel;
	void (*wake)(void *context);
	void *context;
	struct live_client *next, **place; /* in the channel's list */
	struct replay *replay;		   /* what it is given first; NULL: nothing, it is live */
	bool attached;			   /* `number` counts */
	uint64_t number;		   /* of the frame that it wants next */
	uint64_t told[LOSS_KINDS];	   /* of the channel's losses */
	struct buffer own;		   /* frames for it alone */
	size_t own_done;		   /* bytes of them that were read */
};

/* An event of a round that some channel wants. */
struct slot {
	struct place place;
	uint32_t begin[2], length[2]; /* of its frame in round.frames */
};

struct round {
	size_t channel_count;
	/* Which events pass: 64 of them a word, word after word, in each a word a channel. */
	uint64_t *bits;
	struct slot *slots; /* 64 for each word */
	uint32_t *order;    /* slots that are wanted */
	size_t words, capacity, wanted;
	bool failed;		 /* no memory */
	struct buffer frames[2]; /* with integers as numbers, as strings */
	uint64_t *before;	 /* where the follower was, by stream */
	size_t before_count;
};

struct live {
	struct live_options options;
	struct store *store;
	uint64_t started; /* boot ns */
	pthread_mutex_t lock;
	struct follower *follower;
	struct rounds rounds;
	struct pool pool;
	struct channel *channels;
	size_t channel_count, client_count;
	struct round round;
	uint64_t *lost; /* by stream, what the ledger said when it was looked at last */
	size_t lost_count;
	uint64_t next_look; /* boot ns */
	_Atomic uint64_t encoded, missed;

	pthread_t thread;
	bool started_thread;
	atomic_bool stop;
	int epoll, kick, news; /* news: -1 while nobody follows */
};

/* ---- channel.c ---- */

/* The channel of a question, a new one when there is none. 0 or -ENOMEM. */
int channel_get(struct live *live, const struct live_question *question,
		struct channel **ret_channel);
/* Streams that were added to the store since: without memory they wait. */
void channel_extend(const struct live *live, struct channel *channel);
/* When it has no client. */
void channel_release(struct live *live, struct channel *channel);
/* Adds a frame, whatever must go for it. Under its lock, which is let go of meanwhile. */
void channel_put(struct live *live, struct channel *channel, const struct place *place,
		 const char *data, size_t length);
/* Gives up frames that every client has. Under its lock. */
void channel_trim(struct live *live, struct channel *channel);
/* Counts a loss for every channel that follows the stream, and wakes its clients. */
void channels_lose(struct live *live, size_t stream, enum loss kind, uint64_t count);
void channel_wake(const struct channel *channel);

/* ---- round.c ---- */

/* Gives channels what was published since the last round. True when there is more. */
bool round_run(struct live *live);
/* All that was published since the last round is a round that nobody saw. */
void round_skip(struct live *live);
void round_fini(struct round *round);
/* Gives memory back that a quiet time does not need. */
void round_shrink(struct round *round);

/* One event as clients get it. */
void frame_event(struct buffer *out, const struct event *event, const struct encoding *encoding);
/* "event: lost". `missed` UINT64_MAX: nobody knows. `place`: NULL, or the last event that is
 * missed, whose id a client that comes back goes on from. */
void frame_lost(struct buffer *out, const char *reason, uint64_t missed, bool filtered,
		const struct place *place);
struct encoding live_encoding(const struct live *live, bool as_strings);

/* ---- replay.c ---- */

/* What followed an event, for a client that has joined; NULL when there is nothing. Under
 * live.lock. 0 or -ENOMEM. */
int replay_new(struct live *live, struct channel *channel, const struct event_id *after,
	       struct buffer *own, struct replay **ret_replay);
void replay_free(struct replay *replay);
/* Writes what comes next to client->own. Returns 0, and then the client may be attached: it came to
 * where its channel is, and has no replay any more; -EAGAIN: it has written nothing and is to be
 * called again, after others; -ENOMEM. */
int replay_read(struct live_client *client);

#endif
