/* SPDX-License-Identifier: MIT */
/*
 * One writer, several readers, blocks sealed and evicted under them. Made for TSan, which sees
 * every access that is not ordered; without it the readers still check that what they get is whole,
 * in order and complete. All fields of an event follow from its place, so that a mixture of two
 * events shows.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/query.h"
#include "store_model.h"

enum { STREAMS = 3, EVENTS = 120011, BATCH = 61 };

enum { FOLLOWERS = 2 };

struct race {
	struct store *store;
	/* Made before the first event, so that each event is either given or missed. */
	struct follower *followers[FOLLOWERS];
	atomic_size_t taken;
	atomic_bool finished;
	/* Places of each stream that were published before ... */
	_Atomic uint64_t published[STREAMS];
	_Atomic uint64_t failures, answers, given, missed;
};

static uint64_t time_of(size_t stream, uint64_t index)
{
	/* Every eighth comes late. */
	return 10000 + 10 * index + stream - (index % 8 == 7 ? 75 : 0);
}

static uint32_t event_of(size_t stream, uint64_t index, struct fixture_connection *event)
{
	struct fixture_random random = { 1 + index * STREAMS + stream };
	uint32_t length = fixture_connection_event(&random, time_of(stream, index), 300, event);

	event->header.uid = (uint32_t)index;
	event->header.cgroup_id = stream;
	return length;
}

static void expect(struct race *race, bool holds)
{
	if (!holds)
		atomic_fetch_add(&race->failures, 1);
}

static void check_event(struct race *race, const struct event *event)
{
	struct fixture_connection expected;
	uint32_t length = event_of(event->stream, event->index, &expected);

	expect(race, event->timestamp == time_of(event->stream, event->index));
	expect(race, model_same_record(event->schema, event->record, event->length,
				       (const uint8_t *)&expected, length));
}

static void *write_events(void *context)
{
	struct race *race = context;
	struct fixture_connection event;

	for (uint64_t index = 0; index < EVENTS; index++) {
		for (size_t stream = 0; stream < STREAMS; stream++) {
			uint32_t length = event_of(stream, index, &event);

			/* The last one is quiet. */
			if (stream == STREAMS - 1 && index >= EVENTS / 50)
				continue;
			store_append(race->store, stream, &event, length);
			if (index % BATCH && index != EVENTS - 1)
				continue;
			store_publish(race->store, stream);
			atomic_store(&race->published[stream], index + 1);
		}
		expect(race, store_memory_used(race->store) <= store_memory_limit(race->store));
	}
	atomic_store(&race->finished, true);
	return NULL;
}

static bool comes_before(const struct event *a, const struct event *b)
{
	if (a->timestamp != b->timestamp)
		return a->timestamp < b->timestamp;
	return a->stream != b->stream ? a->stream < b->stream : a->index < b->index;
}

static void check_order(struct race *race, const struct query *query,
			const struct query_result *result)
{
	for (size_t i = 0; i < result->count; i++) {
		check_event(race, &result->events[i]);
		if (i && query->ascending)
			expect(race, comes_before(&result->events[i - 1], &result->events[i]));
		else if (i)
			expect(race, comes_before(&result->events[i], &result->events[i - 1]));
	}
}

/* The newest events of one stream: none is missing, and none that was published before. */
static void ask_newest(struct race *race, size_t stream)
{
	struct query_stream part = { .stream = (uint16_t)stream };
	struct query query = {
		.streams = &part, .stream_count = 1, .until = UINT64_MAX, .limit = 50
	};
	const uint64_t published = atomic_load(&race->published[stream]);
	struct store_figures figures;
	struct query_result result;

	if (query_run(race->store, &query, &result) < 0) {
		expect(race, false);
		return;
	}
	check_order(race, &query, &result);
	store_figures(race->store, stream, &figures);
	/* Late events are less than ten places from where they belong. */
	for (uint64_t index = published < 40 ? 0 : published - 40; index < published; index++) {
		bool found = result.count == 50 &&
			     time_of(stream, index) < result.events[49].timestamp;

		for (size_t i = 0; i < result.count && !found; i++)
			found = result.events[i].index == index;
		/* While this thread slept, the writer may have gone round the whole memory. */
		expect(race, found || figures.expired_until >= time_of(stream, index));
	}
	query_result_fini(&result);
}

static void *ask_questions(void *context)
{
	struct race *race = context;
	struct fixture_random random = { (uintptr_t)&random };
	bool last = false;

	while (!last) {
		struct query_stream parts[STREAMS] = { { .stream = 0 } };
		struct query query = { .streams = parts,
				       .stream_count = STREAMS,
				       .until = UINT64_MAX,
				       .limit = fixture_below(&random, 300),
				       .ascending = fixture_below(&random, 2),
				       .want_total = fixture_below(&random, 2) };
		struct query_result result;

		last = atomic_load(&race->finished);
		for (uint16_t i = 0; i < STREAMS; i++) {
			parts[i].stream = i;
			if (fixture_below(&random, 2))
				parts[i].filter = model_filter_range(HEADER_PID, 1000, 4000);
		}
		if (fixture_below(&random, 2))
			query.since = time_of(0, atomic_load(&race->published[0]) / 2);
		expect(race, query_run(race->store, &query, &result) == 0);
		check_order(race, &query, &result);
		query_result_fini(&result);
		for (size_t i = 0; i < STREAMS; i++) {
			filter_fini(&parts[i].filter);
			ask_newest(race, i);
		}
		atomic_fetch_add(&race->answers, 1);
	}
	return NULL;
}

struct followed {
	struct race *race;
	uint64_t next[STREAMS], gaps, events;
};

static void follow_event(void *context, const struct event *event)
{
	struct followed *followed = context;
	uint64_t *next = &followed->next[event->stream];

	check_event(followed->race, event);
	expect(followed->race, event->index >= *next);
	followed->gaps += event->index - *next;
	*next = event->index + 1;
	followed->events++;
}

static void *follow(void *context)
{
	struct race *race = context;
	CLEANUP(follower)
	struct follower *follower = race->followers[atomic_fetch_add(&race->taken, 1)];
	struct followed followed = { .race = race };
	uint64_t missed = 0;
	bool last = false;

	while (!last) {
		last = atomic_load(&race->finished);
		while (follower_read(follower, 1000, follow_event, &followed, &missed) == 1000)
			;
	}
	/* Every event was given or told to be missed. */
	for (size_t i = 0; i < STREAMS; i++)
		expect(race, followed.next[i] == atomic_load(&race->published[i]));
	expect(race, missed == followed.gaps);
	atomic_fetch_add(&race->given, followed.events);
	atomic_fetch_add(&race->missed, missed);
	return NULL;
}

static void *look_at_figures(void *context)
{
	struct race *race = context;
	struct store_figures figures;

	while (!atomic_load(&race->finished)) {
		for (size_t i = 0; i < STREAMS; i++) {
			const uint64_t published = atomic_load(&race->published[i]);

			store_figures(race->store, i, &figures);
			expect(race, figures.appended >= published);
			expect(race, figures.appended == figures.held + figures.expired);
			expect(race, figures.held <= figures.appended);
		}
		expect(race, store_memory_used(race->store) <= store_memory_limit(race->store));
	}
	return NULL;
}

static void run(size_t memory)
{
	void *(*const readers[])(void *) = { ask_questions, ask_questions, follow, follow,
					     look_at_figures };
	pthread_t writer, threads[ARRAY_SIZE(readers)];
	CLEANUP(store) struct store *store = store_new(memory);
	struct race race = { .store = store };
	struct store_figures figures;

	for (int i = 0; i < STREAMS; i++)
		assert_int_equal(store_add_stream(store, &fixture_connection_schema), i);
	for (size_t i = 0; i < FOLLOWERS; i++)
		race.followers[i] = follower_new(store, i % 2);
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, readers[i], &race), 0);
	assert_int_equal(pthread_create(&writer, NULL, write_events, &race), 0);
	pthread_join(writer, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
		pthread_join(threads[i], NULL);

	assert_int_equal(race.failures, 0);
	assert_true(race.answers > 1);
	assert_true(race.given > 0);
	store_figures(store, 0, &figures);
	assert_int_equal(figures.appended, EVENTS);
	assert_true(figures.expired > 0);
}

static void test_with_evictions(void **state)
{
	(void)state;
	run(2 << 20);
}

/* Hardly any room: rows and blocks are used again at once. */
static void test_with_hardly_any_room(void **state)
{
	(void)state;
	run(1 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_with_evictions),
		cmocka_unit_test(test_with_hardly_any_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
