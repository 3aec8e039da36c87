/* SPDX-License-Identifier: MIT */
/* Answers against a model that remembers every record ever appended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/segment.h"
#include "store_world.h"

static int compare_place(uint64_t time, uint64_t stream, uint64_t index, uint64_t other_time,
			 uint64_t other_stream, uint64_t other_index)
{
	if (time != other_time)
		return time < other_time ? -1 : 1;
	if (stream != other_stream)
		return stream < other_stream ? -1 : 1;
	return index < other_index ? -1 : index > other_index;
}

static int compare_remembered(const void *a, const void *b)
{
	const struct remembered *x = *(const struct remembered *const *)a;
	const struct remembered *y = *(const struct remembered *const *)b;

	return compare_place(x->timestamp, x->stream, x->index, y->timestamp, y->stream, y->index);
}

static const struct query_stream *asked_about(const struct query *query, uint16_t stream)
{
	for (size_t i = 0; i < query->stream_count; i++) {
		if (query->streams[i].stream == stream)
			return &query->streams[i];
	}
	return NULL;
}

static bool lies_between_places(const struct query *query, const struct remembered *event)
{
	const struct query_place *after = &query->after, *before = &query->before;

	if (after->set && compare_place(event->timestamp, event->stream, event->index,
					after->timestamp, after->stream, after->index) <= 0)
		return false;
	return !before->set || compare_place(event->timestamp, event->stream, event->index,
					     before->timestamp, before->stream, before->index) < 0;
}

static void assert_event(const struct event *event, const struct remembered *expected)
{
	assert_int_equal(event->timestamp, expected->timestamp);
	assert_int_equal(event->stream, expected->stream);
	assert_int_equal(event->index, expected->index);
	assert_ptr_equal(event->schema, schemas[expected->stream]);
	assert_true(model_same_record(event->schema, event->record, event->length, expected->record,
				      expected->length));
}

/* Runs the question and compares the whole answer. Returns the number of events in it. */
static size_t check(const struct query *query)
{
	FREE const struct remembered **expected = calloc(world.count + 1, sizeof(*expected));
	struct query_result result;
	uint64_t total = 0;
	size_t count = 0, given;

	for (size_t i = 0; i < world.count; i++) {
		const struct remembered *event = &world.events[i];
		const struct query_stream *asked = asked_about(query, event->stream);

		if (!asked || event->index < world_first_held(event->stream) ||
		    event->timestamp < query->since || event->timestamp > query->until ||
		    !model_match(&asked->filter, schemas[event->stream], event->record,
				 event->length))
			continue;
		total++;
		if (lies_between_places(query, event))
			expected[count++] = event;
	}
	qsort(expected, count, sizeof(*expected), compare_remembered);

	assert_int_equal(query_run(world.store, query, &result), 0);
	if (query->want_total || !query->limit)
		assert_int_equal(result.total, total);
	given = count < query->limit ? count : query->limit;
	assert_int_equal(result.count, given);
	assert_int_equal(result.more, query->limit && count > query->limit);
	for (size_t i = 0; i < given; i++)
		assert_event(&result.events[i], expected[query->ascending ? i : count - 1 - i]);
	query_result_fini(&result);
	return given;
}

static struct query_place random_place(void)
{
	const struct remembered *event = &world.events[fixture_below(&world.random, world.count)];
	struct query_place place = { .set = true,
				     .timestamp = event->timestamp,
				     .stream = event->stream,
				     .index = (uint32_t)event->index };

	if (!fixture_below(&world.random, 4))
		place.timestamp += fixture_below(&world.random, 100) - 50;
	return place;
}

static struct query random_query(void)
{
	static const size_t limits[] = { 0, 1, 2, 10, 100, 1000, 10000 };
	struct fixture_random *random = &world.random;
	struct query query = world_question(limits[fixture_below(random, ARRAY_SIZE(limits))]);

	query.ascending = fixture_below(random, 2);
	query.want_total = fixture_below(random, 2);
	world_narrow(&query);
	if (!fixture_below(random, 4))
		query.after = random_place();
	if (!fixture_below(random, 4))
		query.before = random_place();
	return query;
}

static void check_many(size_t rounds, size_t least)
{
	size_t given = 0;

	for (size_t i = 0; i < rounds; i++) {
		struct query query = random_query();

		given += check(&query);
		query_fini(&query);
	}
	assert_true(given > least);
}

static void test_an_empty_store_answers(void **state)
{
	struct query query;
	struct query_result result;

	(void)state;
	world_begin(8 << 20, 1);
	query = world_question(100);
	query.want_total = true;
	assert_int_equal(query_run(world.store, &query, &result), 0);
	assert_int_equal(result.count, 0);
	assert_int_equal(result.total, 0);
	assert_false(result.more);
	query_result_fini(&result);
	query.stream_count = 0;
	assert_int_equal(query_run(world.store, &query, &result), 0);
	assert_int_equal(result.count, 0);
	query_result_fini(&result);
	query_fini(&query);
}

static void test_random_questions_in_order(void **state)
{
	(void)state;
	world_begin(8 << 20, 2);
	world_append(31, 0);
	check_many(100, 100);
	world_append(20011, 0);
	check_many(300, 10000);
}

static void test_random_questions_with_disorder(void **state)
{
	(void)state;
	world_begin(8 << 20, 3);
	world_append(9001, 400);
	check_many(200, 10000);
	/* More than a block may span. */
	world_append(9001, 900000);
	check_many(200, 10000);
}

static void test_random_questions_with_evictions(void **state)
{
	(void)state;
	world_begin(1 << 20, 4);
	for (size_t i = 0; i < 12; i++) {
		world_append(5003, i % 2 ? 0 : 3000);
		check_many(25, 100);
	}
	assert_true(world_first_held(0) > 0 && world_first_held(1) > 0 && world_first_held(2) > 0);
}

/* One event far out of order, such as a program that sends a wrong time makes it. */
static void test_a_time_that_is_wrong(void **state)
{
	(void)state;
	world_begin(2 << 20, 5);
	world_append(5003, 0);
	world.clock += 1ULL << 62;
	world_append(1, 0);
	world.clock -= 1ULL << 62;
	world_append(5003, 100);
	check_many(200, 1000);
}

static void walk(bool ascending, size_t limit)
{
	FREE const struct remembered **held = calloc(world.count, sizeof(*held));
	struct query query = world_question(limit);
	size_t count = 0, seen = 0;
	bool more = true;

	for (size_t i = 0; i < world.count; i++) {
		if (world.events[i].index >= world_first_held(world.events[i].stream))
			held[count++] = &world.events[i];
	}
	qsort(held, count, sizeof(*held), compare_remembered);
	query.ascending = ascending;
	while (more) {
		struct query_place *place = ascending ? &query.after : &query.before;
		const struct event *last;
		struct query_result result;

		assert_int_equal(query_run(world.store, &query, &result), 0);
		assert_true(result.count > 0 && seen + result.count <= count);
		for (size_t i = 0; i < result.count; i++, seen++)
			assert_event(&result.events[i], held[ascending ? seen : count - 1 - seen]);
		last = &result.events[result.count - 1];
		*place = (struct query_place){ .set = true,
					       .timestamp = last->timestamp,
					       .stream = last->stream,
					       .index = (uint32_t)last->index };
		more = result.more;
		query_result_fini(&result);
	}
	assert_int_equal(seen, count);
	query_fini(&query);
}

static void test_pages_give_every_event_once(void **state)
{
	(void)state;
	world_begin(2 << 20, 6);
	world_append(20011, 700);
	walk(false, 1);
	walk(false, 97);
	walk(true, 101);
	walk(true, 7001);
	walk(false, 10000);
}

/* However little time there is: who goes on from where an answer broke off sees every event once,
 * in order. */
static void walk_in_a_hurry(bool ascending, size_t limit)
{
	FREE const struct remembered **held = calloc(world.count, sizeof(*held));
	struct query query = world_question(limit);
	struct query_place *place = ascending ? &query.after : &query.before;
	size_t count = 0, seen = 0, cuts = 0, steps = 0;
	bool more = true;

	for (size_t i = 0; i < world.count; i++) {
		if (world.events[i].index >= world_first_held(world.events[i].stream))
			held[count++] = &world.events[i];
	}
	qsort(held, count, sizeof(*held), compare_remembered);
	query.ascending = ascending;
	query.deadline = 1; /* long ago */
	for (; more; steps++) {
		struct query_result result;

		assert_int_equal(query_run(world.store, &query, &result), 0);
		assert_true(seen + result.count <= count);
		for (size_t i = 0; i < result.count; i++, seen++)
			assert_event(&result.events[i], held[ascending ? seen : count - 1 - seen]);
		assert_true(!result.cut || (result.partial && result.more));
		cuts += result.cut;
		if (result.cut && ascending)
			*place = (struct query_place){ .set = true,
						       .timestamp = result.cut_at - 1,
						       .stream = UINT16_MAX,
						       .index = UINT32_MAX };
		else if (result.cut)
			*place =
				(struct query_place){ .set = true, .timestamp = result.cut_at + 1 };
		else if (result.count)
			*place = (struct query_place){
				.set = true,
				.timestamp = result.events[result.count - 1].timestamp,
				.stream = result.events[result.count - 1].stream,
				.index = (uint32_t)result.events[result.count - 1].index,
			};
		more = result.more;
		query_result_fini(&result);
		assert_true(steps < 3 * count);
	}
	assert_int_equal(seen, count);
	assert_true(cuts > 0);
	query_fini(&query);
}

static void test_answers_that_took_too_long(void **state)
{
	struct query query;
	struct query_result result;
	uint64_t counted;

	(void)state;
	world_begin(2 << 20, 16);
	world_append(20011, 700);
	walk_in_a_hurry(false, 1);
	walk_in_a_hurry(false, 97);
	walk_in_a_hurry(true, 101);
	walk_in_a_hurry(true, 7001);

	/* A total that was cut short is less, and says so; with time enough it is all. */
	query = world_question(0);
	for (size_t i = 0; i < STREAMS; i++)
		query.streams[i].filter = model_filter_range(HEADER_PID, 0, UINT32_MAX);
	query.deadline = 1;
	assert_int_equal(query_run(world.store, &query, &result), 0);
	assert_true(result.partial);
	counted = result.total;
	query.deadline = UINT64_MAX;
	assert_int_equal(query_run(world.store, &query, &result), 0);
	assert_false(result.partial || result.cut);
	assert_true(counted > 0 && counted < result.total);
	query_fini(&query);
}

static void test_little_is_looked_at(void **state)
{
	struct query query;
	struct query_result result;

	(void)state;
	world_begin(32 << 20, 7);
	world_append(MOST_EVENTS, 50);
	query = world_question(100);
	query.want_total = true;

	/* The newest: a block of each stream at the most. */
	assert_int_equal(query_run(world.store, &query, &result), 0);
	assert_int_equal(result.total, MOST_EVENTS);
	assert_true(result.blocks_scanned <= STREAMS);
	assert_true(result.blocks_skipped > STREAMS);
	query_result_fini(&result);

	/* A window that ended long ago. */
	query.since = 1000100;
	query.until = 1000300;
	assert_int_equal(query_run(world.store, &query, &result), 0);
	assert_true(result.count > 0 && result.total == result.count);
	assert_true(result.blocks_scanned <= 2 * STREAMS);
	query_result_fini(&result);

	/* A process that is not there, between two that are. */
	query.since = 0;
	query.until = UINT64_MAX;
	for (size_t i = 0; i < STREAMS; i++)
		query.streams[i].filter = model_filter_range(HEADER_PID, 1001, 1001);
	assert_int_equal(query_run(world.store, &query, &result), 0);
	assert_int_equal(result.count, 0);
	assert_int_equal(result.total, 0);
	/* Only open rows have no summary. */
	assert_true(result.blocks_scanned <= STREAMS);
	query_result_fini(&result);
	query_fini(&query);
}

/* A question sees what was published before, though blocks are sealed while it runs. */
static void test_unpublished_events_are_not_seen(void **state)
{
	struct query query;
	struct query_result result;

	(void)state;
	world_begin(8 << 20, 8);
	world_append(11, 0);
	query = world_question(100);
	for (size_t i = 0; i < 7; i++)
		store_append(world.store, 0, world.events[0].record, 80);
	assert_int_equal(query_run(world.store, &query, &result), 0);
	assert_int_equal(result.count, 11);
	query_result_fini(&result);
	store_publish(world.store, 0);
	assert_int_equal(query_run(world.store, &query, &result), 0);
	assert_int_equal(result.count, 18);
	query_result_fini(&result);
	query_fini(&query);
}

static void test_answers_outlive_what_they_came_from(void **state)
{
	uint8_t record[sizeof(struct fixture_connection)];
	struct query query;
	struct query_result result;
	struct event first;

	(void)state;
	world_begin(1 << 20, 9);
	world_append(101, 0);
	query = world_question(101);
	query.ascending = true;
	assert_int_equal(query_run(world.store, &query, &result), 0);
	assert_int_equal(result.count, 101);
	first = result.events[0];
	memcpy(record, first.record, first.length);
	world_append(40009, 0);
	assert_true(world_first_held(first.stream) > first.index);
	assert_memory_equal(result.events[0].record, record, first.length);
	query_result_fini(&result);
	query_fini(&query);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_store_answers),
		cmocka_unit_test(test_random_questions_in_order),
		cmocka_unit_test(test_random_questions_with_disorder),
		cmocka_unit_test(test_random_questions_with_evictions),
		cmocka_unit_test(test_a_time_that_is_wrong),
		cmocka_unit_test(test_pages_give_every_event_once),
		cmocka_unit_test(test_answers_that_took_too_long),
		cmocka_unit_test(test_little_is_looked_at),
		cmocka_unit_test(test_unpublished_events_are_not_seen),
		cmocka_unit_test(test_answers_outlive_what_they_came_from),
	};

	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
