/* SPDX-License-Identifier: MIT */
#include "fake_ring.h"

#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/internal.h"

void fake_ring_open(struct fake_ring *fake, struct ring *ret_ring, size_t bytes, size_t longest,
		    unsigned long position)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *memory = mmap(NULL, 2 * page + bytes, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	*fake = (struct fake_ring){
		.consumer = (unsigned long *)(void *)memory,
		.producer = (unsigned long *)(void *)(memory + page),
		.data = memory + 2 * page,
		.bytes = bytes,
	};
	*fake->consumer = *fake->producer = position;
	assert_int_equal(ring_attach(ret_ring, -1, fake->consumer, fake->producer, bytes, longest),
			 0);
}

static uint32_t *header_at(const struct fake_ring *fake, unsigned long position)
{
	return (uint32_t *)(void *)(fake->data + (position & (fake->bytes - 1)));
}

void fake_ring_set_header(struct fake_ring *fake, unsigned long position, uint32_t header)
{
	__atomic_store_n(header_at(fake, position), header, __ATOMIC_RELEASE);
}

unsigned long fake_ring_reserve(struct fake_ring *fake, size_t length)
{
	unsigned long consumer = __atomic_load_n(fake->consumer, __ATOMIC_ACQUIRE);
	unsigned long position = *fake->producer;
	unsigned long next = position + ((length + BPF_RINGBUF_HDR_SZ + 7) & ~7UL);

	if (next - consumer > fake->bytes - 1)
		return FAKE_RING_FULL;
	fake_ring_set_header(fake, position, (uint32_t)length | BPF_RINGBUF_BUSY_BIT);
	__atomic_store_n(fake->producer, next, __ATOMIC_RELEASE);
	return position;
}

void fake_ring_write(struct fake_ring *fake, unsigned long position, const void *data,
		     size_t length)
{
	size_t offset = (position + BPF_RINGBUF_HDR_SZ) & (fake->bytes - 1);
	size_t first = length < fake->bytes - offset ? length : fake->bytes - offset;

	memcpy(fake->data + offset, data, first);
	memcpy(fake->data, (const uint8_t *)data + first, length - first);
}

void fake_ring_submit(struct fake_ring *fake, unsigned long position)
{
	fake_ring_set_header(fake, position,
			     *header_at(fake, position) & ~(uint32_t)BPF_RINGBUF_BUSY_BIT);
}

void fake_ring_discard(struct fake_ring *fake, unsigned long position)
{
	uint32_t header = *header_at(fake, position) & ~(uint32_t)BPF_RINGBUF_BUSY_BIT;

	fake_ring_set_header(fake, position, header | BPF_RINGBUF_DISCARD_BIT);
}

bool fake_ring_output(struct fake_ring *fake, const void *data, size_t length)
{
	unsigned long position = fake_ring_reserve(fake, length);

	if (position == FAKE_RING_FULL)
		return false;
	fake_ring_write(fake, position, data, length);
	fake_ring_submit(fake, position);
	return true;
}
