/* SPDX-License-Identifier: MIT */
/*
 * What a client that comes back has missed: the rounds (live/rounds.h) after the event that it had
 * last, out of the store, page by page as fast as it takes them, until it has come to the round
 * that is next for everybody. Then it is a client like the others.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "live/internal.h"

/* Events that are fetched at once, and rounds without any that are passed over at once. */
#define PAGE_EVENTS 48
#define ROUNDS_AT_ONCE 64
/* The boot time in seconds may differ by a little from one server to the next. */
#define SAME_BOOT_SECONDS 5

struct part {
	uint16_t stream;
	struct filter filter; /* the channel's */
	uint64_t first, end;  /* places of this round */
	uint64_t seen;	      /* places before it were given, or told to be gone */
};

struct replay {
	struct event_id after;
	uint64_t round;		  /* the one that is next, or is being given */
	uint64_t last;		  /* the round up to which this one goes, itself included */
	bool begun;		  /* some round was given, or begun */
	bool loaded;		  /* `parts` are of `round` */
	bool whole;		  /* the id is none of a round: all by time */
	struct query_place place; /* within the round */
	struct part *parts;
	size_t count;
};

void replay_free(struct replay *replay)
{
	if (!replay)
		return;
	free(replay->parts);
	free(replay);
}

/* ---- where to begin ---- */

/* The event's whole place in its stream, of which an id has the low half. */
static uint64_t whole_index(uint64_t position, uint32_t low)
{
	uint64_t index = (position & ~(uint64_t)UINT32_MAX) | low;

	return index > position && index > UINT32_MAX ? index - ((uint64_t)UINT32_MAX + 1) : index;
}

/* Whether the id is of an event that this server has had, and so may have given in a round. */
static bool find_event(const struct live *live, const struct event_id *id, uint64_t *ret_index)
{
	uint64_t position, index, timestamp;

	if (id->stream >= store_stream_count(live->store))
		return false;
	position = follower_position(live->follower, id->stream);
	index = whole_index(position, id->index);
	if (index >= position)
		return false;
	if (store_time_at(live->store, id->stream, index, &timestamp) < 0)
		timestamp = id->timestamp >= live->started ? id->timestamp : ~id->timestamp;
	*ret_index = index;
	return timestamp == id->timestamp;
}

/* What of a stream is gone that came after the event. UINT64_MAX: some, nobody knows how many. */
static uint64_t gone_after(const struct live *live, size_t stream, const struct replay *replay,
			   bool earlier_boot, uint64_t own_index)
{
	const uint64_t held = store_first_held(live->store, stream);
	struct store_figures figures;
	struct ledger ledger = { 0 };

	store_figures(live->store, stream, &figures);
	pipeline_ledger(live->options.pipeline, stream, &ledger);
	if (earlier_boot)
		return ledger.expired;
	if (!replay->whole && stream == replay->after.stream)
		return held > own_index + 1 ? held - own_index - 1 : 0;
	if (figures.expired_until > replay->after.timestamp)
		return UINT64_MAX;
	/* What an earlier server had died with it. */
	return ledger.expired > figures.expired && replay->after.timestamp < live->started
		       ? UINT64_MAX
		       : 0;
}

static void tell_gone(const struct live *live, const struct channel *channel,
		      const struct replay *replay, bool earlier_boot, uint64_t own_index,
		      struct buffer *own)
{
	uint64_t expired = 0, lost = 0;

	for (size_t i = 0; i < channel->stream_count; i++) {
		uint64_t gone;

		if (!channel->streams[i].in)
			continue;
		gone = gone_after(live, i, replay, earlier_boot, own_index);
		expired = gone == UINT64_MAX || expired == UINT64_MAX ? UINT64_MAX : expired + gone;
		lost += pipeline_lost_between(live->options.pipeline, i,
					      earlier_boot ? 0 : replay->after.timestamp,
					      UINT64_MAX);
	}
	if (expired)
		frame_lost(own, "expired", expired, false, NULL);
	if (lost)
		frame_lost(own, "ring_full", lost, false, NULL);
}

int replay_new(struct live *live, struct channel *channel, const struct event_id *after,
	       struct buffer *own, struct replay **ret_replay)
{
	const uint64_t boot = clock_boot_epoch_seconds();
	const bool earlier_boot = after->boot + SAME_BOOT_SECONDS < boot;
	struct replay *replay;
	uint64_t index = 0;

	*ret_replay = NULL;
	if (after->boot > boot + SAME_BOOT_SECONDS)
		return 0; /* nothing of this boot came after it */
	replay = calloc(1, sizeof(*replay));
	if (!replay)
		return -ENOMEM;
	replay->after = *after;
	replay->whole = earlier_boot || !find_event(live, after, &index);
	if (!replay->whole)
		replay->round = rounds_find(&live->rounds, after->stream, index);
	if (!earlier_boot)
		replay->place = (struct query_place){
			.set = true,
			.timestamp = after->timestamp,
			.stream = after->stream,
			.index = after->index,
		};
	tell_gone(live, channel, replay, earlier_boot, index, own);
	*ret_replay = replay;
	return 0;
}

/* ---- the rounds ---- */

static struct part *find_part(const struct replay *replay, size_t stream)
{
	for (size_t i = 0; i < replay->count; i++) {
		if (replay->parts[i].stream == stream)
			return &replay->parts[i];
	}
	return NULL;
}

/* Where the round that is loaded begins: where the last one ended. */
static uint64_t first_of(const struct live *live, const struct replay *replay, size_t stream,
			 uint64_t now)
{
	const struct part *part = find_part(replay, stream);

	if (part)
		return part->end;
	if (replay->whole)
		return 0;
	return rounds_begin(&live->rounds, stream, replay->round, now);
}

/* Takes up the next round. 0, or -ENOMEM. */
static int load_round(struct live *live, const struct channel *channel, struct replay *replay)
{
	struct part *parts = calloc(channel->stream_count + 1, sizeof(*parts));
	const struct part *known;
	uint64_t seen;
	size_t count = 0;

	if (!parts)
		return -ENOMEM;
	/* Of what the log has forgotten, all is one round. */
	replay->last = replay->round < live->rounds.first ? live->rounds.first - 1 : replay->round;
	if (replay->whole && !replay->begun)
		replay->last = live->rounds.number - 1;
	for (size_t i = 0; i < channel->stream_count; i++) {
		const uint64_t now = follower_position(live->follower, i);
		struct part part = {
			.stream = (uint16_t)i,
			.filter = channel->streams[i].filter,
			.first = first_of(live, replay, i, now),
			.end = rounds_begin(&live->rounds, i, replay->last + 1, now),
		};

		if (!channel->streams[i].in)
			continue;
		/* What had gone when the client came was told. */
		known = find_part(replay, i);
		seen = known	       ? known->seen
		       : replay->begun ? part.first
				       : store_first_held(live->store, i);
		part.seen = seen > part.first ? seen : part.first;
		parts[count++] = part;
	}
	free(replay->parts);
	replay->parts = parts;
	replay->count = count;
	replay->loaded = replay->begun = true;
	return 0;
}

/* Events of this round that were evicted before they were looked at. */
static uint64_t expired_meanwhile(const struct live *live, struct replay *replay)
{
	uint64_t expired = 0;

	for (size_t i = 0; i < replay->count; i++) {
		struct part *part = &replay->parts[i];
		uint64_t held = store_first_held(live->store, part->stream);

		held = held < part->end ? held : part->end;
		if (held <= part->seen)
			continue;
		expired += held - part->seen;
		part->seen = held;
	}
	return expired;
}

/* One page of the round. 0, or -ENOMEM. */
static int give_page(const struct live *live, struct replay *replay, bool as_strings,
		     struct buffer *out)
{
	__attribute__((cleanup(query_result_fini))) struct query_result result = { .count = 0 };
	FREE struct query_stream *streams = calloc(replay->count + 1, sizeof(*streams));
	struct query query = {
		.streams = streams,
		.until = UINT64_MAX,
		.after = replay->place,
		.ascending = true,
		.limit = PAGE_EVENTS,
	};
	const struct encoding encoding = live_encoding(live, as_strings);

	if (!streams)
		return -ENOMEM;
	for (size_t i = 0; i < replay->count; i++) {
		const struct part *part = &replay->parts[i];

		if (part->first < part->end)
			streams[query.stream_count++] = (struct query_stream){
				.stream = part->stream,
				.filter = part->filter,
				.first = part->first,
				.end = part->end,
			};
	}
	if (query.stream_count && query_run(live->store, &query, &result) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < result.count; i++) {
		const struct event *event = &result.events[i];
		struct part *part = find_part(replay, event->stream);

		frame_event(out, event, &encoding);
		if (event->index >= part->seen)
			part->seen = event->index + 1;
		replay->place = (struct query_place){
			.set = true,
			.timestamp = event->timestamp,
			.stream = event->stream,
			.index = (uint32_t)event->index,
		};
	}
	if (!result.more) {
		replay->loaded = false;
		replay->place.set = false;
		replay->round = replay->last + 1;
	}
	return 0;
}

/* Where the channel is now the client goes on as all others do. */
static void attach(struct live_client *client)
{
	struct channel *channel = client->channel;

	pthread_mutex_lock(&channel->lock);
	client->number = channel->frames.next;
	client->attached = true;
	pthread_mutex_unlock(&channel->lock);
	replay_free(client->replay);
	client->replay = NULL;
}

int replay_read(struct live_client *client)
{
	struct live *live = client->live;
	struct replay *replay = client->replay;

	for (size_t i = 0; i < ROUNDS_AT_ONCE && !client->own.length; i++) {
		uint64_t expired;

		if (!replay->loaded) {
			bool done;
			int r = 0;

			pthread_mutex_lock(&live->lock);
			done = replay->begun && replay->round >= live->rounds.number;
			if (done)
				attach(client);
			else
				r = load_round(live, client->channel, replay);
			pthread_mutex_unlock(&live->lock);
			if (done || r < 0)
				return r;
		}
		expired = expired_meanwhile(live, replay);
		if (expired)
			frame_lost(&client->own, "expired", expired, false, NULL);
		if (give_page(live, replay, client->channel->as_strings, &client->own) < 0)
			return -ENOMEM;
	}
	return client->own.length ? 0 : -EAGAIN;
}
