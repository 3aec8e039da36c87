/* SPDX-License-Identifier: MIT */
/* Groups against a model that takes event by event. */
#include "aggregate_model.h"

static const char *const groupable[] = {
	"type",
	"pid",
	"uid",
	"command",
	"cgroup_id",
	"duration_ns",
	"return_code",
	"error",
	"protocol",
	"address_family",
	"destination_port",
	"destination",
	"destination_ip",
	"destination_path",
	"balance",
	"location",
	"depth",
	"level",
	"watched",
	"counts",
	"mac",
	"source",
	"payload",
	"note",
	"codes",
	"timestamp",
};
static const char *const summable[] = {
	"pid",	 "duration_ns", "return_code", "destination_port", "balance",
	"depth", "level",	"cgroup_id",   "timestamp",
};

static void ask(struct aggregate *aggregate, const struct query *query)
{
	do
		aggregate_add_store(aggregate, world.store, query);
	while (aggregate_again(aggregate));
}

static struct aggregate *begin(const struct aggregate_options *options)
{
	struct aggregate *aggregate = aggregate_new(options);

	assert_non_null(aggregate);
	return aggregate;
}

static struct aggregate_result finish(struct aggregate *aggregate)
{
	struct aggregate_result result;

	assert_int_equal(aggregate_result(aggregate, &result), 0);
	return result;
}

static struct model make_model(const struct aggregate_options *options, const struct query *query)
{
	struct model model = { .options = options };

	model.rows = calloc(world.count + 1, sizeof(*model.rows));
	for (size_t i = 0; i < world.count; i++) {
		const struct remembered *event = &world.events[i];
		const struct stream_schema *schema = schemas[event->stream];

		for (size_t s = 0; s < query->stream_count; s++) {
			const struct query_stream *asked = &query->streams[s];

			if (asked->stream == event->stream &&
			    event->index >= world_first_held(event->stream) &&
			    event->timestamp >= query->since && event->timestamp <= query->until &&
			    model_match(&asked->filter, schema, event->record, event->length))
				model_add(&model, schema, event->record, event->length,
					  event->timestamp);
		}
	}
	model_settle(&model);
	return model;
}

/* Asks both, compares all, and returns how many groups there were. */
static size_t check(const struct aggregate_options *options, const struct query *query)
{
	__attribute__((cleanup(model_fini))) struct model model = make_model(options, query);
	CLEANUP(aggregate) struct aggregate *aggregate = begin(options);
	struct aggregate_result result;

	ask(aggregate, query);
	result = finish(aggregate);
	model_check(&model, aggregate, &result);
	return model.group_count;
}

static struct aggregate_options random_options(void)
{
	static const uint32_t tops[] = { 1, 2, 10, 1000 };
	static const uint32_t bucket_counts[] = { 0, 1, 7, 60, 1000 };
	struct fixture_random *random = &world.random;
	struct aggregate_options options = {
		.by_count = (uint32_t)fixture_below(random, 4),
		.of_count = (uint32_t)fixture_below(random, 3),
		.top = tops[fixture_below(random, ARRAY_SIZE(tops))],
		.buckets = bucket_counts[fixture_below(random, ARRAY_SIZE(bucket_counts))],
	};

	for (uint32_t i = 0; i < options.by_count; i++)
		options.by[i] = groupable[fixture_below(random, ARRAY_SIZE(groupable))];
	for (uint32_t i = 0; i < options.of_count; i++)
		options.of[i] = summable[fixture_below(random, ARRAY_SIZE(summable))];
	options.start = world_random_time();
	options.width = 1 + fixture_below(random, world.clock / (options.buckets + 1) + 1);
	return options;
}

static void check_many(size_t rounds, size_t least)
{
	size_t groups = 0;

	for (size_t i = 0; i < rounds; i++) {
		const struct aggregate_options options = random_options();
		struct query query = world_question(0);

		world_narrow(&query);
		groups += check(&options, &query);
		query_fini(&query);
	}
	assert_true(groups > least);
}

static void test_nothing(void **state)
{
	const struct aggregate_options options = {
		.by = { "command" },
		.by_count = 1,
		.of = { "pid" },
		.of_count = 1,
		.top = 10,
		.buckets = 3,
		.width = 5,
	};
	struct query query;

	(void)state;
	world_begin(8 << 20, 1);
	query = world_question(0);
	assert_int_equal(check(&options, &query), 0);
	query.stream_count = 0;
	assert_int_equal(check(&options, &query), 0);
	query_fini(&query);
}

/* Every field alone, everything sealed or open. */
static void test_each_field(void **state)
{
	struct query query;

	(void)state;
	world_begin(8 << 20, 2);
	world_append(13009, 300);
	query = world_question(0);
	for (size_t i = 0; i < ARRAY_SIZE(groupable); i++) {
		const struct aggregate_options options = {
			.by = { groupable[i] },
			.by_count = 1,
			.of = { "duration_ns" },
			.of_count = 1,
			.top = 100,
			.buckets = 11,
			.start = 1000000,
			.width = 9001,
		};

		check(&options, &query);
	}
	query_fini(&query);
}

static void test_random_questions(void **state)
{
	(void)state;
	world_begin(8 << 20, 3);
	world_append(31, 0);
	check_many(60, 100);
	world_append(4001, 400);
	check_many(60, 1000);
	world_append(9001, 0);
	check_many(60, 10000);
}

static void test_random_questions_with_evictions(void **state)
{
	(void)state;
	world_begin(1 << 20, 4);
	for (size_t i = 0; i < 4; i++) {
		world_append(12007, i % 2 ? 0 : 3000);
		check_many(15, 100);
	}
	assert_true(world_first_held(0) > 0 && world_first_held(1) > 0 && world_first_held(2) > 0);
}

/* One event far out of order, as a program makes it that sends a wrong time. */
static void test_a_time_that_is_wrong(void **state)
{
	(void)state;
	world_begin(2 << 20, 5);
	world_append(1009, 0);
	world.clock += 1ULL << 62;
	world_append(1, 0);
	world.clock -= 1ULL << 62;
	world_append(1009, 100);
	check_many(60, 1000);
}

/* A window that begins before the boot: its start is below zero. */
static void test_a_start_before_the_boot(void **state)
{
	struct aggregate_options options = { .top = 1, .buckets = 4 };
	CLEANUP(aggregate) struct aggregate *aggregate = NULL;
	struct aggregate_result result;
	struct query query;

	(void)state;
	world_begin(8 << 20, 6);
	world_append(101, 0);
	/* Two buckets before the boot, one for the time since, and one more. */
	options.width = world.clock;
	options.encoding.boot_to_real = 1000000000;
	options.start = 1000000000 - 2 * options.width;
	query = world_question(0);
	aggregate = begin(&options);
	ask(aggregate, &query);
	result = finish(aggregate);
	assert_int_equal(result.total.counts[0], 0);
	assert_int_equal(result.total.counts[1], 0);
	assert_int_equal(result.total.counts[2] + result.total.counts[3], 101);
	assert_true(result.total.counts[2] > 90);
	query_fini(&query);
}

/* Groups of one size come by their keys, so that two answers have them in one order. */
static void test_equal_groups_by_key(void **state)
{
	const struct aggregate_options options = { .by = { "command" }, .by_count = 1, .top = 4 };
	CLEANUP(aggregate) struct aggregate *aggregate = begin(&options);
	static const char *const names[] = { "d", "a", "c", "ab", "e" };
	struct aggregate_result result;
	struct query query;

	(void)state;
	world_begin(8 << 20, 7);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct fixture_connection record = { .header.timestamp = 1 };

		strcpy(record.header.command, names[i]);
		store_append(world.store, 0, &record, sizeof(record));
	}
	store_publish(world.store, 0);
	query = world_question(0);
	ask(aggregate, &query);
	result = finish(aggregate);
	assert_int_equal(result.group_count, 4);
	for (size_t i = 0; i < 4; i++) {
		BUFFER text = BUFFER_INIT;

		assert_int_equal(aggregate_key(aggregate, result.groups[i].number, 0, &text),
				 VALUE_TEXT);
		assert_int_equal(text.length, i == 1 ? 2 : 1);
		assert_memory_equal(text.data,
				    i == 0   ? "a"
				    : i == 1 ? "ab"
				    : i == 2 ? "c"
					     : "d",
				    text.length);
	}
	assert_int_equal(result.other.count, 1);
	query_fini(&query);
}

/* ---- more groups than there is room for ---- */

/* Event `number` of process `pid`. */
static void append_of(uint64_t number, uint32_t pid)
{
	struct fixture_connection record = {
		.header = { .timestamp = 1000000 + number, .pid = pid, .command = "many" },
		.duration_ns = number,
	};

	store_append(world.store, 0, &record, offsetof(struct fixture_connection, return_code));
}

static void check_sums(const struct aggregate_result *result, uint64_t events, uint32_t buckets)
{
	uint64_t count = result->other.count;

	for (size_t i = 0; i < result->group_count; i++)
		count += result->groups[i].figures.count;
	assert_int_equal(result->total.count, events);
	assert_int_equal(count, events);
	for (uint32_t b = 0; b < buckets; b++) {
		count = result->other.counts[b];
		for (size_t i = 0; i < result->group_count; i++)
			count += result->groups[i].figures.counts[b];
		assert_int_equal(result->total.counts[b], count);
		events -= count;
	}
	assert_int_equal(buckets ? events : 0, 0);
}

enum { CROWD = 70001, LARGE = 5, REPEATS = 11 };

/* CROWD processes with one event each, LARGE of them with REPEATS more. */
static uint64_t append_crowd(void)
{
	uint64_t number = 0;

	for (uint32_t pid = 0; pid < CROWD; pid++)
		append_of(number++, pid);
	for (uint32_t i = 0; i < LARGE * REPEATS; i++)
		append_of(number++, i % LARGE);
	store_publish(world.store, 0);
	return number;
}

static void test_more_groups_than_are_told_apart(void **state)
{
	struct aggregate_options options = {
		.by = { "pid" },
		.by_count = 1,
		.of = { "duration_ns" },
		.top = 7,
		.width = 1000,
	};
	struct query query;
	uint64_t events;

	(void)state;
	world_begin(64 << 20, 8);
	events = append_crowd();
	query = world_question(0);
	for (int round = 0; round < 3; round++) {
		CLEANUP(aggregate) struct aggregate *aggregate = NULL;
		struct aggregate_result result;

		options.buckets = round ? 100 : 0;
		options.of_count = round == 2;
		options.start = 1000000;
		aggregate = begin(&options);
		ask(aggregate, &query);
		result = finish(aggregate);
		assert_false(result.exact);
		assert_int_equal(result.total_groups, KEYS_MAX_GROUPS);
		assert_int_equal(result.group_count, 7);
		assert_int_equal(result.rounds, round ? 2 : 1);
		check_sums(&result, events, options.buckets);
		for (uint32_t i = 0; i < LARGE; i++)
			assert_int_equal(result.groups[i].figures.count, REPEATS + 1);
		assert_int_equal(result.groups[LARGE].figures.count, 1);
		if (options.of_count)
			assert_true(result.total.values[0].sum ==
				    (__int128)events * (events - 1) / 2);
	}
	query_fini(&query);
}

/* Fewer groups than can be told apart, but more than can have details: the answer is exact, in two
 * rounds. */
static void test_two_rounds(void **state)
{
	const struct aggregate_options options = {
		.by = { "pid", "uid" },
		.by_count = 2,
		.of = { "duration_ns" },
		.of_count = 1,
		.top = 1000,
		.buckets = 100,
		.start = 1000000,
		.width = 211,
	};
	CLEANUP(aggregate) struct aggregate *aggregate = NULL;
	struct aggregate_result result;
	struct query query;
	uint64_t number = 0;

	(void)state;
	world_begin(64 << 20, 9);
	for (uint32_t pid = 0; pid < 20011; pid++) {
		for (uint32_t i = 0; i <= (pid % 19 ? 0 : pid % 101); i++)
			append_of(number++, pid);
	}
	store_publish(world.store, 0);
	query = world_question(0);
	aggregate = begin(&options);
	ask(aggregate, &query);
	result = finish(aggregate);
	assert_true(result.exact);
	assert_int_equal(result.rounds, 2);
	assert_int_equal(result.total_groups, 20011);
	check_sums(&result, number, options.buckets);
	for (size_t i = 0; i < result.group_count; i++) {
		const struct aggregate_figures *figures = &result.groups[i].figures;
		__int128 median;

		assert_int_equal(figures->values[0].count, figures->count);
		/* A process has its numbers one after the other. */
		assert_true(figures->values[0].maximum - figures->values[0].minimum + 1 ==
			    (__int128)figures->count);
		assert_true(distribution_percentile(&figures->values[0], 50, &median));
		assert_true(!i || figures->count <= result.groups[i - 1].figures.count);
	}
	assert_int_equal(result.groups[0].figures.count, 101);
	query_fini(&query);
}

/* Groups have room, but not the slots of their percentiles: those that are shown have them. */
static void test_slots_run_out(void **state)
{
	const struct aggregate_options options = {
		.by = { "pid" },
		.by_count = 1,
		.of = { "duration_ns" },
		.of_count = 1,
		.top = 3,
	};
	CLEANUP(aggregate) struct aggregate *aggregate = begin(&options);
	struct aggregate_result result;
	struct query query;

	(void)state;
	world_begin(64 << 20, 11);
	for (uint64_t size = 1; size <= 1000000; size *= 100) {
		for (uint32_t pid = 0; pid < 15013; pid++)
			append_of(size, pid);
	}
	append_of(10, 15012);
	store_publish(world.store, 0);
	query = world_question(0);
	ask(aggregate, &query);
	result = finish(aggregate);
	assert_int_equal(result.rounds, 2);
	assert_true(result.exact);
	assert_int_equal(result.groups[0].figures.count, 5);
	for (size_t i = 0; i < 3; i++) {
		__int128 median;

		assert_true(
			distribution_percentile(&result.groups[i].figures.values[0], 50, &median));
		assert_true(median == 100);
	}
	assert_true(distribution_percentile(&result.total.values[0], 100, &(__int128){ 0 }));
	query_fini(&query);
}

/* The oldest blocks go while the first round is over and the second is not: figures are all of
 * the second one. */
static void test_evictions_between_rounds(void **state)
{
	const struct aggregate_options options = {
		.by = { "pid" },
		.by_count = 1,
		.of = { "duration_ns" },
		.of_count = 1,
		.top = 3,
		.buckets = 900,
		.start = 1000000,
		.width = 100,
	};
	CLEANUP(aggregate) struct aggregate *aggregate = NULL;
	struct aggregate_result result;
	uint64_t number = 0, before;
	struct query query;

	(void)state;
	world_begin(1 << 20, 10);
	while (number < 30011) {
		append_of(number, (uint32_t)number % 9001);
		number++;
	}
	store_publish(world.store, 0);
	before = number - world_first_held(0);
	query = world_question(0);
	aggregate = begin(&options);
	aggregate_add_store(aggregate, world.store, &query);
	assert_true(aggregate_again(aggregate));
	for (uint64_t i = 0; i < before / 2; i++)
		append_of(number + i, 1);
	store_publish(world.store, 0);
	aggregate_add_store(aggregate, world.store, &query);
	assert_false(aggregate_again(aggregate));
	result = finish(aggregate);
	assert_true(world_first_held(0) > number - before);
	check_sums(&result, number - world_first_held(0), options.buckets);
	query_fini(&query);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_each_field),
		cmocka_unit_test(test_random_questions),
		cmocka_unit_test(test_random_questions_with_evictions),
		cmocka_unit_test(test_a_time_that_is_wrong),
		cmocka_unit_test(test_a_start_before_the_boot),
		cmocka_unit_test(test_equal_groups_by_key),
		cmocka_unit_test(test_more_groups_than_are_told_apart),
		cmocka_unit_test(test_two_rounds),
		cmocka_unit_test(test_slots_run_out),
		cmocka_unit_test(test_evictions_between_rounds),
	};

	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
