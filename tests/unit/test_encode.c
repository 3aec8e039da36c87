/* SPDX-License-Identifier: MIT */
/* Events as JSON, and the values of fields. */
#include "encode_fixture.h"

#include <arpa/inet.h>
#include <sys/mman.h>

#include "base/text.h"
#include "schema/kernel.h"

static void json_says_everything_in_order(void **state)
{
	static const char expected[] =
		"{\"id\":\"" ID_OF_FILL "\",\"type\":\"demo\",\"pid\":4294967295,\"tid\":12,"
		"\"uid\":1000,\"command\":\"sh\",\"timestamp\":123456789012,"
		"\"time\":\"2023-11-14T22:15:23.456789012Z\",\"cgroup_id\":9007199254740993,"
		"\"duration\":18446744073709551615,\"delta\":-9223372036854775808,"
		"\"location\":\"0xffffffff81000010\",\"flags\":\"0xabc\",\"size\":1500,"
		"\"result\":-111,\"error\":\"ECONNREFUSED\",\"color\":\"GREEN\",\"color_code\":2,"
		"\"level\":-1,\"state\":\"9\",\"nameless\":\"5\",\"ok\":true,\"kind\":4,"
		"\"small\":-300,\"alone\":\"ONE\",\"mac\":\"52:54:00:ab:cd:ef\","
		"\"ip4\":\"127.0.0.1\",\"gated\":null,\"itself\":null,\"ip\":\"1.2.3.255\","
		"\"port\":443,\"endpoint\":\"1.2.3.255:443\","
		"\"digest\":\"deadbeef00000000000000000000000000000000\","
		"\"token\":\"000ff0ff\",\"list\":[-1,0,32767],\"wide\":[0,18446744073709551615],"
		"\"inner_ip\":\"2001:db8::\",\"inner_port\":53,"
		"\"inner_address\":\"[2001:db8::]:53\",\"inner_kind\":3,\"inner_only_inner\":31,"
		"\"inner_only_outer\":null,\"anonymous_member\":32,\"path\":null,\"last\":33}";
	uint8_t record[DEMO_RECORD_SIZE];
	struct event event;

	(void)state;
	fill(record);
	event = event_of(record, sizeof(record));
	FREE char *json = json_of(&event, &plain);
	assert_string_equal(json, expected);
}

static void json_of_a_short_record_has_nulls(void **state)
{
	uint8_t record[DEMO_RECORD_SIZE];
	struct event event;

	(void)state;
	fill(record);
	event = event_of(record, 48);
	FREE char *json = json_of(&event, &plain);
	json_t *tree = json_loads(json, 0, NULL);
	assert_non_null(tree);
	assert_int_equal(json_integer_value(json_object_get(tree, "tid")), 12);
	for (size_t i = HEADER_FIELDS; i < stream->field_count; i++)
		if (!stream->fields[i].hidden)
			assert_true(json_is_null(json_object_get(tree, stream->fields[i].name)));
	json_decref(tree);
}

static void large_integers_can_be_strings(void **state)
{
	struct encoding encoding = plain;
	uint8_t record[DEMO_RECORD_SIZE];
	struct event event;

	(void)state;
	encoding.integers_as_strings = true;
	fill(record);
	event = event_of(record, sizeof(record));
	FREE char *json = json_of(&event, &encoding);
	assert_non_null(strstr(json, "\"timestamp\":\"123456789012\",\"time\""));
	assert_non_null(strstr(json, "\"cgroup_id\":\"9007199254740993\","));
	assert_non_null(strstr(json, "\"delta\":\"-9223372036854775808\","));
	assert_non_null(strstr(json, "\"wide\":[\"0\",\"18446744073709551615\"]"));
	assert_non_null(strstr(json, "\"pid\":4294967295,"));
	assert_non_null(strstr(json, "\"list\":[-1,0,32767]"));
}

static void timestamp_can_be_text(void **state)
{
	struct encoding encoding = plain;
	uint8_t record[DEMO_RECORD_SIZE];
	struct event event;

	(void)state;
	encoding.timestamp_as_text = true;
	fill(record);
	event = event_of(record, sizeof(record));
	FREE char *json = json_of(&event, &encoding);
	assert_non_null(strstr(json, "\"timestamp\":\"2023-11-14T22:15:23.456789012Z\","
				     "\"wall_time\":\"2023-11-14T22:15:23.456789012Z\","
				     "\"timestamp_ns\":123456789012,"
				     "\"time\":\"2023-11-14T22:15:23.456789012Z\","));
	encoding.integers_as_strings = true;
	free(json);
	json = json_of(&event, &encoding);
	assert_non_null(strstr(json, "\"timestamp_ns\":\"123456789012\","));
}

static void text_of_processes_is_escaped(void **state)
{
	static const struct {
		const char *text, *json;
	} cases[] = {
		{ "", "" },
		{ "a\"b\\c", "a\\\"b\\\\c" },
		{ "\n\t\x01\x1b[31m", "\\n\\t\\u0001\\u001b[31m" },
		{ "</script>&", "\\u003c/script\\u003e\\u0026" },
		{ "na\xc3\xafve", "na\xc3\xafve" },
		{ "\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\x7f", "\x7f" },
		{ "0123456789abcdef", "0123456789abcdef" }, /* no room for NUL */
		{ "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01",
		  "\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001"
		  "\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001" },
	};
	uint8_t record[DEMO_RECORD_SIZE];
	char expected[256];

	(void)state;
	fill(record);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct event event = event_of(record, sizeof(record));

		set_text(stream, record, "command", cases[i].text);
		FREE char *json = json_of(&event, &plain);
		snprintf(expected, sizeof(expected), "\"command\":\"%s\",\"timestamp\"",
			 cases[i].json);
		if (!strstr(json, expected))
			fail_msg("%s is not in %s", expected, json);
	}
}

static void events_of_an_array_have_commas(void **state)
{
	uint8_t record[DEMO_RECORD_SIZE];
	BUFFER out = BUFFER_INIT;
	struct json json;
	struct event event;

	(void)state;
	fill(record);
	event = event_of(record, sizeof(record));
	json_init(&json, &out);
	json_array_begin(&json);
	for (int i = 0; i < 3; i++)
		event_encode_json(&event, &plain, &json);
	json_array_end(&json);
	json_t *tree = json_loadb(out.data, out.length, JSON_DECODE_INT_AS_REAL, NULL);
	assert_int_equal(json_array_size(tree), 3);
	json_decref(tree);
}

/* What was made by hand has no plan, and is encoded the same. */
static void a_schema_without_plan_is_encoded_the_same(void **state)
{
	struct stream_schema by_hand = *stream;
	uint8_t record[DEMO_RECORD_SIZE];
	struct event event;

	(void)state;
	fill(record);
	event = event_of(record, sizeof(record));
	FREE char *first = json_of(&event, &plain);
	by_hand.plan = NULL;
	event.schema = &by_hand;
	FREE char *second = json_of(&event, &plain);
	assert_string_equal(first, second);
}

/* A field's JSON value says the same as its text. */
static void assert_same(const struct event *event, const struct field *field, const json_t *value)
{
	FREE char *text = text_of(event, field->name, &plain);

	if (field_is_null(stream, field, event->record, event->length)) {
		assert_true(json_is_null(value));
		assert_string_equal(text, "");
	} else if (json_is_string(value)) {
		size_t length = strlen(text), at = 0;

		while (at < length && text_utf8_sequence(text + at, length - at))
			at += text_utf8_sequence(text + at, length - at);
		if (at == length)
			assert_string_equal(text, json_string_value(value));
	} else if (json_is_integer(value)) {
		assert_int_equal((uint64_t)json_integer_value(value),
				 (uint64_t)strtoll(text, NULL, 10));
	} else if (json_is_boolean(value)) {
		assert_string_equal(text, json_is_true(value) ? "true" : "false");
	} else {
		assert_true(json_is_array(value) || json_is_real(value));
	}
}

static void any_record_gives_valid_json(void **state)
{
	uint8_t record[DEMO_RECORD_SIZE];
	uint64_t seed = 0x2545f4914f6cdd1d;
	struct encoding encoding = plain;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct event event;
		json_error_t error;
		json_t *tree;

		random_record(stream, &seed, record);
		event = event_of(record, random_length(&seed));
		/* Larger numbers than jansson's come in as strings. */
		encoding.integers_as_strings = true;
		FREE char *json = json_of(&event, &encoding);
		tree = json_loads(json, JSON_REJECT_DUPLICATES, &error);
		if (!tree)
			fail_msg("%s in %s", error.text, json);
		for (size_t f = 0; f < stream->field_count; f++) {
			const struct field *field = &stream->fields[f];

			if (field->hidden)
				assert_null(json_object_get(tree, field->name));
			else
				assert_same(&event, field, json_object_get(tree, field->name));
		}
		json_decref(tree);
	}
}

/* ---- addresses ---- */

static void ip_text_follows_rfc_5952(void **state)
{
	static const struct {
		const char *bytes, *text;
	} cases[] = {
		{ "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "::" },
		{ "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", "::1" },
		{ "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", "2001:db8::1" },
		/* 4.2.2: one group alone is not shortened. */
		{ "\x20\x01\x0d\xb8\0\0\0\1\0\1\0\1\0\1\0\1", "2001:db8:0:1:1:1:1:1" },
		/* 4.2.3: the longest run, and the first of equal ones. */
		{ "\x20\x01\0\0\0\0\0\1\0\0\0\0\0\0\0\1", "2001:0:0:1::1" },
		{ "\x20\x01\x0d\xb8\0\0\0\0\0\1\0\0\0\0\0\1", "2001:db8::1:0:0:1" },
		{ "\0\1\0\2\0\3\0\4\0\5\0\6\0\0\0\0", "1:2:3:4:5:6::" },
		{ "\0\0\0\0\0\3\0\4\0\5\0\6\0\7\0\x08", "::3:4:5:6:7:8" },
		/* 4.3: lower case, no leading zeros. */
		{ "\xab\xcd\x0e\xf0\x00\x12\x00\x0a\xff\xff\x10\x00\x01\x00\x00\x01",
		  "abcd:ef0:12:a:ffff:1000:100:1" },
		{ "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\xc8", "10.0.0.200" },
		{ "\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0", "0.0.0.0" },
		{ "\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff", "255.255.255.255" },
	};
	char text[IP_TEXT_SIZE + 1], again[IP_TEXT_SIZE + 1];
	uint64_t seed = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		*put_ip(text, (const uint8_t *)cases[i].bytes, 16) = '\0';
		assert_string_equal(text, cases[i].text);
	}
	for (int i = 0; i < 20000; i++) {
		uint64_t bits[2] = { random_number(&seed), random_number(&seed) };
		uint8_t bytes[16], parsed[16];

		memcpy(bytes, bits, sizeof(bytes));
		for (size_t group = 0; group < 8; group++)
			if (random_number(&seed) % 2)
				bytes[group * 2] = bytes[group * 2 + 1] = 0;
		*put_ip(text, bytes, 16) = '\0';
		assert_int_equal(inet_pton(AF_INET6, text, parsed), 1);
		assert_memory_equal(parsed, bytes, sizeof(bytes));
		/* The C library shows ::a.b.c.d in a way of its own. */
		inet_ntop(AF_INET6, bytes, again, sizeof(again));
		if (!strchr(again, '.'))
			assert_string_equal(text, again);
		*put_ip(text, bytes, 4) = '\0';
		inet_ntop(AF_INET, bytes, again, sizeof(again));
		assert_string_equal(text, again);
	}
}

static void endpoints_are_address_or_path(void **state)
{
	uint8_t record[DEMO_RECORD_SIZE];
	struct event event;

	(void)state;
	fill(record);
	set_bytes(stream, record, "ip", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	event = event_of(record, sizeof(record));
	FREE char *six = text_of(&event, "endpoint", &plain);
	assert_string_equal(six, "[::1]:443");
	event.length = 139; /* the address alone */
	FREE char *alone = text_of(&event, "endpoint", &plain);
	assert_string_equal(alone, "::1");
	set_number(stream, record, "kind", 1);
	set_text(stream, record, "path", "/run/a \"b\"");
	event.length = sizeof(record);
	FREE char *path = text_of(&event, "endpoint", &plain);
	assert_string_equal(path, "/run/a \"b\"");
	FREE char *json = json_of(&event, &plain);
	assert_non_null(strstr(json, "\"endpoint\":\"/run/a \\\"b\\\"\","));
	set_number(stream, record, "kind", 2);
	FREE char *neither = text_of(&event, "endpoint", &plain);
	assert_string_equal(neither, "");
}

static void symbols_have_names(void **state)
{
	static const char kallsyms[] = "ffffffff81000000 T _text\nffffffff81000100 D data\n";
	int fd = memfd_create("kallsyms", MFD_CLOEXEC);
	struct encoding encoding = plain;
	uint8_t record[DEMO_RECORD_SIZE];
	struct event event;

	(void)state;
	assert_int_equal(write(fd, kallsyms, sizeof(kallsyms) - 1), sizeof(kallsyms) - 1);
	encoding.symbols = symbols_new(fd);
	fill(record);
	event = event_of(record, sizeof(record));
	FREE char *known = text_of(&event, "location", &encoding);
	assert_string_equal(known, "_text+0x10");
	FREE char *json = json_of(&event, &encoding);
	assert_non_null(strstr(json, "\"location\":\"_text+0x10\","));
	set_number(stream, record, "location", 0xffffffff81000100);
	FREE char *unknown = text_of(&event, "location", &encoding);
	assert_string_equal(unknown, "0xffffffff81000100");
	symbols_free(encoding.symbols);
}

static void unknown_errors_are_numbers(void **state)
{
	uint8_t record[DEMO_RECORD_SIZE];
	struct event event;

	(void)state;
	fill(record);
	event = event_of(record, sizeof(record));
	set_number(stream, record, "result", (uint64_t)-512);
	FREE char *internal = text_of(&event, "error", &plain);
	assert_string_equal(internal, "ERESTARTSYS");
	set_number(stream, record, "result", (uint64_t)-4000);
	FREE char *unknown = text_of(&event, "error", &plain);
	assert_string_equal(unknown, "4000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_says_everything_in_order),
		cmocka_unit_test(json_of_a_short_record_has_nulls),
		cmocka_unit_test(large_integers_can_be_strings),
		cmocka_unit_test(timestamp_can_be_text),
		cmocka_unit_test(text_of_processes_is_escaped),
		cmocka_unit_test(events_of_an_array_have_commas),
		cmocka_unit_test(a_schema_without_plan_is_encoded_the_same),
		cmocka_unit_test(any_record_gives_valid_json),
		cmocka_unit_test(ip_text_follows_rfc_5952),
		cmocka_unit_test(endpoints_are_address_or_path),
		cmocka_unit_test(symbols_have_names),
		cmocka_unit_test(unknown_errors_are_numbers),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
