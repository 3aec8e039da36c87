/* SPDX-License-Identifier: MIT */
/* Memory and history together against a model, over servers that end and are killed, and over
 * boots. */
#include "history_world.h"

#include <errno.h>

#include "history/reader.h"
#include "store/aggregate.h"

static struct world world;

static int teardown(void **state)
{
	(void)state;
	world_fini(&world);
	return 0;
}

static void check_many(size_t rounds, size_t least)
{
	size_t given = 0;

	for (size_t i = 0; i < rounds; i++)
		given += world_check_random(&world);
	assert_true(given > least);
}

static uint64_t blocks_kept(void)
{
	return world.history->catalog.blocks;
}

static void finish_merging(void)
{
	while (merge_run(world.history))
		;
}

/* ---- one server ---- */

static void test_memory_and_history_hold_each_event_once(void **state)
{
	(void)state;
	world_begin(&world, 8 << 20, 1);
	for (size_t i = 0; i < 30; i++) {
		world_append(&world, 211, i % 2 ? 400 : 0);
		assert_int_equal(world_flush(&world), 0);
		check_many(7, 0);
	}
	world_check_all(&world);
	/* Nothing new: nothing is written. */
	assert_false(flush_is_pending(world.history));
}

static void test_what_memory_let_go_is_there(void **state)
{
	struct store_figures figures;

	(void)state;
	world_begin(&world, 1 << 20, 2);
	for (size_t i = 0; i < 60; i++) {
		world_append(&world, 503, i % 2 ? 3000 : 0);
		assert_int_equal(world_flush(&world), 0);
		if (i % 4 == 0)
			check_many(5, 0);
	}
	store_figures(world.store, 0, &figures);
	assert_true(figures.expired > 5000);
	world_check_all(&world);
	check_many(50, 5000);
}

/* Memory turns over before it is written: that is counted, and the rest is right. */
static void test_what_was_not_written_in_time_is_counted(void **state)
{
	struct history_stream_figures figures;
	uint64_t gone[WORLD_STREAMS] = { 0 };

	(void)state;
	world_begin(&world, 1 << 20, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(world_flush(&world), 0);
		world_append(&world, 20011, 0);
		assert_false(history_is_complete(world.history, 0, 0, 0));
		assert_int_equal(world_flush(&world), 0);
		check_many(20, 100);
	}
	for (size_t i = 0; i < world.count; i++)
		gone[world.events[i].stream] += world.events[i].gone;
	for (size_t i = 0; i < WORLD_STREAMS; i++) {
		assert_true(gone[i] > 1000);
		history_stream_figures(world.history, i, &figures);
		assert_int_equal(figures.not_persisted, gone[i]);
		assert_int_equal(figures.persisted + figures.not_persisted, world.next[i]);
		assert_false(history_is_complete(world.history, i, 0, 0));
	}
	/* What came after the last gap is all there. */
	assert_true(
		history_is_complete(world.history, 0, world.clock + 1,
				    world.clock + 1 + (uint64_t)world_boot(&world, 0)->to_real));
}

/* Many small writes of one open block become one; the sealed block takes their place. */
static void test_pieces_give_way_to_the_block(void **state)
{
	const struct shelf *shelf;

	(void)state;
	world_begin(&world, 64 << 20, 4);
	for (size_t i = 0; i < CHUNKS_MOST; i++) {
		world_append(&world, 31, 0);
		assert_int_equal(world_flush(&world), 0);
	}
	assert_int_equal(blocks_kept(), WORLD_STREAMS * CHUNKS_MOST);
	world_check_all(&world);
	world_append(&world, 31, 0);
	assert_int_equal(world_flush(&world), 0);
	assert_int_equal(blocks_kept(), WORLD_STREAMS);
	world_check_all(&world);
	/* Enough to seal. */
	world_append(&world, 20011, 0);
	assert_int_equal(world_flush(&world), 0);
	shelf = catalog_shelf(&world.history->catalog, 0, 0);
	assert_false(shelf->entries[0].partial);
	for (size_t i = 1; i < shelf->count; i++)
		assert_int_equal(shelf->entries[i].first_index,
				 shelf->entries[i - 1].first_index + shelf->entries[i - 1].rows);
	world_check_all(&world);
}

/* Only what is settled is written: a ring's position might still be before it. */
static void test_unsettled_rows_are_not_written(void **state)
{
	struct fixture_connection record;
	uint32_t length;

	(void)state;
	world_begin(&world, 8 << 20, 5);
	world_append(&world, 101, 0);
	assert_int_equal(world_flush(&world), 0);
	length = fixture_connection_event(&world.random, world.clock, 5, &record);
	store_append(world.store, 0, &record, length);
	store_publish(world.store, 0);
	assert_false(flush_is_pending(world.history));
	assert_int_equal(world_flush(&world), 0);
	assert_int_equal(world.history->works[0].done.index, world.next[0]);
	store_settle(world.store, 0);
	assert_true(flush_is_pending(world.history));
	assert_int_equal(world_flush(&world), 0);
	assert_int_equal(world.history->works[0].done.index, world.next[0] + 1);
}

/* ---- servers and boots ---- */

static void test_servers_end_and_begin(void **state)
{
	(void)state;
	world_begin(&world, 64 << 20, 6);
	for (size_t i = 0; i < 13; i++) {
		world_append(&world, 1009, i % 3 ? 0 : 500);
		world_end(&world);
		world.options.generation++;
		world_open(&world, 64 << 20);
		assert_true(history_is_complete(world.history, 0, 0, 0));
		world_check_all(&world);
		if (i % 2)
			finish_merging();
		world_check_all(&world);
		check_many(10, 0);
	}
	/* Pieces of the servers became one. */
	assert_true(blocks_kept() < 13);
}

static void test_servers_are_killed(void **state)
{
	size_t gone = 0;

	(void)state;
	world_begin(&world, 2 << 20, 7);
	for (size_t i = 0; i < 31; i++) {
		world_append(&world, 211, 0);
		assert_int_equal(world_flush(&world), 0);
		world_append(&world, fixture_below(&world.random, 401), 300);
		if (i % 3 == 0)
			assert_int_equal(world_flush(&world), 0);
		world_append(&world, 11, 0);
		world_kill(&world);
		/* The loader lived on, and tells where places go on. */
		world.options.generation++;
		world_open(&world, 2 << 20);
		for (size_t s = 0; s < WORLD_STREAMS && i % 2; s++) {
			world.next[s] += 1000;
			store_set_first_index(world.store, s, world.next[s]);
		}
		world_check_all(&world);
		check_many(5, 0);
		finish_merging();
		world_check_all(&world);
	}
	for (size_t i = 0; i < world.count; i++)
		gone += world.events[i].gone;
	assert_true(gone > 31 * 11 - 1);
}

static void test_boots_follow_each_other(void **state)
{
	(void)state;
	world_begin(&world, 2 << 20, 8);
	for (size_t i = 0; i < 7; i++) {
		world_append(&world, 2003, i % 2 ? 0 : 700);
		if (i == 3)
			world_kill(&world);
		else
			world_end(&world);
		world_next_boot(&world);
		world_open(&world, 2 << 20);
		check_many(20, 0);
		finish_merging();
		world_append(&world, 503, 0);
		world_check_all(&world);
		check_many(40, 500);
	}
	/* Ids sort by boot. */
	for (uint32_t i = 1; i <= world.boot; i++)
		assert_true(world_boot(&world, i)->epoch > world_boot(&world, i - 1)->epoch);
}

static struct query_place place_after(const struct query *query, const struct query_result *result)
{
	const struct event *last = result->count ? &result->events[result->count - 1] : NULL;

	if (result->cut && query->ascending)
		return (struct query_place){ .set = true,
					     .boot = result->cut_boot,
					     .timestamp = result->cut_at - 1,
					     .stream = UINT16_MAX,
					     .index = UINT32_MAX };
	if (result->cut)
		return (struct query_place){ .set = true,
					     .boot = result->cut_boot,
					     .timestamp = result->cut_at + 1 };
	assert_non_null(last);
	return (struct query_place){ .set = true,
				     .boot = last->boot ? last->boot->epoch : 0,
				     .timestamp = last->timestamp,
				     .stream = last->stream,
				     .index = (uint32_t)last->index };
}

/* Page by page over memory, history and boots: each event once, in order; also when no answer has
 * time to look at everything. */
static void go_through(bool ascending, uint64_t deadline)
{
	FREE const struct world_event **expected = calloc(WORLD_EVENTS, sizeof(*expected));
	struct query query;
	struct query_result result;
	size_t seen = 0, held = 0, cuts = 0;
	bool more = true;

	world_begin(&world, 1 << 20, 9);
	world_append(&world, 5003, 300);
	world_end(&world);
	world_next_boot(&world);
	world_open(&world, 1 << 20);
	for (size_t i = 0; i < 20; i++) {
		world_append(&world, 1009, 300);
		assert_int_equal(world_flush(&world), 0);
	}
	world_append(&world, 503, 0);
	for (size_t i = 0; i < world.count; i++) {
		if (!world.events[i].gone)
			expected[held++] = &world.events[i];
	}
	qsort(expected, held, sizeof(*expected), world_compare);
	query = world_everything(&world, 997);
	query.ascending = ascending;
	query.deadline = deadline;
	while (more) {
		assert_int_equal(query_run(world.store, &query, &result), 0);
		for (size_t i = 0; i < result.count; i++, seen++)
			world_assert_event(&world, &result.events[i],
					   expected[ascending ? seen : held - 1 - seen]);
		cuts += result.cut;
		more = result.more;
		if (more)
			*(ascending ? &query.after : &query.before) = place_after(&query, &result);
		query_result_fini(&result);
	}
	assert_int_equal(seen, held);
	assert_int_equal(cuts > 0, deadline != 0);
	query_fini(&query);
	world_fini(&world);
}

static void test_one_cursor_goes_through_everything(void **state)
{
	(void)state;
	go_through(false, 0);
	go_through(true, 0);
	go_through(false, 1);
	go_through(true, 1);
}

/* Sums over memory, history and boots. */
static void test_sums_go_through_everything(void **state)
{
	const struct aggregate_options options = { .by = { "pid" },
						   .by_count = 1,
						   .of = { "timestamp" },
						   .of_count = 1,
						   .top = AGGREGATE_MAX_TOP };
	CLEANUP(aggregate) struct aggregate *aggregate = aggregate_new(&options);
	struct aggregate_result result;
	struct query query;
	uint64_t count = 0;
	unsigned __int128 sum = 0;

	(void)state;
	world_begin(&world, 1 << 20, 16);
	world_append(&world, 3001, 300);
	world_end(&world);
	world_next_boot(&world);
	world_open(&world, 1 << 20);
	for (size_t i = 0; i < 20; i++) {
		world_append(&world, 1009, 300);
		assert_int_equal(world_flush(&world), 0);
	}
	world_append(&world, 211, 0);
	for (size_t i = 0; i < world.count; i++) {
		count += !world.events[i].gone;
		sum += world.events[i].gone ? 0 : world.events[i].timestamp;
	}
	query = world_everything(&world, 0);
	do
		assert_true(aggregate_add_store(aggregate, world.store, &query));
	while (aggregate_again(aggregate));
	assert_int_equal(aggregate_result(aggregate, &result), 0);
	assert_int_equal(result.total.count, count);
	assert_true(result.total.values[0].sum == (__int128)sum);
	assert_int_equal(result.damaged, 0);
	assert_true(result.total_groups > 10);
	query_fini(&query);
}

/* The last server said nothing at its end: nobody knows what it held. */
static void test_a_sudden_end_is_remembered(void **state)
{
	(void)state;
	world_begin(&world, 2 << 20, 10);
	world_append(&world, 101, 0);
	assert_int_equal(world_flush(&world), 0);
	world_kill(&world);
	world.options.generation = 0;
	world_open(&world, 2 << 20);
	assert_false(history_is_complete(world.history, 0, 0, 0));
	assert_false(history_is_complete(world.history, 1, 0, 0));
	world_check_all(&world);
	/* And kept. */
	world_kill(&world);
	world.options.generation = 1;
	world_open(&world, 2 << 20);
	assert_false(history_is_complete(world.history, 0, 0, 0));
}

/* ---- layouts ---- */

/* Events of a layout that no program has any more are read as they were written. */
static void test_an_earlier_layout_stays_readable(void **state)
{
	struct stream_schema later = fixture_connection_schema;
	struct field fields[CONNECTION_FIELDS];
	const struct stream_schema *kept;
	int number;

	(void)state;
	world_begin(&world, 2 << 20, 11);
	world_append(&world, 3001, 0);
	world_end(&world);
	world_open(&world, 2 << 20);
	memcpy(fields, fixture_connection_fields, sizeof(fields));
	fields[CONNECTION_DURATION].name = "took_ns";
	later.fields = fields;
	number = store_add_stream(world.store, &later);
	assert_int_equal(number, WORLD_STREAMS);
	for (size_t i = 0; i < 211; i++) {
		struct fixture_connection record;
		uint32_t length = fixture_connection_event(&world.random, world.clock, 5, &record);

		store_append(world.store, (size_t)number, &record, length);
	}
	store_publish(world.store, (size_t)number);
	store_settle(world.store, (size_t)number);
	assert_int_equal(world_flush(&world), 0);
	world_kill(&world);
	world_open(&world, 2 << 20);
	assert_int_equal(store_stream_count(world.store), 3);
	kept = store_stream_schema(world.store, 2);
	assert_string_equal(kept->fields[CONNECTION_DURATION].name, "took_ns");
	assert_string_equal(store_stream_schema(world.store, 0)->fields[CONNECTION_DURATION].name,
			    "duration_ns");
	assert_int_equal(catalog_end(&world.history->catalog, 0, 2), 211);
	world_check_all(&world);
}

/* ---- bounds ---- */

static void test_the_file_keeps_its_size(void **state)
{
	const uint64_t limit = 2 << 20;
	struct history_figures figures;
	uint64_t end = 0;

	(void)state;
	world_begin(&world, 1 << 20, 12);
	world_end(&world);
	world.options.size_limit = limit;
	world_open(&world, 1 << 20);
	for (size_t i = 0; i < 140; i++) {
		world.count = 0;
		world_append(&world, 503, 0);
		assert_int_equal(world_flush(&world), 0);
		retain_tidy(world.history);
		history_figures(world.history, &figures);
		assert_true(figures.file_bytes <= limit);
	}
	history_figures(world.history, &figures);
	assert_true(figures.retired > 10000);
	assert_true(figures.bytes > limit / 2);
	assert_false(history_is_complete(world.history, 0, 0, 0));
	/* The oldest went. */
	end = catalog_end(&world.history->catalog, 0, 0);
	assert_int_equal(end, world.next[0]);
	assert_true(catalog_shelf(&world.history->catalog, 0, 0)->entries[0].first_index > 5000);
	/* Also after a new start. */
	world_kill(&world);
	world_open(&world, 1 << 20);
	assert_false(history_is_complete(world.history, 0, 0, 0));
	assert_true(history_is_complete(world.history, 0, world.clock + 1, UINT64_MAX));
}

static void test_what_is_too_old_goes(void **state)
{
	(void)state;
	world_begin(&world, 1 << 20, 13);
	world_append(&world, 1009, 0);
	world_end(&world);
	world_open(&world, 1 << 20);
	assert_true(blocks_kept() > 0);
	assert_false(retain_is_due(world.history));
	/* The events are of the first milliseconds of a boot that is hours old. */
	world.history->options.age_limit_ns = clock_boot_ns() / 2;
	assert_true(retain_is_due(world.history));
	assert_int_equal(transaction_begin(world.history), 0);
	assert_int_equal(history_commit(world.history), 0);
	assert_int_equal(blocks_kept(), 0);
	assert_false(retain_is_due(world.history));
	assert_false(history_is_complete(world.history, 0, 0, 0));
}

/* ---- others ---- */

static void test_a_second_server_has_no_history(void **state)
{
	CLEANUP(store) struct store *store = store_new(1 << 20);
	struct history_options options;
	struct history *second = NULL;
	char error[256] = "";

	(void)state;
	world_begin(&world, 1 << 20, 14);
	options = world.options;
	options.store = store;
	assert_int_equal(history_open(&options, &second, error, sizeof(error)), -EBUSY);
	assert_null(second);
	assert_non_null(strstr(error, "another server"));
	assert_int_equal(store_stream_count(store), 0);
}

static int count_rows(void *context, const struct walk_piece *piece)
{
	uint64_t *rows = context;

	for (uint32_t row = piece->from; row < piece->to; row++) {
		const uint64_t time = segment_timestamp(piece->segment, row);

		rows[piece->stream] += time >= piece->since && time <= piece->until;
	}
	return 0;
}

static void check_walk(const struct walk *walk)
{
	uint64_t rows[WORLD_STREAMS] = { 0 }, expected[WORLD_STREAMS] = { 0 };
	struct walk_report report;

	for (size_t i = 0; i < world.count; i++)
		expected[world.events[i].stream] += !world.events[i].gone;
	assert_int_equal(walk_run(walk, count_rows, rows, &report), 0);
	assert_int_equal(report.damaged, 0);
	for (size_t i = 0; i < WORLD_STREAMS; i++)
		assert_int_equal(rows[i], expected[i]);
}

/* Another process, while the server writes; and a walk within the server. */
static void test_others_read_at_the_same_time(void **state)
{
	CLEANUP(history_reader) struct history_reader *reader = NULL;
	static const struct walk_stream streams[WORLD_STREAMS] = { { .stream = 0 },
								   { .stream = 1 } };
	struct walk walk = { .streams = streams,
			     .stream_count = WORLD_STREAMS,
			     .until = UINT64_MAX };
	char error[256] = "";

	(void)state;
	world_begin(&world, 1 << 20, 15);
	world_append(&world, 2003, 0);
	world_end(&world);
	world_next_boot(&world);
	world_open(&world, 1 << 20);
	assert_int_equal(history_reader_open(world.folder, &reader, error, sizeof(error)), 0);
	assert_int_equal(history_reader_stream_count(reader), WORLD_STREAMS);
	assert_string_equal(history_reader_schema(reader, 1)->name, fixture_misc_schema.name);
	assert_null(history_reader_schema(reader, WORLD_STREAMS));
	for (size_t i = 0; i < 30; i++) {
		world_append(&world, 503, 0);
		assert_int_equal(world_flush(&world), 0);
		retain_tidy(world.history);
		walk.store = NULL;
		walk.archive = history_reader_archive(reader);
		check_walk(&walk);
		walk.store = world.store;
		walk.archive = history_archive(world.history);
		walk.boot_to_real = world_boot(&world, world.boot)->to_real;
		check_walk(&walk);
	}
}

static void test_a_folder_without_history_has_no_reader(void **state)
{
	CLEANUP(history_reader) struct history_reader *reader = NULL;
	char error[256] = "";

	(void)state;
	assert_int_equal(history_reader_open("/tmp", &reader, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "/tmp/history.db"));
	assert_null(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_memory_and_history_hold_each_event_once, teardown),
		cmocka_unit_test_teardown(test_what_memory_let_go_is_there, teardown),
		cmocka_unit_test_teardown(test_what_was_not_written_in_time_is_counted, teardown),
		cmocka_unit_test_teardown(test_pieces_give_way_to_the_block, teardown),
		cmocka_unit_test_teardown(test_unsettled_rows_are_not_written, teardown),
		cmocka_unit_test_teardown(test_servers_end_and_begin, teardown),
		cmocka_unit_test_teardown(test_servers_are_killed, teardown),
		cmocka_unit_test_teardown(test_boots_follow_each_other, teardown),
		cmocka_unit_test_teardown(test_one_cursor_goes_through_everything, teardown),
		cmocka_unit_test_teardown(test_sums_go_through_everything, teardown),
		cmocka_unit_test_teardown(test_a_sudden_end_is_remembered, teardown),
		cmocka_unit_test_teardown(test_an_earlier_layout_stays_readable, teardown),
		cmocka_unit_test_teardown(test_the_file_keeps_its_size, teardown),
		cmocka_unit_test_teardown(test_what_is_too_old_goes, teardown),
		cmocka_unit_test_teardown(test_a_second_server_has_no_history, teardown),
		cmocka_unit_test_teardown(test_others_read_at_the_same_time, teardown),
		cmocka_unit_test(test_a_folder_without_history_has_no_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
