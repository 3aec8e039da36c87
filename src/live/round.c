/* SPDX-License-Identifier: MIT */
/* One round: new events of all streams, tested for every channel, encoded once, in the order of
 * ids. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/sse.h"
#include "live/internal.h"

/* Events that a round looks at: what they take as text, if all are wanted, is about a megabyte. */
#define ROUND_EVENTS 2048
/* Text that is kept from one round to the next. */
#define FRAMES_KEPT ((size_t)64 << 10)

/* ---- frames ---- */

static void format_id(const struct place *place, char text[EVENT_ID_SIZE])
{
	event_id_format(&(struct event_id){ .boot = clock_boot_epoch_seconds(),
					    .timestamp = place->timestamp,
					    .stream = place->stream,
					    .index = (uint32_t)place->index },
			text);
}

void frame_event(struct buffer *out, const struct event *event, const struct encoding *encoding)
{
	const struct place place = { event->timestamp, event->index, event->stream };
	char id[EVENT_ID_SIZE];
	struct json json;

	format_id(&place, id);
	sse_begin(out, id, NULL);
	sse_data_begin(out);
	json_init(&json, out);
	event_encode_json(event, encoding, &json);
	sse_data_end(out);
	sse_end(out);
}

void frame_lost(struct buffer *out, const char *reason, uint64_t missed, bool filtered,
		const struct place *place)
{
	char id[EVENT_ID_SIZE];
	struct json json;

	if (place)
		format_id(place, id);
	sse_begin(out, place ? id : NULL, "lost");
	sse_data_begin(out);
	json_init(&json, out);
	json_object_begin(&json);
	if (missed == UINT64_MAX)
		json_member_string(&json, "missed", NULL);
	else
		json_member_u64(&json, "missed", missed);
	json_member_string(&json, "reason", reason);
	json_member_bool(&json, "filtered", filtered);
	json_object_end(&json);
	sse_data_end(out);
	sse_end(out);
}

struct encoding live_encoding(const struct live *live, bool as_strings)
{
	return (struct encoding){
		.boot_to_real = live->options.boot_to_real(live->options.context),
		.boot_epoch = clock_boot_epoch_seconds(),
		.symbols = live->options.symbols,
		.integers_as_strings = as_strings,
	};
}

/* ---- what passes ---- */

struct collecting {
	struct live *live;
	struct encoding encodings[2];
};

void round_fini(struct round *round)
{
	free(round->bits);
	free(round->slots);
	free(round->order);
	free(round->before);
	for (size_t i = 0; i < ARRAY_SIZE(round->frames); i++)
		buffer_fini(&round->frames[i]);
	*round = (struct round){ .bits = NULL };
}

void round_shrink(struct round *round)
{
	for (size_t i = 0; i < ARRAY_SIZE(round->frames); i++) {
		if (round->frames[i].capacity > FRAMES_KEPT)
			buffer_fini(&round->frames[i]);
	}
}

/* Room for so many words more. */
static bool reserve(struct round *round, size_t more)
{
	size_t capacity = round->capacity ? round->capacity : 16;
	uint64_t *bits;
	struct slot *slots;
	uint32_t *order;

	while (capacity < round->words + more)
		capacity *= 2;
	if (capacity == round->capacity)
		return true;
	bits = realloc(round->bits, capacity * round->channel_count * sizeof(*bits));
	round->bits = bits ? bits : round->bits;
	slots = realloc(round->slots, capacity * 64 * sizeof(*slots));
	round->slots = slots ? slots : round->slots;
	order = realloc(round->order, capacity * 64 * sizeof(*order));
	round->order = order ? order : round->order;
	if (!bits || !slots || !order)
		return false;
	round->capacity = capacity;
	return true;
}

/* Encodes the events of one word that are wanted in a form. */
static void encode_word(struct round *round, const struct event_batch *batch, size_t word,
			uint64_t bits, int form, const struct encoding *encoding)
{
	const size_t base = (round->words + word) * 64;
	struct buffer *frames = &round->frames[form];

	for (; bits; bits &= bits - 1) {
		const size_t bit = (size_t)__builtin_ctzll(bits);
		struct slot *slot = &round->slots[base + bit];
		const size_t begin = frames->length;
		struct event event;

		batch_event(batch, (uint32_t)(64 * word + bit), &event);
		frame_event(frames, &event, encoding);
		slot->place = (struct place){ event.timestamp, event.index, event.stream };
		slot->begin[form] = (uint32_t)begin;
		slot->length[form] = (uint32_t)(frames->length - begin);
	}
}

static void collect_batch(void *context, const struct event_batch *batch)
{
	const struct collecting *collecting = context;
	struct live *live = collecting->live;
	struct round *round = &live->round;
	const size_t words = (batch->count + 63) / 64;
	uint64_t wanted[2][BATCH_WORDS] = { { 0 } }, passing[BATCH_WORDS];

	if (batch->missed)
		channels_lose(live, batch->stream, LOSS_OVERRUN, batch->missed);
	if (!batch->count)
		return;
	round->failed |= !reserve(round, words);
	if (round->failed) {
		channels_lose(live, batch->stream, LOSS_OVERRUN, batch->count);
		return;
	}
	for (struct channel *channel = live->channels; channel; channel = channel->next) {
		bool in;

		if (batch->stream >= channel->stream_count)
			channel_extend(live, channel);
		in = batch->stream < channel->stream_count && channel->streams[batch->stream].in;
		if (in)
			batch_filter(batch, &channel->streams[batch->stream].filter, passing);
		for (size_t i = 0; i < words; i++) {
			const uint64_t bits = in ? passing[i] : 0;

			round->bits[(round->words + i) * round->channel_count + channel->index] =
				bits;
			wanted[channel->as_strings][i] |= bits;
		}
	}
	for (size_t i = 0; i < words; i++) {
		const size_t base = (round->words + i) * 64;

		for (int form = 0; form < 2; form++)
			encode_word(round, batch, i, wanted[form][i], form,
				    &collecting->encodings[form]);
		for (uint64_t bits = wanted[0][i] | wanted[1][i]; bits; bits &= bits - 1)
			round->order[round->wanted++] =
				(uint32_t)(base + (size_t)__builtin_ctzll(bits));
	}
	round->words += words;
}

/* ---- in order ---- */

static int compare_places(const struct place *a, const struct place *b)
{
	if (a->timestamp != b->timestamp)
		return a->timestamp < b->timestamp ? -1 : 1;
	if (a->stream != b->stream)
		return a->stream < b->stream ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static int compare_slots(const void *a, const void *b, void *context)
{
	const struct slot *slots = context;

	return compare_places(&slots[*(const uint32_t *)a].place,
			      &slots[*(const uint32_t *)b].place);
}

static void sort(struct round *round)
{
	for (size_t i = 1; i < round->wanted; i++) {
		if (compare_slots(&round->order[i - 1], &round->order[i], round->slots) > 0) {
			qsort_r(round->order, round->wanted, sizeof(*round->order), compare_slots,
				round->slots);
			return;
		}
	}
}

static bool is_wanted(const struct round *round, const struct channel *channel, uint32_t slot)
{
	return round->bits[slot / 64 * round->channel_count + channel->index] >> slot % 64 & 1;
}

static void hand_out(struct live *live, struct channel *channel)
{
	const struct round *round = &live->round;
	const int form = channel->as_strings;
	const uint64_t before = channel->frames.next;

	pthread_mutex_lock(&channel->lock);
	for (size_t i = 0; i < round->wanted; i++) {
		const struct slot *slot = &round->slots[round->order[i]];

		if (is_wanted(round, channel, round->order[i]))
			channel_put(live, channel, &slot->place,
				    round->frames[form].data + slot->begin[form],
				    slot->length[form]);
	}
	channel_trim(live, channel);
	if (channel->frames.next != before)
		channel_wake(channel);
	pthread_mutex_unlock(&channel->lock);
}

/* Events whose text there was no memory for: nobody gets any of this round. */
static void lose_round(struct live *live)
{
	const struct round *round = &live->round;

	for (size_t i = 0; i < round->wanted; i++)
		channels_lose(live, round->slots[round->order[i]].place.stream, LOSS_OVERRUN, 1);
}

/* ---- where it began ---- */

static bool note_before(struct live *live)
{
	struct round *round = &live->round;
	const size_t count = store_stream_count(live->store);

	if (count > round->before_count) {
		uint64_t *before = realloc(round->before, count * sizeof(*before));

		if (!before)
			return false;
		round->before = before;
		round->before_count = count;
	}
	for (size_t i = 0; i < count; i++)
		round->before[i] = follower_position(live->follower, i);
	return true;
}

static void note_round(struct live *live)
{
	const struct round *round = &live->round;
	const size_t count = store_stream_count(live->store);
	bool news = false;

	for (size_t i = 0; i < count; i++) {
		/* Streams may have been added meanwhile. */
		const uint64_t before = i < round->before_count ? round->before[i] : 0;

		if (follower_position(live->follower, i) == before)
			continue;
		rounds_note(&live->rounds, i, before);
		news = true;
	}
	live->rounds.number += news;
}

void round_skip(struct live *live)
{
	if (!note_before(live))
		return;
	follower_skip(live->follower);
	note_round(live);
}

bool round_run(struct live *live)
{
	struct round *round = &live->round;
	struct collecting collecting = {
		.live = live,
		.encodings = { live_encoding(live, false), live_encoding(live, true) },
	};
	size_t index = 0, events;

	if (!note_before(live))
		return false;
	for (struct channel *channel = live->channels; channel; channel = channel->next)
		channel->index = index++;
	if (round->channel_count != live->channel_count) {
		free(round->bits);
		round->bits = NULL;
		round->capacity = 0;
		round->channel_count = live->channel_count;
	}
	round->words = round->wanted = 0;
	round->failed = false;
	for (size_t i = 0; i < ARRAY_SIZE(round->frames); i++)
		buffer_clear(&round->frames[i]);
	events = follower_read_batches(live->follower, ROUND_EVENTS, collect_batch, &collecting);
	atomic_fetch_add_explicit(&live->encoded, round->wanted, memory_order_relaxed);
	if (round->frames[0].failed || round->frames[1].failed) {
		lose_round(live);
	} else {
		sort(round);
		for (struct channel *channel = live->channels; channel; channel = channel->next)
			hand_out(live, channel);
	}
	note_round(live);
	return events == ROUND_EVENTS;
}
