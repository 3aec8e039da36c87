/* SPDX-License-Identifier: MIT */
/*
 * The newest frames of a channel, numbered from 0 on, in chunks of memory. Readers know the number
 * of the frame that they want next, so what was dropped before they came is counted by a
 * subtraction. Not thread-safe: the channel's lock, and for the pool that of everything live.
 */
#ifndef LIVE_FRAMES_H
#define LIVE_FRAMES_H

#include <stddef.h>
#include <stdint.h>

/* An event's place in the order of ids. */
struct place {
	uint64_t timestamp, index;
	uint16_t stream;
};

#define CHUNK_BYTES ((size_t)16 << 10)
#define CHUNK_FRAMES 96u

struct chunk {
	struct chunk *next; /* in the pool */
	size_t bytes;	    /* of memory, this head included */
	uint64_t first;	    /* number of its first frame */
	uint32_t frames, length, capacity;
	struct place last; /* the event of its last frame */
	uint32_t ends[CHUNK_FRAMES];
	char data[];
};

/* Memory for chunks of all channels. */
struct pool {
	size_t used, limit;
	struct chunk *spare; /* of CHUNK_BYTES; not counted as used */
	size_t spare_count;
};

void pool_fini(struct pool *pool); /* no chunk is in use */
/* Gives spare memory back but for what a quiet stream needs. */
void pool_shrink(struct pool *pool);

struct frames {
	struct chunk **chunks; /* a ring of `capacity`, oldest at `head` */
	size_t capacity, head, count;
	size_t bytes;
	uint64_t next;	      /* number of the frame that comes */
	struct place dropped; /* the event of the newest frame that is gone */
};

/* All are gone. */
void frames_fini(struct frames *frames, struct pool *pool);

/* Adds a frame. Returns 0, or -ENOMEM: the pool is used up. */
int frames_put(struct frames *frames, struct pool *pool, const struct place *place,
	       const char *data, size_t length);
/* For a frame that no memory can be had for: it counts as added and gone, and so do those before
 * it. */
void frames_lose(struct frames *frames, struct pool *pool, const struct place *place);
/* Drops the oldest chunk, if there is one. */
void frames_drop(struct frames *frames, struct pool *pool);
/* Drops chunks that hold nothing from `number` on. */
void frames_trim(struct frames *frames, struct pool *pool, uint64_t number);

/* The oldest frame that is held; `next` when there is none. */
uint64_t frames_first(const struct frames *frames);
/* Copies whole frames from `*number` on (held, or `next`), as many as fit, and moves it on. Returns
 * bytes. */
size_t frames_copy(const struct frames *frames, uint64_t *number, char *data, size_t size);
/* One frame, held. */
const char *frames_at(const struct frames *frames, uint64_t number, size_t *ret_length);

#endif
