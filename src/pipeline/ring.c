/* SPDX-License-Identifier: MIT */
#include "pipeline/ring.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "pipeline/internal.h"

enum {
	BATCH_RECORDS = 256,
	BATCH_BYTES = 64 << 10,
};

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int ring_attach(struct ring *ring, int fd, unsigned long *consumer, const unsigned long *producer,
		size_t bytes, size_t longest)
{
	uint8_t *scratch = malloc(longest);

	if (!scratch)
		return -ENOMEM;
	*ring = (struct ring){
		.fd = fd,
		.bytes = bytes,
		.consumer = consumer,
		.producer = producer,
		.data = (const uint8_t *)producer + page_size(),
		.scratch = scratch,
		.longest = longest,
	};
	return 0;
}

int ring_open(struct ring *ring, int map_fd, size_t longest)
{
	struct bpf_map_info info = { 0 };
	uint32_t info_size = sizeof(info);
	const size_t page = page_size();
	void *consumer, *producer;
	size_t bytes;
	int rc;

	if (bpf_obj_get_info_by_fd(map_fd, &info, &info_size))
		return -errno;
	bytes = info.max_entries;
	if (info.type != BPF_MAP_TYPE_RINGBUF || bytes < page || (bytes & (bytes - 1)))
		return -EINVAL;

	consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (consumer == MAP_FAILED)
		return -errno;
	producer = mmap(NULL, page + bytes, PROT_READ, MAP_SHARED, map_fd, (off_t)page);
	if (producer == MAP_FAILED) {
		rc = -errno;
		munmap(consumer, page);
		return rc;
	}
	rc = ring_attach(ring, map_fd, consumer, producer, bytes, longest);
	if (rc) {
		munmap(consumer, page);
		munmap(producer, page + bytes);
	}
	return rc;
}

void ring_close(struct ring *ring)
{
	const size_t page = page_size();

	if (!ring->consumer)
		return;
	munmap(ring->consumer, page);
	munmap((void *)(uintptr_t)ring->producer, page + ring->bytes);
	free(ring->scratch);
	if (ring->fd >= 0)
		close(ring->fd);
	*ring = (struct ring){ .fd = -1 };
}

/* The consumer first: a producer that is read later can only make the difference larger, so that 0
 * means that both were equal at one moment of the call. */
size_t ring_pending(const struct ring *ring)
{
	unsigned long consumer = __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
	unsigned long producer = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);

	return producer - consumer;
}

/* The bytes of a record that begins at `position`: in the ring, or in the scratch memory when the
 * ring's end cuts it. */
static const void *record_data(const struct ring *ring, unsigned long position, size_t length)
{
	size_t offset = position & (ring->bytes - 1);
	size_t until_end = ring->bytes - offset;

	if (length > ring->longest)
		return NULL;
	if (length <= until_end)
		return ring->data + offset;
	memcpy(ring->scratch, ring->data + offset, until_end);
	memcpy(ring->scratch + until_end, ring->data, length - until_end);
	return ring->scratch;
}

size_t ring_drain(struct ring *ring, size_t limit, ring_record_fn record, ring_batch_fn batch_done,
		  void *context)
{
	const size_t mask = ring->bytes - 1;
	const size_t batch_bytes = ring->bytes / 4 < BATCH_BYTES ? ring->bytes / 4 : BATCH_BYTES;
	unsigned long consumer = __atomic_load_n(ring->consumer, __ATOMIC_RELAXED);
	unsigned long producer = consumer, moved = consumer;
	size_t looked_at, batch = 0;

	for (looked_at = 0; looked_at < limit; looked_at++) {
		if (consumer == producer) {
			producer = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
			if (consumer == producer)
				break;
		}
		uint32_t header = __atomic_load_n(
			(const uint32_t *)(const void *)(ring->data + (consumer & mask)),
			__ATOMIC_ACQUIRE);
		if (header & BPF_RINGBUF_BUSY_BIT)
			break;

		size_t length = header & ~(uint32_t)BPF_RINGBUF_DISCARD_BIT;
		size_t size = (length + BPF_RINGBUF_HDR_SZ + 7) & ~(size_t)7;
		if (size > producer - consumer) {
			/* No kernel writes this; without the length the next record cannot be
			 * found. */
			record(context, NULL, length);
			consumer = producer;
			batch++;
		} else {
			if (!(header & BPF_RINGBUF_DISCARD_BIT)) {
				record(context,
				       record_data(ring, consumer + BPF_RINGBUF_HDR_SZ, length),
				       length);
				batch++;
			}
			consumer += size;
		}
		if (batch >= BATCH_RECORDS || consumer - moved >= batch_bytes) {
			batch_done(context, batch);
			__atomic_store_n(ring->consumer, consumer, __ATOMIC_RELEASE);
			batch = 0;
			moved = consumer;
		}
	}
	if (consumer != moved) {
		batch_done(context, batch);
		__atomic_store_n(ring->consumer, consumer, __ATOMIC_RELEASE);
	}
	return looked_at;
}
