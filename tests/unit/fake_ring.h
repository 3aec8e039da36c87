/* SPDX-License-Identifier: MIT */
/* A ring buffer in plain memory, with the test as its kernel: same layout, same order of stores
 * (kernel/bpf/ringbuf.c). One producer thread. */
#ifndef TESTS_FAKE_RING_H
#define TESTS_FAKE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/ring.h"

struct fake_ring {
	unsigned long *consumer, *producer;
	uint8_t *data;
	size_t bytes;
};

/* Both positions begin at `position`. The memory is the ring's: ring_close() gives it back. */
void fake_ring_open(struct fake_ring *fake, struct ring *ret_ring, size_t bytes, size_t longest,
		    unsigned long position);

#define FAKE_RING_FULL ((unsigned long)-1)
/* The position of a record that is being written (busy), or FAKE_RING_FULL. */
unsigned long fake_ring_reserve(struct fake_ring *fake, size_t length);
void fake_ring_write(struct fake_ring *fake, unsigned long position, const void *data,
		     size_t length);
void fake_ring_submit(struct fake_ring *fake, unsigned long position);
void fake_ring_discard(struct fake_ring *fake, unsigned long position);
/* All three; false when the ring is full. */
bool fake_ring_output(struct fake_ring *fake, const void *data, size_t length);
/* What no kernel does. */
void fake_ring_set_header(struct fake_ring *fake, unsigned long position, uint32_t header);

#endif
