/* SPDX-License-Identifier: MIT */
/*
 * The order in which live clients are given events, kept so that it can be gone through again.
 *
 * Ids sort by time, but events do not come so: the rings of several streams are emptied one after
 * another, and CPUs overtake each other. So "after this id" by time would leave out what came late,
 * or give it twice. Live events come in rounds instead: each round takes the events of every stream
 * from where the last one ended (by their places, which have no gaps) to what is published then,
 * and gives them in the order of ids. Where each round began in each stream is kept here, 16 bytes
 * for a round and stream that had news. By this a client that comes back with an id gets exactly
 * what it had not: the rest of the id's round, then the rounds after it.
 *
 * While nobody follows there are no rounds; all of that time becomes one when somebody comes. What
 * is older than the log is one round too, number 0. Not thread-safe.
 */
#ifndef LIVE_ROUNDS_H
#define LIVE_ROUNDS_H

#include <stddef.h>
#include <stdint.h>

/* Of a stream, kept at most. At 100 rounds a second 40 seconds; of a quiet stream hours. */
#define ROUNDS_KEPT 4096u

struct round_entry {
	uint64_t round, begin; /* the stream's first place in this round */
};

struct rounds_stream {
	struct round_entry *entries; /* a ring of `capacity`, oldest at `head` */
	size_t capacity, head, count;
};

struct rounds {
	uint64_t number; /* of the round that comes; from 1 on */
	uint64_t first;	 /* the oldest that is known; those before it are round 0 */
	struct rounds_stream *streams;
	size_t count;
};

void rounds_init(struct rounds *rounds);
void rounds_fini(struct rounds *rounds);

/* In the round that comes a stream has news, from this place on. Without memory the log begins
 * anew, and what was before is round 0. */
void rounds_note(struct rounds *rounds, size_t stream, uint64_t begin);

/* The place where a round begins in a stream. `now`: where the stream's next round will. Rounds
 * before `first` begin at 0. */
uint64_t rounds_begin(const struct rounds *rounds, size_t stream, uint64_t round, uint64_t now);
/* The round that a place before `now` was given in. */
uint64_t rounds_find(const struct rounds *rounds, size_t stream, uint64_t index);

#endif
