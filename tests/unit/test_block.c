/* SPDX-License-Identifier: MIT */
/* Columns hold what the rows held, in the encoding that fits, and filters see the same in both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/block.h"
#include "store_model.h"

enum { MOST_ROWS = 6007 };

static struct rows rows;
static struct block_builder *builder;
static struct block *block;
static size_t mapped;
static const struct stream_schema *schema;

static void free_block(void)
{
	block_free(block, mapped);
	block = NULL;
}

static int setup(void **state)
{
	(void)state;
	builder = block_builder_new(MOST_ROWS);
	rows = (struct rows){
		.data = calloc(MOST_ROWS, sizeof(struct fixture_connection)),
		.lengths = calloc(MOST_ROWS, sizeof(uint16_t)),
		.capacity = MOST_ROWS,
	};
	return builder && rows.data && rows.lengths ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free_block();
	block_builder_free(builder);
	free(rows.data);
	free(rows.lengths);
	return 0;
}

static void begin(const struct stream_schema *of)
{
	free_block();
	schema = of;
	rows.stride = of->record_size;
	rows.count = 0;
}

static const uint8_t *row(uint32_t number)
{
	return rows.data + (size_t)number * rows.stride;
}

static void add(const void *record, uint32_t length)
{
	uint8_t *at = rows.data + (size_t)rows.count * rows.stride;

	/* What a record does not reach has old bytes in it, as in the store. */
	memset(at, 0xa5, rows.stride);
	memcpy(at, record, length);
	rows.lengths[rows.count++] = (uint16_t)length;
}

static uint64_t row_time(uint32_t number)
{
	uint64_t timestamp;

	memcpy(&timestamp, row(number), sizeof(timestamp));
	return timestamp;
}

static void seal(void)
{
	struct block_place place = { .first_index = 12345, .oldest = UINT64_MAX };

	for (uint32_t i = 0; i < rows.count; i++) {
		place.oldest = row_time(i) < place.oldest ? row_time(i) : place.oldest;
		place.newest = row_time(i) > place.newest ? row_time(i) : place.newest;
	}
	free_block();
	block = block_build(builder, schema, &rows, &place, &mapped);
	assert_non_null(block);
	assert_int_equal(block->magic, BLOCK_MAGIC);
	assert_int_equal(block->rows, rows.count);
	assert_int_equal(block->first_index, 12345);
	assert_int_equal(block->oldest, place.oldest);
	assert_int_equal(block->newest, place.newest);
	assert_int_equal(mapped % (size_t)sysconf(_SC_PAGESIZE), 0);
	assert_true(block->bytes <= mapped);
	assert_true(mapped <= block_bound(schema, rows.count));
}

static void assert_rows_same(const struct block *read)
{
	FREE uint8_t *record = malloc(schema->record_size);

	for (uint32_t i = 0; i < rows.count; i++) {
		uint32_t length = block_row(read, schema, i, record);

		assert_true(model_same_record(schema, record, length, row(i), rows.lengths[i]));
	}
}

static void add_connections(struct fixture_random *random, uint32_t count, uint32_t processes)
{
	struct fixture_connection event;

	begin(&fixture_connection_schema);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t length =
			fixture_connection_event(random, 1000000 + i * 977ULL, processes, &event);

		add(&event, length);
	}
}

static void add_misc(struct fixture_random *random, uint32_t count, uint32_t variety)
{
	struct fixture_misc event;

	begin(&fixture_misc_schema);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t length = fixture_misc_event(random, 1000000 + i * 977ULL, variety, &event);

		add(&event, length);
	}
}

static const struct column *column(uint32_t field)
{
	return &block->column[block_column_of(schema, &schema->fields[field])];
}

static void test_every_value_comes_back(void **state)
{
	static const uint32_t counts[] = { 1, 2, 63, 64, 65, 257, 1031, MOST_ROWS };
	static const uint32_t varieties[] = { 1, 2, 7, 300, 100000 };
	struct fixture_random random = { 1 };

	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
		for (size_t v = 0; v < ARRAY_SIZE(varieties); v++) {
			add_connections(&random, counts[c], varieties[v]);
			seal();
			assert_rows_same(block);
			add_misc(&random, counts[c], varieties[v]);
			seal();
			assert_rows_same(block);
		}
	}
}

static void test_a_block_can_be_moved(void **state)
{
	struct fixture_random random = { 2 };
	FREE struct block *copy = NULL;

	(void)state;
	add_misc(&random, 1009, 50);
	seal();
	/* Only what the header says that it has, as it would come from a disk; plus the slack that
	 * lets a narrow value be read as eight bytes is inside of that. */
	copy = malloc(block->bytes);
	memcpy(copy, block, block->bytes);
	assert_rows_same(copy);
}

static void test_a_storm_takes_few_bytes(void **state)
{
	struct fixture_random random = { 3 };
	struct fixture_connection event;

	(void)state;
	begin(&fixture_connection_schema);
	for (uint32_t i = 0; i < 5003; i++) {
		uint32_t length = fixture_storm_event(&random, 1000000 + i * 300ULL, &event);

		add(&event, length);
	}
	seal();
	assert_int_equal(column(HEADER_PID)->width, 0);
	assert_int_equal(column(HEADER_CGROUP_ID)->width, 0);
	assert_int_equal(column(HEADER_COMMAND)->encoding, COLUMN_DICTIONARY);
	assert_int_equal(column(HEADER_COMMAND)->entries, 1);
	assert_int_equal(column(HEADER_COMMAND)->width, 0);
	assert_int_equal(column(HEADER_TIMESTAMP)->encoding, COLUMN_INTEGER);
	assert_int_equal(column(HEADER_TIMESTAMP)->width, 3);
	assert_int_equal(column(CONNECTION_IP)->entries, 1);
	/* Nobody had a path. */
	assert_int_equal(column(CONNECTION_PATH)->entries, 0);
	assert_true(block->bytes < 8 * 5003);
}

static void test_mixed_events_take_at_most_64_bytes(void **state)
{
	struct fixture_random random = { 4 };

	(void)state;
	add_connections(&random, MOST_ROWS, 400);
	seal();
	assert_true(mapped < 64 * (size_t)MOST_ROWS);
}

static void test_integers_take_the_width_they_need(void **state)
{
	static const uint8_t expected[] = { 1, 2, 3, 4, 5, 6, 8, 8 };
	struct fixture_random random = { 5 };

	(void)state;
	for (uint32_t bytes = 1; bytes <= 8; bytes++) {
		const uint64_t span = UINT64_MAX >> (64 - 8 * bytes);
		struct fixture_misc event = { .header.command = "width" };

		begin(&fixture_misc_schema);
		for (uint32_t i = 0; i < 500; i++) {
			uint64_t value = i ? fixture_next(&random) & span : span;

			/* Signed values round the middle, unsigned ones from the start. */
			event.balance = (int64_t)(value - span / 2 - 1);
			event.location = i == 1 ? 0 : value;
			event.header.timestamp = i == 1			   ? 77
						 : value > UINT64_MAX - 77 ? value
									   : value + 77;
			add(&event, sizeof(event));
		}
		seal();
		assert_rows_same(block);
		assert_int_equal(column(HEADER_TIMESTAMP)->width, expected[bytes - 1]);
		assert_int_equal(column(MISC_LOCATION)->encoding, COLUMN_INTEGER);
		assert_int_equal(column(MISC_LOCATION)->width, expected[bytes - 1]);
		assert_true(column(MISC_LOCATION)->base == 0);
		assert_true(column(MISC_LOCATION)->maximum == span);
	}
}

static void test_dictionaries_take_the_code_they_need(void **state)
{
	static const struct {
		uint32_t values, width;
	} cases[] = { { 1, 0 }, { 2, 1 }, { 255, 1 }, { 256, 1 }, { 257, 2 }, { 1500, 2 } };

	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		struct fixture_connection event = { .header.timestamp = 1 };

		begin(&fixture_connection_schema);
		for (uint32_t i = 0; i < MOST_ROWS; i++) {
			uint32_t value = i % cases[c].values;

			event.address_family = FIXTURE_INET;
			memcpy(event.destination_ip + 12, &value, sizeof(value));
			event.header.cgroup_id = 1000003ULL * value * value + 7;
			add(&event, sizeof(event));
		}
		seal();
		assert_rows_same(block);
		assert_int_equal(column(CONNECTION_IP)->encoding, COLUMN_DICTIONARY);
		assert_int_equal(column(CONNECTION_IP)->entries, cases[c].values);
		assert_int_equal(column(CONNECTION_IP)->width, cases[c].width);
		/* A wide integer with few values has a dictionary too. */
		if (cases[c].values > 256)
			continue;
		assert_int_equal(column(HEADER_CGROUP_ID)->encoding,
				 cases[c].values == 1 ? COLUMN_INTEGER : COLUMN_DICTIONARY);
		assert_int_equal(column(HEADER_CGROUP_ID)->width, cases[c].width);
	}
}

static void test_values_that_all_differ_stay_as_they_are(void **state)
{
	struct fixture_random random = { 6 };
	struct fixture_connection event = { .address_family = FIXTURE_INET6 };

	(void)state;
	begin(&fixture_connection_schema);
	for (uint32_t i = 0; i < 2003; i++) {
		uint64_t value = fixture_next(&random);

		memcpy(event.destination_ip, &value, sizeof(value));
		memcpy(event.destination_path + 40, &value, sizeof(value));
		memset(event.destination_path, 'x', 40);
		event.header.cgroup_id = value;
		add(&event, sizeof(event));
	}
	seal();
	assert_rows_same(block);
	assert_int_equal(column(CONNECTION_IP)->encoding, COLUMN_BYTES);
	assert_int_equal(column(CONNECTION_PATH)->encoding, COLUMN_BYTES);
	assert_int_equal(column(HEADER_CGROUP_ID)->encoding, COLUMN_INTEGER);
}

static void test_bytes_behind_a_text_are_not_part_of_it(void **state)
{
	struct fixture_random random = { 7 };
	struct fixture_misc event = { .header.timestamp = 1 };
	uint8_t record[sizeof(event)];

	(void)state;
	begin(&fixture_misc_schema);
	for (uint32_t i = 0; i < 1000; i++) {
		memset(event.header.command, (int)(1 + fixture_below(&random, 255)), 16);
		memset(event.note, (int)(1 + fixture_below(&random, 255)), sizeof(event.note));
		strcpy(event.header.command, i % 2 ? "eight888" : "seven77");
		strcpy(event.note, i % 3 ? "" : "a longer text of its own");
		add(&event, sizeof(event));
	}
	seal();
	assert_int_equal(column(HEADER_COMMAND)->entries, 2);
	assert_int_equal(column(MISC_NOTE)->entries, 2);
	block_row(block, schema, 0, record);
	assert_memory_equal(((struct fixture_misc *)record)->header.command,
			    "seven77\0\0\0\0\0\0\0\0", 16);
}

static void test_nulls_cost_no_width_and_match_nothing(void **state)
{
	struct fixture_misc event = { .header = { .timestamp = 5, .command = "short" } };
	struct filter zero = model_filter_range(MISC_BALANCE, 0, UINT64_MAX);
	uint64_t bits[2];

	(void)state;
	begin(&fixture_misc_schema);
	for (uint32_t i = 0; i < 70; i++)
		add(&event, sizeof(event.header));
	seal();
	assert_rows_same(block);
	assert_int_equal(column(MISC_BALANCE)->width, 0);
	assert_true(column(MISC_BALANCE)->base > column(MISC_BALANCE)->maximum);
	assert_true(block_excludes(block, schema, &zero));
	block_filter(block, schema, &zero, 0, 70, bits);
	assert_true(!bits[0] && !bits[1]);
	zero.predicates[0].negate = true;
	assert_false(block_excludes(block, schema, &zero));
	block_filter(block, schema, &zero, 0, 70, bits);
	assert_true(bits[0] == UINT64_MAX && bits[1] == 63);

	/* One row that has the value: the others still cost nothing. */
	event.balance = -1000000;
	add(&event, sizeof(event));
	seal();
	assert_rows_same(block);
	assert_int_equal(column(MISC_BALANCE)->width, 0);
	zero.predicates[0].negate = false;
	block_filter(block, schema, &zero, 0, 71, bits);
	assert_true(!bits[0] && bits[1] == 64);
	filter_fini(&zero);
}

/* Bits of rows [from, to) against the model. */
static uint32_t assert_bits(const struct filter *filter, uint32_t from, uint32_t to,
			    const uint64_t *bits)
{
	uint32_t passing = 0;

	for (uint32_t i = from; i < to; i++) {
		bool passes = bits[(i - from) / 64] >> (i - from) % 64 & 1;

		assert_int_equal(passes, model_match(filter, schema, row(i), rows.lengths[i]));
		passing += passes;
	}
	if ((to - from) % 64)
		assert_int_equal(bits[(to - from) / 64] >> (to - from) % 64, 0);
	return passing;
}

static uint32_t check_filter(struct fixture_random *random)
{
	const uint32_t example = (uint32_t)fixture_below(random, rows.count);
	uint32_t from = (uint32_t)fixture_below(random, rows.count);
	uint32_t to = from + 1 + (uint32_t)fixture_below(random, rows.count - from);
	FREE uint8_t *record = malloc(schema->record_size);
	uint64_t bits[MOST_ROWS / 64 + 1];
	struct filter filter;
	uint32_t passing;

	if (fixture_below(random, 2)) {
		from = 0;
		to = rows.count;
	}
	block_row(block, schema, example, record);
	filter = model_random_filter(random, schema, record);
	memset(bits, 0xee, sizeof(bits));
	block_filter(block, schema, &filter, from, to, bits);
	passing = assert_bits(&filter, from, to, bits);
	if (block_excludes(block, schema, &filter)) {
		assert_int_equal(passing, 0);
		passing = UINT32_MAX;
	}
	memset(bits, 0xee, sizeof(bits));
	rows_filter(&rows, schema, &filter, from, to, bits);
	assert_bits(&filter, from, to, bits);
	filter_fini(&filter);
	return passing;
}

static void test_filters_agree_with_the_model(void **state)
{
	struct fixture_random random = { 8 };
	uint32_t some = 0, none = 0, excluded = 0;

	(void)state;
	for (uint32_t round = 0; round < 60; round++) {
		const uint32_t count = 1 + (uint32_t)fixture_below(&random, 700);
		const uint32_t variety =
			1 + (uint32_t)fixture_below(&random, round % 3 ? 20 : 2000);

		if (round % 2)
			add_connections(&random, count, variety);
		else
			add_misc(&random, count, variety);
		seal();
		for (uint32_t i = 0; i < 60; i++) {
			uint32_t passing = check_filter(&random);

			excluded += passing == UINT32_MAX;
			none += passing == 0;
			some += passing && passing < UINT32_MAX;
		}
	}
	/* The filters said yes and no often enough for this to mean something. */
	assert_true(some > 500 && none > 100 && excluded > 100);
}

static void test_windows_of_time(void **state)
{
	struct fixture_random random = { 9 };
	uint64_t bits[MOST_ROWS / 64 + 1];

	(void)state;
	add_connections(&random, 3001, 10);
	seal();
	for (uint32_t round = 0; round < 200; round++) {
		uint64_t low = fixture_below(&random, 2 * row_time(3000));
		uint64_t high = low + fixture_below(&random, 1000000);
		const uint32_t from = (uint32_t)fixture_below(&random, 3000);

		low = round % 10 ? low : 0;
		high = round % 7 ? high : UINT64_MAX;
		block_filter_time(block, schema, low, high, from, 3001, bits);
		for (uint32_t i = from; i < 3001; i++)
			assert_int_equal(bits[(i - from) / 64] >> (i - from) % 64 & 1,
					 row_time(i) >= low && row_time(i) <= high);
		rows_filter_time(&rows, schema, low, high, from, 3001, bits);
		for (uint32_t i = from; i < 3001; i++)
			assert_int_equal(bits[(i - from) / 64] >> (i - from) % 64 & 1,
					 row_time(i) >= low && row_time(i) <= high);
	}
}

static void test_summaries_exclude(void **state)
{
	struct fixture_random random = { 10 };
	struct filter absent[] = {
		model_filter_range(HEADER_PID, 1001, 1001), /* between two that are there */
		model_filter_range(HEADER_PID, 99999, UINT64_MAX),
		model_filter_text(HEADER_COMMAND, "nobody"),
		model_filter_range(HEADER_TIMESTAMP, 0, 999999),
		model_filter_range(CONNECTION_RETURN_CODE, (1ULL << 63) + 1, UINT64_MAX),
	};
	struct filter present = model_filter_text(HEADER_COMMAND, "curl");

	(void)state;
	add_connections(&random, 4001, 60);
	seal();
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
		assert_true(block_excludes(block, schema, &absent[i]));
		filter_fini(&absent[i]);
	}
	assert_false(block_excludes(block, schema, &present));
	filter_fini(&present);
}

static void test_no_more_rows_than_promised(void **state)
{
	CLEANUP(block_builder) struct block_builder *small = block_builder_new(10);
	const struct block_place place = { .oldest = 0 };
	struct fixture_random random = { 11 };

	(void)state;
	add_connections(&random, 11, 3);
	assert_null(block_build(small, schema, &rows, &place, &mapped));
	rows.count = 0;
	assert_null(block_build(small, schema, &rows, &place, &mapped));
	assert_int_equal(block_column_of(schema, &schema->fields[CONNECTION_ERROR]), -1);
	block_free(NULL, 0);
	block_builder_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_value_comes_back),
		cmocka_unit_test(test_a_block_can_be_moved),
		cmocka_unit_test(test_a_storm_takes_few_bytes),
		cmocka_unit_test(test_mixed_events_take_at_most_64_bytes),
		cmocka_unit_test(test_integers_take_the_width_they_need),
		cmocka_unit_test(test_dictionaries_take_the_code_they_need),
		cmocka_unit_test(test_values_that_all_differ_stay_as_they_are),
		cmocka_unit_test(test_bytes_behind_a_text_are_not_part_of_it),
		cmocka_unit_test(test_nulls_cost_no_width_and_match_nothing),
		cmocka_unit_test(test_filters_agree_with_the_model),
		cmocka_unit_test(test_windows_of_time),
		cmocka_unit_test(test_summaries_exclude),
		cmocka_unit_test(test_no_more_rows_than_promised),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
