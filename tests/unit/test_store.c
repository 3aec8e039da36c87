/* SPDX-License-Identifier: MIT */
/* The store keeps what it can, within its bound, and counts what it cannot. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema_fixture.h"
#include "store/segment.h"

#define MIB ((size_t)1 << 20)

static uint64_t now; /* boot ns of the next event */
static struct fixture_random generator;

static struct store *make(size_t memory, size_t streams)
{
	struct store *store = store_new(memory);

	assert_non_null(store);
	for (size_t i = 0; i < streams; i++)
		assert_int_equal(store_add_stream(store, &fixture_connection_schema), i);
	assert_int_equal(store_stream_count(store), streams);
	now = 1000;
	generator.state = 42;
	return store;
}

static void append(struct store *store, size_t stream, size_t count)
{
	struct fixture_connection event;

	for (size_t i = 0; i < count; i++) {
		uint32_t length = fixture_connection_event(&generator, now++, 50, &event);

		store_append(store, stream, &event, length);
		assert_true(store_memory_used(store) <= store_memory_limit(store));
	}
	store_publish(store, stream);
}

static struct store_figures figures(const struct store *store, size_t stream)
{
	struct store_figures result;

	store_figures(store, stream, &result);
	assert_int_equal(result.appended, result.held + result.expired);
	return result;
}

/* Counts the events that are there, block by block. */
static uint64_t count_held(const struct store *store, size_t number)
{
	const struct stream *stream = &store->streams[number];
	struct segment segment;
	uint64_t count = 0;

	for (uint64_t n = 0; n <= stream->tail; n++) {
		if (!segment_pin(stream, n, &segment))
			continue;
		count += segment.count;
		segment_unpin(&segment);
	}
	return count;
}

static void test_nothing_is_there_at_first(void **state)
{
	CLEANUP(store) struct store *store = make(8 * MIB, 1);
	struct store_figures empty = figures(store, 0);
	struct segment segment;

	(void)state;
	assert_ptr_equal(store_stream_schema(store, 0), &fixture_connection_schema);
	assert_int_equal(store_memory_limit(store), 8 * MIB);
	assert_int_equal(empty.appended, 0);
	assert_int_equal(empty.bytes, 0);
	assert_int_equal(empty.oldest, 0);
	assert_false(segment_pin_open(&store->streams[0], &segment));
	assert_false(segment_pin_sealed(&store->streams[0], 0, &segment));
	store_publish(store, 0);
	assert_int_equal(figures(store, 0).appended, 0);
	store_free(NULL);
}

static void test_events_are_seen_once_published(void **state)
{
	CLEANUP(store) struct store *store = make(8 * MIB, 1);
	struct fixture_connection event;
	struct segment segment;
	uint32_t length;

	(void)state;
	append(store, 0, 3);
	length = fixture_connection_event(&generator, now, 50, &event);
	store_append(store, 0, &event, length);
	assert_true(segment_pin_open(&store->streams[0], &segment));
	assert_int_equal(segment.count, 3);
	segment_unpin(&segment);
	assert_int_equal(figures(store, 0).appended, 3);
	store_publish(store, 0);
	assert_true(segment_pin_open(&store->streams[0], &segment));
	assert_int_equal(segment.count, 4);
	assert_int_equal(segment.oldest, 1000);
	assert_int_equal(segment.newest, 1003);
	assert_int_equal(segment.rows.lengths[3], length);
	assert_memory_equal(segment.rows.data + 3 * (size_t)segment.rows.stride, &event, length);
	segment_unpin(&segment);
	assert_int_equal(figures(store, 0).held, 4);
	assert_int_equal(figures(store, 0).oldest, 1000);
	assert_int_equal(figures(store, 0).newest, 1003);
}

static void test_streams_have_an_end(void **state)
{
	CLEANUP(store) struct store *store = make(MIB, STORE_MAX_STREAMS);

	(void)state;
	assert_int_equal(store_add_stream(store, &fixture_connection_schema), -ENOSPC);
	/* Even so many share the smallest store there may be. */
	for (size_t round = 0; round < 20; round++) {
		for (size_t i = 0; i < STORE_MAX_STREAMS; i++)
			append(store, i, 7);
	}
	for (size_t i = 0; i < STORE_MAX_STREAMS; i++)
		assert_int_equal(figures(store, i).held, count_held(store, i));
}

static void test_the_bound_holds(void **state)
{
	static const struct {
		size_t memory, streams;
	} cases[] = { { 0, 1 },	      { MIB, 3 },      { 2 * MIB, 20 },
		      { 8 * MIB, 1 }, { 8 * MIB, 20 }, { 64 * MIB, 20 } };

	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		CLEANUP(store) struct store *store = make(cases[c].memory, cases[c].streams);
		const size_t limit = store_memory_limit(store);

		for (size_t round = 0; round < 97; round++) {
			for (size_t i = 0; i < cases[c].streams; i++)
				append(store, i, limit / MIB * (i ? 17 : 503));
		}
		for (size_t i = 0; i < cases[c].streams; i++) {
			struct store_figures result = figures(store, i);

			assert_int_equal(result.held, count_held(store, i));
			/* Everybody holds something, and nobody lost what came last. */
			assert_true(result.held >= 17);
			assert_int_equal(result.newest,
					 now - 1 - (cases[c].streams - 1 - i) * (limit / MIB * 17));
		}
		assert_true(figures(store, 0).expired > 0);
		/* What may be used is used, but for the room that sealing needs. */
		assert_true(store_memory_used(store) > limit / 10 * 7);
	}
}

static void test_a_storm_leaves_a_quiet_stream_alone(void **state)
{
	CLEANUP(store) struct store *store = make(8 * MIB, 2);
	struct store_figures storm, quiet;

	(void)state;
	append(store, 0, 5003);
	append(store, 1, 400009);
	quiet = figures(store, 0);
	storm = figures(store, 1);
	assert_int_equal(quiet.held, 5003);
	assert_int_equal(quiet.oldest, 1000);
	assert_int_equal(quiet.expired_until, 0);
	assert_true(storm.expired > 0);
	/* The oldest went first, and nothing is missing in between. */
	assert_int_equal(storm.newest, now - 1);
	assert_int_equal(storm.oldest, now - storm.held);
	assert_int_equal(storm.expired_until, storm.oldest - 1);
	assert_int_equal(storm.held, count_held(store, 1));
}

static void test_a_block_that_is_read_stays(void **state)
{
	CLEANUP(store) struct store *store = make(2 * MIB, 1);
	const struct stream *stream = &store->streams[0];
	struct segment first, other;
	uint8_t before[sizeof(struct fixture_connection)], after[sizeof(before)];

	(void)state;
	append(store, 0, 1);
	append(store, 0, stream->capacity);
	assert_true(segment_pin_sealed(stream, 0, &first));
	assert_non_null(first.block);
	segment_record(&first, first.count - 1, before);
	append(store, 0, 100003);
	assert_int_equal(stream->head, 0);
	assert_false(segment_pin_sealed(stream, 1, &other));
	segment_record(&first, first.count - 1, after);
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(figures(store, 0).oldest, 1000);
	assert_int_equal(figures(store, 0).held, count_held(store, 0));

	/* It goes with the next, once nobody reads it. */
	segment_unpin(&first);
	append(store, 0, 3 * (size_t)stream->capacity);
	assert_false(segment_pin_sealed(stream, 0, &other));
	assert_true(stream->head > 1);
	assert_int_equal(figures(store, 0).held, count_held(store, 0));
}

static void test_rows_that_are_read_stay(void **state)
{
	CLEANUP(store) struct store *store = make(8 * MIB, 1);
	const struct stream *stream = &store->streams[0];
	struct segment reader[5];
	size_t mapped = 0;

	(void)state;
	append(store, 0, 1);
	for (size_t i = 0; i < ARRAY_SIZE(reader); i++) {
		assert_true(segment_pin_open(stream, &reader[i]));
		assert_int_equal(reader[i].number, i);
		append(store, 0, stream->capacity);
	}
	for (size_t i = 0; i < ARRAY_SIZE(reader); i++) {
		/* Sealed long since, and still the rows that they were. */
		assert_int_equal(reader[i].first_index, i * stream->capacity);
		assert_int_equal(segment_timestamp(&reader[i], 0), 1000 + reader[i].first_index);
		segment_unpin(&reader[i]);
	}
	append(store, 0, stream->capacity);
	for (const struct row_buffer *b = stream->buffers; b; b = b->next)
		mapped += b->mapped != 0;
	assert_int_equal(mapped, 2);
	assert_int_equal(figures(store, 0).held, count_held(store, 0));
	assert_int_equal(figures(store, 0).expired, 0);
}

/* Readers hold everything: events expire as they come, counted, and the bound holds. */
static void test_without_any_room_events_expire_at_once(void **state)
{
	CLEANUP(store) struct store *store = make(MIB, 1);
	const struct stream *stream = &store->streams[0];
	struct segment pinned[200], rest;
	struct store_figures full, later;
	size_t count = 0;

	(void)state;
	append(store, 0, 1);
	while (segment_pin_open(stream, &pinned[count])) {
		append(store, 0, stream->capacity);
		assert_true(++count < ARRAY_SIZE(pinned));
	}
	full = figures(store, 0);
	append(store, 0, 10007);
	later = figures(store, 0);
	assert_int_equal(later.appended, full.appended + 10007);
	assert_int_equal(later.expired, full.expired + 10007);
	assert_int_equal(later.held, count_held(store, 0));
	assert_int_equal(later.expired_until, now - 1);

	while (count)
		segment_unpin(&pinned[--count]);
	append(store, 0, 5);
	assert_true(segment_pin_open(stream, &rest));
	/* Places are not given twice. */
	assert_int_equal(rest.first_index + rest.count, full.appended + 10012);
	segment_unpin(&rest);
	assert_int_equal(figures(store, 0).newest, now - 1);
	assert_int_equal(figures(store, 0).held, count_held(store, 0));
}

static void test_disorder_is_measured(void **state)
{
	CLEANUP(store) struct store *store = make(8 * MIB, 1);
	static const uint64_t times[] = { 500, 300, 900, 850, 901, 650 };
	struct fixture_connection event;
	struct segment segment;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		uint32_t length = fixture_connection_event(&generator, times[i], 5, &event);

		store_append(store, 0, &event, length);
	}
	store_publish(store, 0);
	assert_true(segment_pin_open(&store->streams[0], &segment));
	assert_int_equal(segment.oldest, 300);
	assert_int_equal(segment.newest, 901);
	assert_int_equal(segment.disorder, 251);
	segment_unpin(&segment);
}

/* Nothing of a block but its header: as many blocks as the directory has slots. */
static void test_the_directory_has_an_end(void **state)
{
	CLEANUP(store) struct store *store = make(MIB, 64);
	const struct stream *stream = &store->streams[0];
	struct fixture_connection event = { .header = { .timestamp = 7, .command = "same" } };
	struct segment segment;

	(void)state;
	for (size_t i = 0; i < 30000; i++) {
		store_append(store, 0, &event, sizeof(event.header));
		store_publish(store, 0);
	}
	assert_int_equal(stream->tail - stream->head, stream->slot_mask + 1);
	assert_int_equal(figures(store, 0).held, count_held(store, 0));

	/* The oldest is being read when its slot is needed. */
	assert_true(segment_pin_sealed(stream, stream->head, &segment));
	for (size_t i = 0; i < 30000; i++)
		store_append(store, 0, &event, sizeof(event.header));
	store_publish(store, 0);
	assert_int_equal(segment.block->first_index, segment.first_index);
	segment_unpin(&segment);
	assert_int_equal(figures(store, 0).held, count_held(store, 0));
}

static void test_a_record_as_large_as_may_be(void **state)
{
	static const struct stream_schema large = {
		.name = "large",
		.fields = fixture_misc_fields,
		.field_count = HEADER_FIELDS,
		.record_size = 65528,
		.minimum_size = sizeof(struct fixture_header),
	};
	CLEANUP(store) struct store *store = make(MIB, 1);
	FREE uint8_t *record = calloc(1, large.record_size);

	(void)state;
	assert_int_equal(store_add_stream(store, &large), 1);
	for (uint64_t i = 1; i <= 101; i++) {
		memcpy(record, &i, sizeof(i));
		store_append(store, 1, record, large.record_size);
		assert_true(store_memory_used(store) <= store_memory_limit(store));
	}
	store_publish(store, 1);
	assert_int_equal(figures(store, 1).newest, 101);
	assert_true(figures(store, 1).held > 10);
	assert_int_equal(figures(store, 1).held, count_held(store, 1));
}

static void test_bytes_are_accounted_for(void **state)
{
	CLEANUP(store) struct store *store = make(16 * MIB, 3);
	size_t sum = sizeof(struct store);

	(void)state;
	for (size_t i = 0; i < 3; i++)
		append(store, i, 30011);
	for (size_t i = 0; i < 3; i++)
		sum += figures(store, i).bytes;
	assert_int_equal(store_memory_used(store),
			 sum + block_builder_bytes(store->builder_capacity));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_there_at_first),
		cmocka_unit_test(test_events_are_seen_once_published),
		cmocka_unit_test(test_streams_have_an_end),
		cmocka_unit_test(test_the_bound_holds),
		cmocka_unit_test(test_a_storm_leaves_a_quiet_stream_alone),
		cmocka_unit_test(test_a_block_that_is_read_stays),
		cmocka_unit_test(test_rows_that_are_read_stay),
		cmocka_unit_test(test_without_any_room_events_expire_at_once),
		cmocka_unit_test(test_disorder_is_measured),
		cmocka_unit_test(test_the_directory_has_an_end),
		cmocka_unit_test(test_a_record_as_large_as_may_be),
		cmocka_unit_test(test_bytes_are_accounted_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
