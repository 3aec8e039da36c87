/* SPDX-License-Identifier: MIT */
/* The frames of a channel: read whole, dropped from the oldest, counted by their numbers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "live/frames.h"

enum { CHUNKS = 8 };

static struct pool pool;
static struct frames frames;

static int setup(void **state)
{
	(void)state;
	pool = (struct pool){ .limit = CHUNKS * CHUNK_BYTES };
	frames = (struct frames){ .chunks = NULL };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	frames_fini(&frames, &pool);
	assert_int_equal(pool.used, 0);
	pool_fini(&pool);
	assert_null(pool.spare);
	return 0;
}

/* Frame n is its number, again and again, `length` bytes with the line end. */
static size_t make_frame(uint64_t number, char *text, size_t length)
{
	for (size_t i = 0; i + 1 < length; i++)
		text[i] = (char)('0' + (number + i) % 10);
	text[length - 1] = '\n';
	return length;
}

static size_t length_of(uint64_t number)
{
	return 20 + number * 37 % 700;
}

static int put(uint64_t number, size_t length)
{
	static char text[64 << 10];
	const struct place place = { 1000 + number, number, 3 };

	make_frame(number, text, length);
	return frames_put(&frames, &pool, &place, text, length);
}

static uint64_t fill(void)
{
	while (put(frames.next, length_of(frames.next)) == 0)
		;
	return frames.next;
}

/* Reads all from `number` on in pieces of `size`; every frame is whole and in its turn. */
static void assert_read(uint64_t number, size_t size)
{
	char data[8192], expected[1024];

	while (number < frames.next) {
		const uint64_t before = number;
		size_t length = frames_copy(&frames, &number, data, size), done = 0;

		assert_true(length <= size);
		assert_true(number > before);
		for (uint64_t n = before; n < number; n++) {
			size_t one = make_frame(n, expected, length_of(n));

			assert_true(done + one <= length);
			assert_memory_equal(data + done, expected, one);
			done += one;
		}
		assert_int_equal(done, length);
	}
}

static void test_reading(void **state)
{
	uint64_t number = 5;
	char data[16];

	(void)state;
	for (uint64_t i = 0; i < 157; i++)
		assert_int_equal(put(i, length_of(i)), 0);
	for (uint64_t from = 0; from <= 157; from++) {
		assert_read(from, 1024);
		assert_read(from, sizeof(char[8192]));
	}
	/* Nothing fits. */
	assert_int_equal(frames_copy(&frames, &number, data, sizeof(data)), 0);
	assert_int_equal(number, 5);
	number = frames.next;
	assert_int_equal(frames_copy(&frames, &number, data, sizeof(data)), 0);
}

static void test_limit_and_dropping(void **state)
{
	(void)state;
	uint64_t count = fill(), first;

	assert_true(pool.used <= pool.limit);
	assert_int_equal(frames.bytes, pool.used);
	assert_int_equal(frames_first(&frames), 0);
	assert_int_equal(frames.count, CHUNKS);
	frames_drop(&frames, &pool);
	first = frames_first(&frames);
	assert_true(first > 0);
	assert_int_equal(frames.dropped.index, first - 1);
	assert_int_equal(frames.dropped.timestamp, 1000 + first - 1);
	assert_int_equal(put(count, length_of(count)), 0);
	assert_read(first, 4096);
}

static void test_trimming(void **state)
{
	(void)state;
	uint64_t count = fill(), middle = count / 2;

	frames_trim(&frames, &pool, middle);
	assert_true(frames_first(&frames) <= middle);
	assert_true(frames_first(&frames) > middle - CHUNK_FRAMES);
	assert_read(middle, 4096);
	frames_trim(&frames, &pool, count);
	assert_int_equal(frames.count, 0);
	assert_int_equal(frames_first(&frames), count);
	assert_int_equal(pool.used, 0);
}

static void test_large_frames(void **state)
{
	size_t length;
	const char *text;

	(void)state;
	assert_int_equal(put(0, 100), 0);
	assert_int_equal(put(1, 40000), 0);
	assert_int_equal(put(2, 100), 0);
	text = frames_at(&frames, 1, &length);
	assert_int_equal(length, 40000);
	assert_int_equal(text[length - 1], '\n');
	assert_int_equal(text[0], '1');
	assert_int_equal(frames_at(&frames, 2, &length)[0], '2');
	assert_int_equal(length, 100);
}

static void test_a_frame_without_memory(void **state)
{
	const struct place place = { 77, 7, 1 };

	(void)state;
	uint64_t count = fill();

	frames_lose(&frames, &pool, &place);
	assert_int_equal(frames.next, count + 1);
	assert_int_equal(frames_first(&frames), count + 1);
	assert_int_equal(frames.dropped.index, 7);
	assert_int_equal(put(count + 1, length_of(count + 1)), 0);
	assert_read(count + 1, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit_and_dropping, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trimming, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_frame_without_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
