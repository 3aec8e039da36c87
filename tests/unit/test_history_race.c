/* SPDX-License-Identifier: MIT */
/* The real writer among others: a thread that appends, questions, and another process's reading. */
#include <pthread.h>
#include <sched.h>

#include "history_world.h"

#include "history/reader.h"

enum { EVENTS = 60013, BATCH = 31 };

static struct world world;
static atomic_bool done;
static _Atomic uint64_t published[WORLD_STREAMS];

static int teardown(void **state)
{
	(void)state;
	world_fini(&world);
	return 0;
}

static void *append(void *context)
{
	struct fixture_random random = { .state = 41 };
	uint64_t clock = clock_boot_ns(), counts[WORLD_STREAMS] = { 0 };

	(void)context;
	for (size_t i = 0; i < EVENTS; i++) {
		const size_t stream = i % 3 == 0;
		union {
			struct fixture_connection connection;
			struct fixture_misc misc;
		} record;
		uint32_t length =
			stream ? fixture_misc_event(&random, clock, 30, &record.misc)
			       : fixture_connection_event(&random, clock, 40, &record.connection);

		clock++;
		store_append(world.store, stream, &record, length);
		counts[stream]++;
		if (i % BATCH && i + 1 < EVENTS)
			continue;
		for (size_t s = 0; s < WORLD_STREAMS; s++) {
			store_publish(world.store, s);
			store_settle(world.store, s);
			atomic_store(&published[s], counts[s]);
		}
		history_wake(world.history);
		sched_yield();
	}
	atomic_store(&done, true);
	return NULL;
}

/* Whatever is written and evicted meanwhile: what was published and not lost is answered, and
 * nothing twice. */
static void *ask(void *context)
{
	uint64_t *asked = context;

	while (!atomic_load(&done)) {
		struct query query = world_everything(&world, *asked % 2 ? 0 : 997);
		struct query_result result;
		uint64_t before[WORLD_STREAMS], least = 0, most = 0;

		query.want_total = true;
		query.ascending = *asked % 3 == 0;
		for (size_t s = 0; s < WORLD_STREAMS; s++)
			before[s] = atomic_load(&published[s]);
		if (query_run(world.store, &query, &result) < 0)
			abort();
		for (size_t s = 0; s < WORLD_STREAMS; s++) {
			struct store_figures figures;

			store_figures(world.store, s, &figures);
			least += before[s];
			/* A batch is seen before it is in the figures. */
			most += figures.appended + BATCH;
		}
		/* Nothing is lost here: memory is large enough for what is not yet written. */
		if (result.total < least || result.total > most || result.damaged)
			abort();
		for (size_t i = 1; i < result.count; i++) {
			const struct event *one = &result.events[i - 1], *other = &result.events[i];

			if (one->stream == other->stream && one->index == other->index)
				abort();
		}
		query_result_fini(&result);
		query_fini(&query);
		++*asked;
	}
	return NULL;
}

static int count_rows(void *context, const struct walk_piece *piece)
{
	*(uint64_t *)context += piece->to - piece->from;
	return 0;
}

/* What was committed, with all of a stream up to some place. */
static void *read_along(void *context)
{
	static const struct walk_stream streams[WORLD_STREAMS] = { { .stream = 0 },
								   { .stream = 1 } };
	uint64_t last = 0;
	uint64_t *rounds = context;

	while (!atomic_load(&done)) {
		CLEANUP(history_reader) struct history_reader *reader = NULL;
		struct walk walk = { .streams = streams,
				     .stream_count = WORLD_STREAMS,
				     .until = UINT64_MAX };
		struct walk_report report;
		uint64_t rows = 0;
		char error[256];

		if (history_reader_open(world.folder, &reader, error, sizeof(error)) < 0)
			abort();
		walk.archive = history_reader_archive(reader);
		/* A stream is there with its first events. */
		if (!history_reader_schema(reader, 0) || !history_reader_schema(reader, 1))
			continue;
		if (walk_run(&walk, count_rows, &rows, &report) < 0 || report.damaged ||
		    rows < last)
			abort();
		last = rows;
		++*rounds;
	}
	return NULL;
}

static void test_everybody_at_once(void **state)
{
	pthread_t appending, asking[2], reading;
	uint64_t asked[2] = { 0 }, rounds = 0;
	struct query query;
	struct query_result result;
	struct history_stream_figures figures;
	uint64_t persisted = 0;

	(void)state;
	world_begin(&world, 4 << 20, 40);
	world_kill(&world);
	/* So short that rows of open blocks are written all the time. */
	world.options.flush_ns = 5 * NS_PER_MS;
	world_open(&world, 4 << 20);
	assert_int_equal(history_start(world.history), 0);
	assert_int_equal(pthread_create(&appending, NULL, append, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(asking); i++)
		assert_int_equal(pthread_create(&asking[i], NULL, ask, &asked[i]), 0);
	assert_int_equal(pthread_create(&reading, NULL, read_along, &rounds), 0);
	pthread_join(appending, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(asking); i++)
		pthread_join(asking[i], NULL);
	pthread_join(reading, NULL);
	assert_true(asked[0] + asked[1] > 0 && rounds > 0);
	history_stop(world.history);

	for (size_t i = 0; i < WORLD_STREAMS; i++) {
		history_stream_figures(world.history, i, &figures);
		assert_int_equal(figures.not_persisted, 0);
		persisted += figures.persisted;
		assert_true(history_is_complete(world.history, i, 0, 0));
	}
	assert_int_equal(persisted, EVENTS);
	/* The end was an orderly one, so nothing is missing afterwards. */
	history_close(TAKE(world.history));
	store_free(TAKE(world.store));
	world.options.generation = 0;
	world_open(&world, 4 << 20);
	query = world_everything(&world, 0);
	assert_int_equal(query_run(world.store, &query, &result), 0);
	assert_int_equal(result.total, EVENTS);
	for (size_t i = 0; i < WORLD_STREAMS; i++)
		assert_true(history_is_complete(world.history, i, 0, 0));
	query_result_fini(&result);
	query_fini(&query);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_everybody_at_once, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
