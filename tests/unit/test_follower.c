/* SPDX-License-Identifier: MIT */
/* A follower gets every event once, in order, or is told how many it missed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/query.h"
#include "store/segment.h"
#include "store_model.h"

enum { STREAMS = 4 };

/* What a follower was given. */
struct given {
	uint64_t next[STREAMS]; /* index that comes next */
	uint64_t gaps, events;
};

static struct store *store;
static struct fixture_random generator;
static uint64_t appended[STREAMS];

static void begin(size_t memory, size_t streams)
{
	store_free(store);
	store = store_new(memory);
	generator.state = 7;
	for (size_t i = 0; i < STREAMS; i++)
		appended[i] = 0;
	for (size_t i = 0; i < streams; i++)
		assert_int_equal(store_add_stream(store, &fixture_connection_schema), i);
}

static int teardown(void **state)
{
	(void)state;
	store_free(store);
	return 0;
}

/* Events tell in their uid what place they have. */
static void append(size_t stream, size_t count)
{
	struct fixture_connection event;

	for (size_t i = 0; i < count; i++) {
		uint32_t length =
			fixture_connection_event(&generator, 1000 + appended[stream], 9, &event);

		event.header.uid = (uint32_t)appended[stream]++;
		store_append(store, stream, &event, length);
	}
	store_publish(store, stream);
}

static void take(void *context, const struct event *event)
{
	const struct fixture_connection *record = (const void *)event->record;
	struct given *given = context;

	assert_true(event->index >= given->next[event->stream]);
	assert_int_equal(record->header.uid, (uint32_t)event->index);
	assert_int_equal(event->timestamp, 1000 + event->index);
	assert_true(event->length >= fixture_connection_schema.minimum_size);
	assert_ptr_equal(event->schema, &fixture_connection_schema);
	given->gaps += event->index - given->next[event->stream];
	given->next[event->stream] = event->index + 1;
	given->events++;
}

static void test_every_event_comes_once(void **state)
{
	CLEANUP(follower) struct follower *follower = NULL;
	struct given given = { .events = 0 };
	uint64_t missed = 0;

	(void)state;
	begin(32 << 20, 2);
	append(0, 10007);
	follower = follower_new(store, false);
	assert_non_null(follower);
	for (size_t round = 0; round < 50; round++) {
		append(0, 503);
		append(1, 31);
		assert_int_equal(follower_read(follower, SIZE_MAX, take, &given, &missed),
				 (round ? 0 : 10007) + 503 + 31);
		assert_int_equal(follower_read(follower, SIZE_MAX, take, &given, &missed), 0);
	}
	assert_int_equal(given.events, 10007 + 50 * 534);
	assert_int_equal(missed + given.gaps, 0);
}

static void test_a_limit_cuts_anywhere(void **state)
{
	CLEANUP(follower) struct follower *follower = NULL;
	struct given given = { .events = 0 };
	uint64_t missed = 0;
	size_t got;

	(void)state;
	begin(32 << 20, 3);
	for (size_t i = 0; i < 3; i++)
		append(i, 7001);
	follower = follower_new(store, false);
	do {
		got = follower_read(follower, 97, take, &given, &missed);
		assert_true(got <= 97);
	} while (got == 97);
	assert_int_equal(given.events, 3 * 7001);
	assert_int_equal(missed + given.gaps, 0);
	assert_int_equal(follower_read(follower, 0, take, &given, &missed), 0);
}

static void test_a_busy_stream_does_not_starve_another(void **state)
{
	CLEANUP(follower) struct follower *follower = NULL;
	struct given given = { .events = 0 };
	uint64_t missed = 0;

	(void)state;
	begin(32 << 20, 2);
	follower = follower_new(store, true);
	append(0, 20011);
	append(1, 1);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(follower_read(follower, 100, take, &given, &missed), 100);
	assert_int_equal(given.next[1], 1);
}

static void test_from_now_on(void **state)
{
	CLEANUP(follower) struct follower *follower = NULL;
	struct given given = { .events = 0 };
	uint64_t missed = 0;

	(void)state;
	begin(32 << 20, 2);
	append(0, 15013);
	follower = follower_new(store, true);
	assert_int_equal(follower_read(follower, SIZE_MAX, take, &given, &missed), 0);
	given.next[0] = 15013;
	append(0, 3);
	append(1, 2);
	assert_int_equal(follower_read(follower, SIZE_MAX, take, &given, &missed), 5);
	assert_int_equal(missed + given.gaps, 0);
}

static void test_streams_that_come_later(void **state)
{
	CLEANUP(follower) struct follower *follower = NULL;
	struct given given = { .events = 0 };
	uint64_t missed = 0;

	(void)state;
	begin(32 << 20, 0);
	follower = follower_new(store, true);
	assert_int_equal(follower_read(follower, SIZE_MAX, take, &given, &missed), 0);
	for (int i = 0; i < STREAMS; i++) {
		assert_int_equal(store_add_stream(store, &fixture_connection_schema), i);
		append((size_t)i, 1009);
		assert_int_equal(follower_read(follower, SIZE_MAX, take, &given, &missed), 1009);
	}
	assert_int_equal(missed + given.gaps, 0);
}

static void test_what_was_evicted_is_told(void **state)
{
	CLEANUP(follower) struct follower *follower = NULL;
	CLEANUP(follower) struct follower *late = NULL;
	struct given given = { .events = 0 }, late_given = { .events = 0 };
	uint64_t missed = 0, late_missed = 0;

	(void)state;
	begin(1 << 20, 2);
	follower = follower_new(store, false);
	for (size_t round = 0; round < 10; round++) {
		append(0, 30011);
		append(1, 101);
		follower_read(follower, SIZE_MAX, take, &given, &missed);
		/* Caught up: all is given or told. */
		assert_int_equal(given.next[0], appended[0]);
		assert_int_equal(given.events + missed, appended[0] + appended[1]);
		assert_int_equal(missed, given.gaps);
	}
	assert_true(missed > 0);

	/* What was gone before it came, a follower does not miss. */
	late = follower_new(store, false);
	follower_read(late, SIZE_MAX, take, &late_given, &late_missed);
	assert_int_equal(late_missed, 0);
	assert_true(late_given.events > 0);
}

/* All that a stream held goes while another takes the memory: no later event shows the gap. */
static void test_a_stream_that_expired_whole_is_told(void **state)
{
	CLEANUP(follower) struct follower *follower = NULL;
	struct segment pinned[100];
	struct given given = { .events = 0 };
	uint64_t missed = 0;
	size_t count = 0;

	(void)state;
	begin(1 << 20, 1);
	follower = follower_new(store, true);
	append(0, 1);
	while (segment_pin_open(&store->streams[0], &pinned[count])) {
		append(0, store->streams[0].capacity);
		assert_true(++count < ARRAY_SIZE(pinned));
	}
	append(0, 1009);
	follower_read(follower, SIZE_MAX, take, &given, &missed);
	assert_int_equal(given.events + missed, appended[0]);
	assert_true(missed >= 1009);
	while (count)
		segment_unpin(&pinned[--count]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_event_comes_once),
		cmocka_unit_test(test_a_limit_cuts_anywhere),
		cmocka_unit_test(test_a_busy_stream_does_not_starve_another),
		cmocka_unit_test(test_from_now_on),
		cmocka_unit_test(test_streams_that_come_later),
		cmocka_unit_test(test_what_was_evicted_is_told),
		cmocka_unit_test(test_a_stream_that_expired_whole_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
