/* SPDX-License-Identifier: MIT */
/*
 * Filter expressions, as lines "field=expression". Of each alone: "!" makes of every record the
 * other answer, and a list says what its alternatives say. Of all together: the store finds in its
 * columns and rows what is found record by record.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fuzz.h"
#include "store/block.h"
#include "store/query.h"

#define LINES_MAX 8

static const struct stream_schema *stream;
static struct store *store;

/* Returns 0, or -EINVAL with a line that says why. */
static int add(struct filter *filter, const struct field *field, const char *expression)
{
	char error[256] = "";
	bool unknown = false;
	int r = filter_add(filter, stream, field, expression, NULL, &unknown, error, sizeof(error));

	REQUIRE(!r || error[0]);
	return r;
}

static bool matches(const struct filter *filter, size_t number)
{
	uint32_t length;
	const uint8_t *record = fuzz_record(number, &length);

	return filter_match(filter, stream, record, length);
}

static void check_negation(const struct field *field, const char *expression,
			   const struct filter *filter)
{
	struct filter negated = { .count = 0 };
	size_t size = strlen(expression) + 2;
	FREE char *text = malloc(size);

	REQUIRE(text);
	text[0] = '!';
	memcpy(text + 1, expression, size - 1);
	REQUIRE(add(&negated, field, text) == 0);
	for (size_t i = 0; i < DEMO_EVENTS; i++)
		REQUIRE(matches(filter, i) != matches(&negated, i));
	filter_fini(&negated);
}

/* The next comma that is one. */
static char *alternative_end(char *text)
{
	for (; *text && *text != ','; text++) {
		if (*text == '\\' && text[1])
			text++;
	}
	return text;
}

static void check_alternatives(const struct field *field, const char *expression,
			       const struct filter *filter)
{
	bool any[DEMO_EVENTS] = { false };
	FREE char *list = strdup(expression);

	REQUIRE(list);
	for (char *item = list, *end; item; item = end) {
		struct filter alone = { .count = 0 };

		end = alternative_end(item);
		end = *end ? (*end = '\0', end + 1) : NULL;
		if (*item == '!') /* alone it would mean something else */
			return;
		REQUIRE(add(&alone, field, item) == 0);
		for (size_t i = 0; i < DEMO_EVENTS; i++)
			any[i] |= matches(&alone, i);
		filter_fini(&alone);
	}
	for (size_t i = 0; i < DEMO_EVENTS; i++)
		REQUIRE(matches(filter, i) == any[i]);
}

/* The same records as rows, and as the block of columns that becomes of them. */
static uint8_t rows_data[DEMO_EVENTS * SCHEMA_MAX_RECORD];
static uint16_t rows_lengths[DEMO_EVENTS];
static struct rows rows = { .data = rows_data, .lengths = rows_lengths };
static struct block *block;

static void make_block(void)
{
	const struct block_place place = { .newest = UINT64_MAX };
	CLEANUP(block_builder) struct block_builder *builder = block_builder_new(DEMO_EVENTS);
	size_t mapped;

	rows.stride = stream->record_size;
	rows.count = rows.capacity = DEMO_EVENTS;
	for (size_t i = 0; i < DEMO_EVENTS; i++) {
		uint32_t length;
		const uint8_t *record = fuzz_record(i, &length);

		memcpy(rows_data + i * rows.stride, record, length);
		rows_lengths[i] = (uint16_t)length;
	}
	REQUIRE(builder);
	block = block_build(builder, stream, &rows, &place, &mapped);
	REQUIRE(block);
}

static void check_block(const struct filter *filter)
{
	uint64_t of_block[(DEMO_EVENTS + 63) / 64], of_rows[(DEMO_EVENTS + 63) / 64];
	bool excluded = block_excludes(block, stream, filter);

	block_filter(block, stream, filter, 0, DEMO_EVENTS, of_block);
	rows_filter(&rows, stream, filter, 0, DEMO_EVENTS, of_rows);
	for (size_t i = 0; i < DEMO_EVENTS; i++) {
		bool expected = matches(filter, i);

		REQUIRE((of_block[i / 64] >> i % 64 & 1) == expected);
		REQUIRE((of_rows[i / 64] >> i % 64 & 1) == expected);
		REQUIRE(!excluded || !expected);
	}
}

static void check_query(struct filter *filter)
{
	struct query query = { .until = UINT64_MAX, .limit = DEMO_EVENTS, .want_total = true };
	struct query_result result;
	size_t expected = 0;

	for (size_t i = 0; i < DEMO_EVENTS; i++)
		expected += matches(filter, i);
	query.streams = calloc(1, sizeof(*query.streams));
	REQUIRE(query.streams);
	query.stream_count = 1;
	query.streams[0].filter = *filter;
	check_block(filter);
	*filter = (struct filter){ .count = 0 };
	REQUIRE(query_run(store, &query, &result) == 0);
	REQUIRE(result.total == expected && result.count == expected);
	query_result_fini(&result);
	query_fini(&query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct filter all = { .count = 0 };

	stream = &fuzz_schema()->streams[0];
	if (!store) {
		store = fuzz_store(1 << 20);
		make_block();
	}
	for (size_t i = 0; i < LINES_MAX && input.size; i++) {
		struct filter alone = { .count = 0 };
		FREE char *line = input_line(&input);
		char *expression = strchr(line, '=');
		const struct field *field;

		if (!expression)
			continue;
		*expression++ = '\0';
		field = stream_schema_field(stream, line);
		if (!field || add(&alone, field, expression) < 0)
			continue;
		check_block(&alone);
		if (expression[0] != '!') {
			check_negation(field, expression, &alone);
			check_alternatives(field, expression, &alone);
		}
		filter_fini(&alone);
		REQUIRE(add(&all, field, expression) == 0);
	}
	check_query(&all);
	filter_fini(&all);
	return 0;
}
