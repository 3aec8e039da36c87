/* SPDX-License-Identifier: MIT */
/*
 * Consumer of one BPF ring buffer map, by its mapped pages (kernel/bpf/ringbuf.c gives the layout:
 * a consumer page that user space writes, a producer page, and the data). One thread drains; any
 * may look. libbpf's ring_buffer__poll() is made for one wake-up an event; here the producer wakes
 * nobody and the reader comes when it wants. The kernel lets the data be mapped twice in a row, so
 * that no record is cut; here it is mapped once, since resident memory counts each mapping, and the
 * one record a lap that is cut is put together in a few bytes beside it.
 */
#ifndef PIPELINE_RING_H
#define PIPELINE_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring {
	int fd;	      /* owned */
	size_t bytes; /* of data: a power of two */
	/* Positions count bytes since the ring was made, and wrap as the kernel's unsigned long. */
	unsigned long *consumer;
	const unsigned long *producer;
	const uint8_t *data;
	uint8_t *scratch; /* `longest` bytes */
	size_t longest;
};

/* Maps the ring. `longest`: bytes of the longest record that is of use; of a longer one the length
 * is reported and no data. Takes the descriptor on success. Returns 0 or -errno: -EINVAL when it is
 * no ring buffer map. */
int ring_open(struct ring *ring, int map_fd, size_t longest);
void ring_close(struct ring *ring); /* accepts a zeroed or closed ring */

/* Bytes between consumer and producer: what waits, or is being written. Any thread. */
size_t ring_pending(const struct ring *ring);

/* `data` has `length` bytes and is valid during the call; NULL when the record is longer than
 * `longest`, or when its length leads past the producer (what is left is passed over then). */
typedef void (*ring_record_fn)(void *context, const void *data, size_t length);
typedef void (*ring_batch_fn)(void *context, size_t records);

/* Calls `record` for every finished record, oldest first, until none is left, one is still being
 * written, or `limit` were looked at; discarded ones are passed over. The consumer's position moves
 * on with each batch, after `batch_done` was called, so that the producer gets room soon without a
 * store per event. Returns how many were looked at, the discarded ones among them. */
size_t ring_drain(struct ring *ring, size_t limit, ring_record_fn record, ring_batch_fn batch_done,
		  void *context);

#endif
