/* SPDX-License-Identifier: MIT */
/* "zero:null": shown as null, and null to filters, in records, rows and columns. */
#include "demo_stream.h"

#include "schema/filter.h"
#include "store/query.h"

#define EVENTS 20011 /* sealed blocks and open rows */

struct absent_record {
	uint64_t timestamp;
	uint32_t pid, tid, uid, reserved;
	uint64_t cgroup_id;
	char command[16];
	uint32_t number, reason;
	char text[16];
	uint8_t ip[16];
};

/* Every third event has nothing. */
static struct absent_record record_of(uint32_t i)
{
	struct absent_record record = { .timestamp = 1000 + i, .pid = 7, .command = "absent" };

	if (i % 3 == 0)
		return record;
	record.number = i;
	record.reason = 1 + i % 2;
	snprintf(record.text, sizeof(record.text), "text%u", i % 5);
	memcpy(record.ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1", 16);
	return record;
}

static const struct {
	const char *field, *expression;
	bool with, without; /* passes events that have a value, and those that have none */
} cases[] = {
	{ "number", "0..", true, false },
	{ "number", "..4294967295", true, false },
	{ "number", "0", false, false },
	{ "number", "!0", true, true },
	{ "number", "!1..", false, true },
	{ "reason", "*", true, false },
	{ "reason", "!FIRST,SECOND", false, true },
	{ "reason_code", "0..2", true, false },
	{ "text", "*", true, false },
	{ "text", "!text*", false, true },
	{ "ip", "::/0", true, false },
	{ "ip", "!10.0.0.1", false, true },
};

static struct program_schema *schema;
static const struct stream_schema *stream;

static int read_schema(void **state)
{
	(void)state;
	schema = schema_read(TEST_OBJECT_DIR, "schema_absent", "absent", NULL);
	stream = &schema->streams[0];
	return 0;
}

static int free_schema(void **state)
{
	(void)state;
	program_schema_free(schema);
	return 0;
}

static struct filter filter_of(const char *name, const char *expression)
{
	const struct field *field = stream_schema_field(stream, name);
	struct filter filter = { NULL, 0 };
	char error[256] = "";

	assert_non_null(field);
	if (filter_add(&filter, stream, field, expression, NULL, NULL, error, sizeof(error)))
		fail_msg("%s=%s: %s", name, expression, error);
	return filter;
}

static void is_shown_as_null(void **state)
{
	struct absent_record record = record_of(0);
	struct event event = { .schema = stream,
			       .record = (const uint8_t *)&record,
			       .length = sizeof(record) };
	struct encoding encoding = { 0 };
	BUFFER out = BUFFER_INIT;
	struct json json;
	FREE char *text = NULL;

	(void)state;
	json_init(&json, &out);
	event_encode_json(&event, &encoding, &json);
	text = buffer_take_string(&out);
	assert_non_null(strstr(text, "\"number\":null,\"reason\":null,\"reason_code\":null,"
				     "\"text\":null,\"ip\":null"));
}

static void is_null_to_filters(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct filter filter = filter_of(cases[i].field, cases[i].expression);

		for (uint32_t j = 0; j < 6; j++) {
			struct absent_record record = record_of(j);
			bool passes = filter_match(&filter, stream, (const uint8_t *)&record,
						   sizeof(record));

			if (passes != (j % 3 ? cases[i].with : cases[i].without))
				fail_msg("%s=%s at %u", cases[i].field, cases[i].expression, j);
		}
		filter_fini(&filter);
	}
}

static void is_null_in_columns(void **state)
{
	struct store *store = store_new(16 << 20);
	uint32_t with = 0;

	(void)state;
	assert_int_equal(store_add_stream(store, stream), 0);
	for (uint32_t i = 0; i < EVENTS; i++) {
		struct absent_record record = record_of(i);

		store_append(store, 0, &record, sizeof(record));
		with += i % 3 != 0;
	}
	store_publish(store, 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct query_stream asked = {
			.filter = filter_of(cases[i].field, cases[i].expression),
		};
		struct query query = { .streams = &asked, .stream_count = 1, .until = UINT64_MAX };
		struct query_result result;

		assert_int_equal(query_run(store, &query, &result), 0);
		if (result.total !=
		    (cases[i].with ? with : 0) + (cases[i].without ? EVENTS - with : 0))
			fail_msg("%s=%s: %llu of %u", cases[i].field, cases[i].expression,
				 (unsigned long long)result.total, EVENTS);
		query_result_fini(&result);
		filter_fini(&asked.filter);
	}
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_shown_as_null),
		cmocka_unit_test(is_null_to_filters),
		cmocka_unit_test(is_null_in_columns),
	};

	return cmocka_run_group_tests(tests, read_schema, free_schema);
}
