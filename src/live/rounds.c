/* SPDX-License-Identifier: MIT */
#include "live/rounds.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_AT_FIRST 64u

void rounds_init(struct rounds *rounds)
{
	*rounds = (struct rounds){ .number = 1, .first = 1 };
}

void rounds_fini(struct rounds *rounds)
{
	for (size_t i = 0; i < rounds->count; i++)
		free(rounds->streams[i].entries);
	free(rounds->streams);
	rounds_init(rounds);
}

static const struct round_entry *entry_at(const struct rounds_stream *stream, size_t i)
{
	return &stream->entries[(stream->head + i) & (stream->capacity - 1)];
}

static bool grow_entries(struct rounds_stream *stream)
{
	size_t capacity = stream->capacity ? 2 * stream->capacity : ENTRIES_AT_FIRST;
	struct round_entry *entries;

	if (capacity > ROUNDS_KEPT)
		return false;
	entries = calloc(capacity, sizeof(*entries));
	if (!entries)
		return false;
	for (size_t i = 0; i < stream->count; i++)
		entries[i] = *entry_at(stream, i);
	free(stream->entries);
	stream->entries = entries;
	stream->capacity = capacity;
	stream->head = 0;
	return true;
}

static bool grow_streams(struct rounds *rounds, size_t count)
{
	struct rounds_stream *streams = realloc(rounds->streams, count * sizeof(*rounds->streams));

	if (!streams)
		return false;
	memset(streams + rounds->count, 0, (count - rounds->count) * sizeof(*streams));
	rounds->streams = streams;
	rounds->count = count;
	return true;
}

static void forget_oldest(struct rounds *rounds, struct rounds_stream *stream)
{
	const uint64_t after = entry_at(stream, 0)->round + 1;

	if (after > rounds->first)
		rounds->first = after;
	stream->head = (stream->head + 1) & (stream->capacity - 1);
	stream->count--;
}

/* Whatever was noted: the rounds before the one that comes are one. */
static void begin_anew(struct rounds *rounds)
{
	for (size_t i = 0; i < rounds->count; i++)
		rounds->streams[i].count = 0;
	rounds->first = rounds->number;
}

void rounds_note(struct rounds *rounds, size_t number, uint64_t begin)
{
	struct rounds_stream *stream;

	if (number >= rounds->count && !grow_streams(rounds, number + 1)) {
		begin_anew(rounds);
		rounds->first = rounds->number + 1;
		return;
	}
	stream = &rounds->streams[number];
	if (stream->count == stream->capacity && !grow_entries(stream)) {
		if (!stream->count) {
			begin_anew(rounds);
			rounds->first = rounds->number + 1;
			return;
		}
		forget_oldest(rounds, stream);
	}
	stream->entries[(stream->head + stream->count++) & (stream->capacity - 1)] =
		(struct round_entry){ .round = rounds->number, .begin = begin };
}

uint64_t rounds_begin(const struct rounds *rounds, size_t number, uint64_t round, uint64_t now)
{
	const struct rounds_stream *stream = number < rounds->count ? &rounds->streams[number]
								    : NULL;
	size_t low = 0, high = stream ? stream->count : 0;

	if (round < rounds->first)
		return 0;
	/* The first entry of this round or a later one. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entry_at(stream, middle)->round < round)
			low = middle + 1;
		else
			high = middle;
	}
	return stream && low < stream->count ? entry_at(stream, low)->begin : now;
}

uint64_t rounds_find(const struct rounds *rounds, size_t number, uint64_t index)
{
	const struct rounds_stream *stream = number < rounds->count ? &rounds->streams[number]
								    : NULL;
	size_t low = 0, high = stream ? stream->count : 0;
	uint64_t round;

	/* The last entry that begins at or before it. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entry_at(stream, middle)->begin <= index)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return 0;
	round = entry_at(stream, low - 1)->round;
	return round < rounds->first ? 0 : round;
}
