/* SPDX-License-Identifier: MIT */
/* The consumer of a ring, against a kernel that the test plays, also a hostile one. */
#include <fcntl.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "fake_ring.h"

enum { RING_BYTES = 64 << 10, LONGEST = 512 };

struct seen {
	struct ring *ring;
	size_t records, batches, in_batches, too_long, scratched;
	size_t last_length;
	uint64_t expected; /* number that the next record begins with */
	unsigned long moves[64];
	bool check_numbers;
};

static struct ring ring;
static struct fake_ring fake;
static struct seen seen;

static void open_ring(size_t bytes, unsigned long position)
{
	fake_ring_open(&fake, &ring, bytes, LONGEST, position);
	seen = (struct seen){ .ring = &ring, .check_numbers = true };
}

static int close_ring(void **state)
{
	(void)state;
	ring_close(&ring);
	return 0;
}

/* A number, then bytes that follow from it. */
static void make_record(uint8_t *record, uint64_t number, size_t length)
{
	for (size_t i = 0; i < length; i++)
		record[i] = (uint8_t)(number * 31 + i);
	if (length >= sizeof(number))
		memcpy(record, &number, sizeof(number));
}

static void record(void *context, const void *data, size_t length)
{
	struct seen *s = context;
	uint8_t wanted[LONGEST];
	const uint8_t *bytes = data;

	s->records++;
	s->last_length = length;
	if (!data) {
		s->too_long++;
		return;
	}
	assert_true(length <= LONGEST);
	if (bytes < s->ring->data || bytes >= s->ring->data + s->ring->bytes)
		s->scratched++;
	if (!s->check_numbers)
		return;
	make_record(wanted, s->expected++, length);
	assert_memory_equal(data, wanted, length);
}

static void batch_done(void *context, size_t records)
{
	struct seen *s = context;

	s->moves[s->batches++ % ARRAY_SIZE(s->moves)] = *s->ring->consumer; /* not moved yet */
	s->in_batches += records;
}

static size_t drain(size_t limit)
{
	return ring_drain(&ring, limit, record, batch_done, &seen);
}

static bool output(uint64_t number, size_t length)
{
	uint8_t bytes[LONGEST];

	make_record(bytes, number, length);
	return fake_ring_output(&fake, bytes, length);
}

/* Many laps, records of every length: order, each byte, and those that the ring's end cuts. */
static void many_laps(unsigned long position)
{
	uint64_t sent = 0;
	size_t laps = 0;

	open_ring(4096, position);
	while (laps < 50) {
		while (output(sent, 8 + (sent * 13) % (LONGEST - 8)))
			sent++;
		assert_true(ring_pending(&ring) > 0);
		seen.batches = 0;
		drain(SIZE_MAX);
		assert_int_equal(ring_pending(&ring), 0);
		assert_int_equal(seen.expected, sent);
		laps++;
	}
	assert_int_equal(seen.records, sent);
	assert_int_equal(seen.in_batches, sent);
	assert_int_equal(seen.too_long, 0);
	assert_true(seen.scratched >= 10);
}

static void test_laps(void **state)
{
	(void)state;
	many_laps(0);
}

/* The kernel's counter of bytes wraps around, on 32-bit machines within minutes. */
static void test_positions_wrap(void **state)
{
	(void)state;
	many_laps(0UL - 4096 * 3);
	assert_true(*fake.producer < 1UL << 31);
}

static void test_empty(void **state)
{
	(void)state;
	open_ring(RING_BYTES, 0);
	assert_int_equal(drain(SIZE_MAX), 0);
	assert_int_equal(seen.batches, 0);
	assert_int_equal(ring_pending(&ring), 0);
}

static void test_busy_record_holds_the_rest(void **state)
{
	unsigned long busy;
	uint8_t bytes[64];

	(void)state;
	open_ring(RING_BYTES, 0);
	assert_true(output(0, 64));
	busy = fake_ring_reserve(&fake, 64);
	assert_true(output(2, 64));

	assert_int_equal(drain(SIZE_MAX), 1);
	assert_int_equal(seen.records, 1);
	assert_int_equal(ring_pending(&ring), 2 * 72);
	assert_int_equal(drain(SIZE_MAX), 0);

	make_record(bytes, 1, sizeof(bytes));
	fake_ring_write(&fake, busy, bytes, sizeof(bytes));
	fake_ring_submit(&fake, busy);
	assert_int_equal(drain(SIZE_MAX), 2);
	assert_int_equal(seen.expected, 3);
	assert_int_equal(ring_pending(&ring), 0);
}

static void test_discarded_records_are_passed_over(void **state)
{
	(void)state;
	open_ring(RING_BYTES, 0);
	for (uint64_t i = 0; i < 7; i++) {
		fake_ring_discard(&fake, fake_ring_reserve(&fake, 100));
		assert_true(output(i, 32));
		fake_ring_discard(&fake, fake_ring_reserve(&fake, LONGEST + 8));
	}
	assert_int_equal(drain(SIZE_MAX), 21);
	assert_int_equal(seen.records, 7);
	assert_int_equal(seen.in_batches, 7);
	assert_int_equal(ring_pending(&ring), 0);
}

/* One store for many records, and room for the producer soon. */
static void test_position_moves_with_the_batch(void **state)
{
	(void)state;
	open_ring(RING_BYTES, 0);
	for (uint64_t i = 0; i < 600; i++)
		assert_true(output(i, 24));
	drain(SIZE_MAX);
	assert_int_equal(seen.batches, 3);
	assert_int_equal(seen.moves[0], 0);
	assert_int_equal(seen.moves[1], 256 * 32);
	assert_int_equal(seen.moves[2], 512 * 32);
	assert_int_equal(*fake.consumer, 600 * 32);

	/* Long records: a quarter of the ring, not 256 of them. */
	for (uint64_t i = 600; i < 700; i++)
		assert_true(output(i, 504));
	seen.batches = 0;
	drain(SIZE_MAX);
	assert_int_equal(seen.batches, 4);
	assert_int_equal(seen.moves[1], 600 * 32 + 32 * 512);
}

static void test_limit(void **state)
{
	(void)state;
	open_ring(RING_BYTES, 0);
	for (uint64_t i = 0; i < 1000; i++)
		assert_true(output(i, 24));
	assert_int_equal(drain(700), 700);
	assert_int_equal(seen.records, 700);
	assert_int_equal(ring_pending(&ring), 300 * 32);
	assert_int_equal(drain(700), 300);
	assert_int_equal(seen.records, 1000);

	fake_ring_discard(&fake, fake_ring_reserve(&fake, 8));
	fake_ring_discard(&fake, fake_ring_reserve(&fake, 8));
	assert_int_equal(drain(1), 1);
	assert_int_equal(ring_pending(&ring), 16);
}

static void test_too_long_record(void **state)
{
	(void)state;
	open_ring(RING_BYTES, 0);
	assert_true(output(0, 16));
	fake_ring_submit(&fake, fake_ring_reserve(&fake, LONGEST + 1));
	assert_int_equal(drain(SIZE_MAX), 2);
	assert_int_equal(seen.too_long, 1);
	assert_int_equal(seen.last_length, LONGEST + 1);
	assert_true(output(1, LONGEST));
	assert_true(output(2, 0));
	assert_int_equal(drain(SIZE_MAX), 2);
	assert_int_equal(seen.too_long, 1);
	assert_int_equal(seen.last_length, 0);
	assert_int_equal(ring_pending(&ring), 0);
}

/* Lengths that lead past the producer: no byte outside is read, one record is reported, the ring
 * goes on. */
static void test_hostile_lengths(void **state)
{
	static const uint32_t lengths[] = { 17,		24,	   4096, RING_BYTES, RING_BYTES + 8,
					    0x3ffffff0, 0x3fffffff };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		/* Near the end of memory, where an overrun would leave it. */
		open_ring(RING_BYTES, RING_BYTES - 24);
		fake_ring_reserve(&fake, 16);
		fake_ring_set_header(&fake, RING_BYTES - 24, lengths[i]);
		assert_int_equal(drain(SIZE_MAX), 1);
		assert_int_equal(seen.too_long, 1);
		assert_int_equal(seen.last_length, lengths[i]);
		assert_int_equal(ring_pending(&ring), 0);
		assert_true(output(0, 40));
		assert_int_equal(drain(SIZE_MAX), 1);
		assert_int_equal(seen.expected, 1);
		/* Discarded and hostile: not silently gone. */
		fake_ring_reserve(&fake, 16);
		fake_ring_set_header(&fake, *fake.consumer, lengths[i] | BPF_RINGBUF_DISCARD_BIT);
		assert_int_equal(drain(SIZE_MAX), 1);
		assert_int_equal(seen.too_long, 2);
		if (i + 1 < ARRAY_SIZE(lengths))
			ring_close(&ring);
	}
}

/* Positions that no kernel writes: every byte read lies in the ring, and it ends. */
static void test_hostile_positions(void **state)
{
	(void)state;
	open_ring(4096, 0);
	seen.check_numbers = false;
	for (size_t i = 0; i < 4096; i++)
		fake.data[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < 4096; i += 8) {
		uint32_t length = (uint32_t)(i * 5) % 700;

		memcpy(fake.data + i, &length, sizeof(length));
	}
	*fake.producer = 0UL - 8; /* "before" the consumer */
	assert_true(drain(1000) <= 1000);
	*fake.producer = *fake.consumer + (1UL << 20);
	assert_true(drain(1000) <= 1000);
}

static void test_close_accepts_nothing(void **state)
{
	struct ring zeroed = { 0 };
	int before = fcntl(STDIN_FILENO, F_GETFD);

	(void)state;
	ring_close(&zeroed); /* its descriptor is 0, and not its own */
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), before);
	open_ring(4096, 0);
	ring_close(&ring);
	assert_int_equal(ring.fd, -1);
	ring_close(&ring);
}

static void test_open_refuses_what_is_no_map(void **state)
{
	struct ring none = { .fd = -1 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_true(ring_open(&none, fd, LONGEST) < 0);
	assert_int_equal(none.fd, -1);
	assert_true(fcntl(fd, F_GETFD) >= 0); /* not taken */
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_laps, close_ring),
		cmocka_unit_test_teardown(test_positions_wrap, close_ring),
		cmocka_unit_test_teardown(test_empty, close_ring),
		cmocka_unit_test_teardown(test_busy_record_holds_the_rest, close_ring),
		cmocka_unit_test_teardown(test_discarded_records_are_passed_over, close_ring),
		cmocka_unit_test_teardown(test_position_moves_with_the_batch, close_ring),
		cmocka_unit_test_teardown(test_limit, close_ring),
		cmocka_unit_test_teardown(test_too_long_record, close_ring),
		cmocka_unit_test_teardown(test_hostile_lengths, close_ring),
		cmocka_unit_test_teardown(test_hostile_positions, close_ring),
		cmocka_unit_test(test_close_accepts_nothing),
		cmocka_unit_test(test_open_refuses_what_is_no_map),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
