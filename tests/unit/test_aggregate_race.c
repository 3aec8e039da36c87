/* SPDX-License-Identifier: MIT */
/* Sums while events come in and go: each answer adds up by itself. Under TSan. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema_fixture.h"
#include "store/aggregate.h"

enum { EVENTS = 120011, READERS = 2, LEAST_ANSWERS = 3 };

static struct store *store;
static atomic_bool done;

static void *write_events(void *context)
{
	struct fixture_random random = { 17 };

	for (uint64_t i = 0; i < EVENTS; i++) {
		struct fixture_connection event;
		const uint32_t length = fixture_connection_event(&random, 1000 + i, 500, &event);

		store_append(store, 0, &event, length);
		if (i % 97 == 0)
			store_publish(store, 0);
	}
	store_publish(store, 0);
	atomic_store(&done, true);
	return context;
}

static uint64_t sum_up(void)
{
	const struct aggregate_options options = {
		.by = { "pid", "destination" },
		.by_count = 2,
		.of = { "duration_ns" },
		.of_count = 1,
		.top = 5,
		.buckets = 9,
		.start = 1000,
		.width = EVENTS / 9,
	};
	CLEANUP(aggregate) struct aggregate *aggregate = aggregate_new(&options);
	struct query_stream stream = { .stream = 0 };
	const struct query query = { .streams = &stream, .stream_count = 1, .until = UINT64_MAX };
	struct aggregate_result result;
	uint64_t count, buckets = 0;

	do
		aggregate_add_store(aggregate, store, &query);
	while (aggregate_again(aggregate));
	assert_int_equal(aggregate_result(aggregate, &result), 0);
	count = result.other.count;
	for (size_t i = 0; i < result.group_count; i++)
		count += result.groups[i].figures.count;
	for (uint32_t i = 0; i < options.buckets; i++)
		buckets += result.total.counts[i];
	assert_int_equal(count, result.total.count);
	assert_int_equal(buckets, result.total.count);
	assert_int_equal(result.total.values[0].count, result.total.count);
	return result.total.count;
}

static void *read_sums(void *context)
{
	uint32_t answers = 0;

	while (!atomic_load(&done) || answers < LEAST_ANSWERS) {
		sum_up();
		answers++;
	}
	return context;
}

static void test_sums_while_events_come_and_go(void **state)
{
	pthread_t writer, readers[READERS];
	struct store_figures figures;

	(void)state;
	store = store_new(2 << 20);
	assert_int_equal(store_add_stream(store, &fixture_connection_schema), 0);
	assert_int_equal(pthread_create(&writer, NULL, write_events, NULL), 0);
	for (size_t i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_sums, NULL), 0);
	pthread_join(writer, NULL);
	for (size_t i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	store_figures(store, 0, &figures);
	assert_true(figures.expired > 0);
	assert_int_equal(sum_up(), figures.held);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums_while_events_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
