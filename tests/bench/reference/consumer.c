/* SPDX-License-Identifier: MIT */
/*
 * consumer OBJECT RING: loads an eBPF object, attaches all of it, and counts the records of one of
 * its rings until SIGTERM: what a consumer that does nothing else can take. Says {"ready":true},
 * then {"counted":N}.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/memory.h"

#define EXIT_USAGE 2
#define IDLE_NS 10000000L
#define BUSY_NS 1000000L
#define RECORD_HEADER 8U
/* The consumer's position is told once in so many records: the producer reads it for each. */
#define TELL_EVERY 1024

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

struct ring {
	unsigned long *consumer;
	const unsigned long *producer;
	const uint8_t *data;
	size_t bytes;
};

/* kernel/bpf/ringbuf.c: a page that is ours to write, then a page and the data, twice. */
static int open_ring(struct ring *ring, int fd, size_t bytes)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	ring->consumer = memory;
	memory = mmap(NULL, page + 2 * bytes, PROT_READ, MAP_SHARED, fd, (off_t)page);
	if (memory == MAP_FAILED)
		return -errno;
	ring->producer = memory;
	ring->data = (const uint8_t *)memory + page;
	ring->bytes = bytes;
	return 0;
}

static uint64_t drain(struct ring *ring)
{
	unsigned long place = *ring->consumer;
	const unsigned long end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
	uint64_t counted = 0;

	while (place < end) {
		const uint8_t *record = ring->data + (place & (ring->bytes - 1));
		uint32_t length = __atomic_load_n((const uint32_t *)record, __ATOMIC_ACQUIRE);

		if (length & BPF_RINGBUF_BUSY_BIT)
			break;
		length &= ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		place += (length + RECORD_HEADER + 7) & ~7UL;
		if (++counted % TELL_EVERY == 0)
			__atomic_store_n(ring->consumer, place, __ATOMIC_RELEASE);
	}
	__atomic_store_n(ring->consumer, place, __ATOMIC_RELEASE);
	return counted;
}

/* A ring may carry the type of its records as value type; the kernel takes no value size. */
static int load(struct bpf_object *object, const char *name, struct ring *ret_ring)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	struct bpf_program *program;
	int r;

	if (!map)
		return -ENOENT;
	r = bpf_map__set_value_size(map, 0);
	if (r == 0)
		r = bpf_object__load(object);
	if (r == 0)
		r = open_ring(ret_ring, bpf_map__fd(map), bpf_map__max_entries(map));
	if (r < 0)
		return r;
	bpf_object__for_each_program(program, object)
	{
		/* The links end with this process. */
		if (bpf_program__autoload(program) && !bpf_program__attach(program))
			return -errno;
	}
	return 0;
}

static int print_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static uint64_t count(struct ring *ring)
{
	uint64_t counted = 0;

	while (!ended) {
		uint64_t batch = drain(ring);
		struct timespec pause = {
			.tv_nsec = batch * 64 > ring->bytes / 16 ? BUSY_NS : IDLE_NS,
		};

		counted += batch;
		nanosleep(&pause, NULL);
	}
	return counted + drain(ring);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct bpf_object *object;
	struct ring ring;
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: consumer OBJECT RING\n");
		return EXIT_USAGE;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	libbpf_set_print(print_nothing);
	object = bpf_object__open(argv[1]);
	r = object ? load(object, argv[2], &ring) : -errno;
	if (r < 0) {
		fprintf(stderr, "consumer: %s: %s\n", argv[1], strerror(-r));
		return EXIT_FAILURE;
	}
	printf("{\"ready\":true}\n");
	fflush(stdout);
	printf("{\"counted\":%llu}\n", (unsigned long long)count(&ring));
	bpf_object__close(object);
	return EXIT_SUCCESS;
}
