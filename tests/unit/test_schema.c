/* SPDX-License-Identifier: MIT */
#include "demo_stream.h"

#include <bpf/btf.h>
#include <errno.h>

#include "base/json.h"

static struct program_schema *demo;
static const struct stream_schema *stream;

static int set_up(void **state)
{
	(void)state;
	demo = demo_schema();
	stream = &demo->streams[0];
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	program_schema_free(demo);
	program_schema_free(NULL);
	return 0;
}

static void program_says_what_it_is(void **state)
{
	(void)state;
	assert_string_equal(demo->name, "demo");
	assert_string_equal(demo->description, "Everything at once");
	assert_true(demo->off_by_default);
	assert_int_equal(demo->stream_count, 2);
	assert_string_equal(stream->name, "demo");
	assert_string_equal(stream->description, "Described at the map");
	assert_string_equal(demo->streams[1].name, "demo_short");
	assert_string_equal(demo->streams[1].description, "Described at the struct");
	assert_int_equal(stream->record_size, DEMO_RECORD_SIZE);
	assert_int_equal(stream->minimum_size, 48);
	assert_int_equal(stream->ring_bytes, 8192);
	assert_int_equal(demo->streams[1].record_size, 56);
}

static void fields_are_as_declared(void **state)
{
	static const struct {
		const char *name;
		enum field_kind kind;
		enum field_derivation derivation;
		uint16_t offset, size, count;
		bool is_signed;
	} expected[] = {
		{ "timestamp", FIELD_INTEGER, FIELD_STORED, 0, 8, 1, false },
		{ "pid", FIELD_INTEGER, FIELD_STORED, 8, 4, 1, false },
		{ "tid", FIELD_INTEGER, FIELD_STORED, 12, 4, 1, false },
		{ "uid", FIELD_INTEGER, FIELD_STORED, 16, 4, 1, false },
		{ "cgroup_id", FIELD_INTEGER, FIELD_STORED, 24, 8, 1, false },
		{ "command", FIELD_STRING, FIELD_STORED, 32, 16, 1, false },
		{ "duration", FIELD_INTEGER, FIELD_STORED, 48, 8, 1, false },
		{ "delta", FIELD_INTEGER, FIELD_STORED, 56, 8, 1, true },
		{ "location", FIELD_SYMBOL, FIELD_STORED, 64, 8, 1, false },
		{ "flags", FIELD_HEX, FIELD_STORED, 72, 8, 1, false },
		{ "size", FIELD_INTEGER, FIELD_STORED, 80, 4, 1, false },
		{ "result", FIELD_INTEGER, FIELD_STORED, 84, 4, 1, true },
		{ "error", FIELD_ENUM, FIELD_ERRNO_OF, 84, 4, 1, true },
		{ "color", FIELD_ENUM, FIELD_STORED, 88, 4, 1, false },
		{ "color_code", FIELD_INTEGER, FIELD_NUMBER_OF, 88, 4, 1, false },
		{ "level", FIELD_INTEGER, FIELD_STORED, 92, 4, 1, true },
		{ "state", FIELD_ENUM, FIELD_STORED, 96, 4, 1, false },
		{ "nameless", FIELD_ENUM, FIELD_STORED, 100, 4, 1, false },
		{ "ok", FIELD_BOOLEAN, FIELD_STORED, 104, 1, 1, false },
		{ "kind", FIELD_INTEGER, FIELD_STORED, 105, 1, 1, false },
		{ "small", FIELD_INTEGER, FIELD_STORED, 106, 2, 1, true },
		{ "alone", FIELD_ENUM, FIELD_STORED, 108, 1, 1, false },
		{ "gate", FIELD_INTEGER, FIELD_STORED, 109, 1, 1, false },
		{ "mac", FIELD_MAC, FIELD_STORED, 111, 6, 1, false },
		{ "ip4", FIELD_IP, FIELD_STORED, 117, 4, 1, false },
		{ "gated", FIELD_INTEGER, FIELD_STORED, 121, 1, 1, false },
		{ "itself", FIELD_INTEGER, FIELD_STORED, 122, 1, 1, false },
		{ "ip", FIELD_IP, FIELD_STORED, 123, 16, 1, false },
		{ "port", FIELD_INTEGER, FIELD_STORED, 140, 2, 1, false },
		{ "endpoint", FIELD_IP, FIELD_ENDPOINT_OF, 123, 16, 1, false },
		{ "digest", FIELD_BYTES, FIELD_STORED, 142, 20, 1, false },
		{ "token", FIELD_BYTES, FIELD_STORED, 162, 4, 1, false },
		{ "list", FIELD_INTEGER, FIELD_STORED, 166, 2, 3, true },
		{ "wide", FIELD_INTEGER, FIELD_STORED, 176, 8, 2, false },
		{ "inner_ip", FIELD_IP, FIELD_STORED, 192, 16, 1, false },
		{ "inner_port", FIELD_INTEGER, FIELD_STORED, 208, 2, 1, false },
		{ "inner_address", FIELD_IP, FIELD_ENDPOINT_OF, 192, 16, 1, false },
		{ "inner_kind", FIELD_INTEGER, FIELD_STORED, 210, 2, 1, false },
		{ "inner_only_inner", FIELD_INTEGER, FIELD_STORED, 212, 4, 1, false },
		{ "inner_only_outer", FIELD_INTEGER, FIELD_STORED, 216, 8, 1, false },
		{ "anonymous_member", FIELD_INTEGER, FIELD_STORED, 224, 4, 1, false },
		{ "path", FIELD_STRING, FIELD_STORED, 240, 40, 1, false },
		{ "last", FIELD_INTEGER, FIELD_STORED, 280, 4, 1, false },
	};

	(void)state;
	assert_int_equal(stream->field_count, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct field *field = &stream->fields[i];

		assert_string_equal(field->name, expected[i].name);
		assert_int_equal(field->index, i);
		assert_int_equal(field->kind, expected[i].kind);
		assert_int_equal(field->derivation, expected[i].derivation);
		assert_int_equal(field->offset, expected[i].offset);
		assert_int_equal(field->size, expected[i].size);
		assert_int_equal(field->count, expected[i].count);
		assert_int_equal(field->is_signed, expected[i].is_signed);
	}
}

static void fields_refer_to_each_other(void **state)
{
	const struct field *endpoint = field_of(stream, "endpoint");
	const struct field *inner = field_of(stream, "inner_address");

	(void)state;
	assert_int_equal(endpoint->source, field_of(stream, "ip")->index);
	assert_int_equal(endpoint->port, field_of(stream, "port")->index);
	assert_int_equal(endpoint->path, field_of(stream, "path")->index);
	assert_int_equal(inner->port, field_of(stream, "inner_port")->index);
	assert_int_equal(inner->path, FIELD_NONE);
	assert_int_equal(field_of(stream, "error")->source, field_of(stream, "result")->index);
	assert_int_equal(field_of(stream, "color_code")->source, field_of(stream, "color")->index);
	/* The member of the same nested struct comes before the outer one of that name. */
	assert_int_equal(field_of(stream, "inner_only_inner")->condition.field,
			 field_of(stream, "inner_kind")->index);
	assert_int_equal(field_of(stream, "inner_only_outer")->condition.field,
			 field_of(stream, "size")->index);
	assert_int_equal(field_of(stream, "inner_only_outer")->condition.values[1], 0x50);
}

static void hidden_members_are_not_found(void **state)
{
	(void)state;
	assert_null(stream_schema_field(stream, "gate")); /* kept, since "gated" looks at it */
	assert_true(any_field(stream, "gate")->hidden);
	assert_null(stream_schema_field(stream, "unused"));
	assert_null(stream_schema_field(stream, "reserved"));
	assert_null(stream_schema_field(stream, "pointer"));
	assert_null(stream_schema_field(stream, ""));
}

static void texts_are_kept(void **state)
{
	(void)state;
	assert_string_equal(field_of(stream, "duration")->description,
			    "A \"quoted\" <description>");
	assert_string_equal(field_of(stream, "duration")->unit, "ns");
	assert_string_equal(field_of(stream, "flags")->description, "");
	assert_string_equal(field_of(stream, "flags")->unit, "");
}

static void enums_have_names(void **state)
{
	const struct field *color = field_of(stream, "color"), *level = field_of(stream, "level");
	const struct field *status = field_of(stream, "state");
	const uint64_t minus_one = field_load_ordered((const uint8_t *)"\xff\xff\xff\xff", 4, true);

	(void)state;
	assert_string_equal(color->enumeration.prefix, "COLOR_");
	assert_string_equal(enumeration_name(&color->enumeration, 1), "DARK_RED");
	/* The first of two names for a value. */
	assert_string_equal(enumeration_name(&color->enumeration, 2), "GREEN");
	assert_string_equal(enumeration_name(&color->enumeration, 40), "BLUE");
	assert_null(enumeration_name(&color->enumeration, 0));
	assert_null(enumeration_name(&color->enumeration, 3));
	assert_null(enumeration_name(&color->enumeration, 41));
	assert_null(enumeration_name(&color->enumeration, UINT64_MAX));
	assert_true(level->as_number);
	assert_string_equal(enumeration_name(&level->enumeration, minus_one), "LOW");
	assert_string_equal(enumeration_name(&level->enumeration, minus_one + 1), "MIDDLE");
	assert_string_equal(enumeration_name(&field_of(stream, "alone")->enumeration, 7), "ONE");
	assert_string_equal(enumeration_name(&status->enumeration, 1), "BUSY");
	/* Has not the prefix, and keeps its name. */
	assert_string_equal(enumeration_name(&status->enumeration, 2), "DEMO_OTHER");
	assert_int_equal(field_of(stream, "nameless")->enumeration.count, 0);
	assert_null(enumeration_name(&field_of(stream, "nameless")->enumeration, 0));
}

static void names_come_from_the_kernel_first(void **state)
{
	struct btf *kernel = btf__new_empty();
	struct program_schema *schema;
	const struct enumeration *enumeration;

	(void)state;
	/* A declaration without enumerators comes first, as it may in the kernel's. */
	assert_true(btf__add_enum(kernel, "demo_state", 4) > 0);
	assert_true(btf__add_enum(kernel, "demo_state", 4) > 0);
	btf__add_enum_value(kernel, "DEMO_STATE_MOVED", 1);
	btf__add_enum_value(kernel, "DEMO_STATE_SUBSYSTEMS", (int)0xffff0000);
	btf__add_enum_value(kernel, "DEMO_STATE_not<valid>", 2);
	assert_true(btf__add_enum64(kernel, "demo_enum_of_nobody", 8, false) > 0);
	btf__add_enum64_value(kernel, "X_WIDE", 1ULL << 40);
	btf__add_enum64_value(kernel, "X_JUST_TOO_WIDE", 1ULL << 32);
	btf__add_enum64_value(kernel, "X_LARGEST", UINT32_MAX);
	btf__add_enum64_value(kernel, "X_FITS", 3);
	schema = schema_read(TEST_OBJECT_DIR, "schema_demo", "demo", kernel);
	btf__free(kernel); /* nothing of it is needed any more */
	enumeration = &field_of(&schema->streams[0], "state")->enumeration;
	assert_int_equal(enumeration->count, 2);
	assert_string_equal(enumeration_name(enumeration, 1), "MOVED");
	assert_string_equal(enumeration_name(enumeration, 0xffff0000), "SUBSYSTEMS");
	enumeration = &field_of(&schema->streams[0], "nameless")->enumeration;
	assert_int_equal(enumeration->count, 2);
	assert_string_equal(enumeration_name(enumeration, 3), "FITS");
	assert_string_equal(enumeration_name(enumeration, UINT32_MAX), "LARGEST");
	/* A C enum is the object's own. */
	assert_string_equal(
		enumeration_name(&field_of(&schema->streams[0], "color")->enumeration, 40), "BLUE");
	program_schema_free(schema);
}

static bool is_null(const char *name, const uint8_t *record, size_t length)
{
	return field_is_null(stream, field_of(stream, name), record, length);
}

static void a_short_record_ends_in_nulls(void **state)
{
	uint8_t record[DEMO_RECORD_SIZE] = { 0 };

	(void)state;
	set_number(stream, record, "kind", 4);
	set_number(stream, record, "color", 2);
	for (size_t length = stream->minimum_size; length <= sizeof(record); length++) {
		for (size_t i = 0; i < stream->field_count; i++) {
			const struct field *field = &stream->fields[i];
			size_t end = (size_t)field->offset + field->size * field->count;

			if (field->derivation == FIELD_STORED && !field->has_condition)
				assert_int_equal(field_is_null(stream, field, record, length),
						 end > length);
		}
	}
	assert_false(is_null("ip", record, 139));
	assert_true(is_null("ip", record, 138));
	assert_false(is_null("endpoint", record, 139));
	assert_true(is_null("endpoint", record, 138));
	assert_true(is_null("port", record, 141));
	/* The length alone lets it be, but what its condition looks at was not sent. */
	assert_true(is_null("last", record, 283));
	assert_false(is_null("last", record, 284));
}

static void conditions_make_nulls(void **state)
{
	uint8_t record[DEMO_RECORD_SIZE] = { 0 };
	const size_t length = sizeof(record);

	(void)state;
	assert_true(is_null("ip", record, length));
	assert_true(is_null("path", record, length));
	assert_true(is_null("endpoint", record, length));
	set_number(stream, record, "kind", 1);
	assert_true(is_null("ip", record, length));
	assert_false(is_null("path", record, length));
	assert_false(is_null("endpoint", record, length));
	set_number(stream, record, "kind", 6);
	assert_false(is_null("ip", record, length));
	assert_false(is_null("endpoint", record, length));
	assert_true(is_null("gated", record, length));
	set_number(stream, record, "gate", 1);
	assert_false(is_null("gated", record, length));
	assert_true(is_null("itself", record, length));
	set_number(stream, record, "itself", 3);
	assert_false(is_null("itself", record, length));
	set_number(stream, record, "color", 40); /* COLOR_BLUE, by its full name */
	assert_false(is_null("last", record, length));
	set_number(stream, record, "color", 2); /* GREEN, without the prefix */
	assert_false(is_null("last", record, length));
	set_number(stream, record, "color", 1);
	assert_true(is_null("last", record, length));
}

static void an_error_is_null_without_one(void **state)
{
	static const struct {
		int32_t result;
		bool null;
	} cases[] = { { 0, true },     { 1, true },	 { INT32_MAX, true }, { -1, false },
		      { -111, false }, { -4095, false }, { -4096, true },     { INT32_MIN, true } };
	uint8_t record[DEMO_RECORD_SIZE] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		set_number(stream, record, "result", (uint64_t)cases[i].result);
		assert_int_equal(is_null("error", record, sizeof(record)), cases[i].null);
	}
}

static void ordered_forms_keep_the_order(void **state)
{
	static const int64_t numbers[] = { INT64_MIN, -70000, -300, -128,  -1,	     0,
					   1,	      127,    300,  70000, INT64_MAX };
	uint64_t previous = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint64_t ordered = field_load_ordered((const uint8_t *)&numbers[i], 8, true);

		assert_true(!i || ordered > previous);
		assert_int_equal((int64_t)field_from_ordered(ordered, true), numbers[i]);
		previous = ordered;
	}
	assert_int_equal(field_load_ordered((const uint8_t *)"\xff", 1, false), 255);
	assert_int_equal(
		field_from_ordered(field_load_ordered((const uint8_t *)"\xfe\xff", 2, true), true),
		-2);
}

/* ---- parameters ---- */

static void assert_parameter_json(const struct parameter *parameter, const uint8_t *value,
				  const char *expected)
{
	BUFFER out = BUFFER_INIT;
	struct json json;

	json_init(&json, &out);
	parameter_encode(parameter, value, &json);
	buffer_append_char(&out, '\0');
	assert_string_equal(out.data, expected);
}

static void parameters_are_read(void **state)
{
	static const struct {
		const char *name, *json, *unit;
		enum parameter_kind kind;
		uint32_t size;
	} expected[] = {
		{ "tiny", "200", "", PARAMETER_INTEGER, 1 },
		{ "degrees", "-5", "", PARAMETER_INTEGER, 2 },
		{ "timeout", "1500", "ms", PARAMETER_INTEGER, 8 },
		{ "limit_bytes", "4096", "bytes", PARAMETER_INTEGER, 4 },
		{ "verbose", "true", "", PARAMETER_BOOLEAN, 1 },
		{ "label", "\"abc\"", "", PARAMETER_STRING, 8 },
		{ "only_uid", "-1", "", PARAMETER_INTEGER, 8 },
		{ "only_command", "\"\"", "", PARAMETER_STRING, 16 },
	};

	(void)state;
	assert_null(program_schema_parameter(demo, "untagged"));
	assert_null(program_schema_parameter(demo, "demo_wakeup_bytes"));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct parameter *parameter =
			program_schema_parameter(demo, expected[i].name);

		assert_non_null(parameter);
		assert_int_equal(parameter->kind, expected[i].kind);
		assert_int_equal(parameter->size, expected[i].size);
		assert_string_equal(parameter->unit, expected[i].unit);
		assert_true(*parameter->description);
		assert_parameter_json(parameter, parameter->default_value, expected[i].json);
	}
}

static void parameters_are_parsed(void **state)
{
	static const struct {
		const char *name, *text;
		int result;
		const char *json; /* or what the error says */
	} cases[] = {
		{ "tiny", "0", 0, "0" },
		{ "tiny", "255", 0, "255" },
		{ "tiny", "0xff", 0, "255" },
		{ "tiny", "256", -ERANGE, "takes 0..255" },
		{ "tiny", "-1", -ERANGE, "takes 0..255" },
		{ "tiny", "", -EINVAL, "not a number" },
		{ "tiny", "1 ", -EINVAL, "not a number" },
		{ "tiny", "99999999999999999999999", -ERANGE, "0..255" },
		{ "degrees", "-32768", 0, "-32768" },
		{ "degrees", "-32769", -ERANGE, "-32768..32767" },
		{ "degrees", "32768", -ERANGE, "-32768..32767" },
		{ "degrees", "--5", -EINVAL, "not a number" },
		{ "timeout", "7", 0, "7" },
		{ "timeout", "2s", 0, "2000" },
		{ "timeout", "1500us", -EINVAL, "not a duration" },
		{ "timeout", "abc", -EINVAL, "not a duration" },
		{ "limit_bytes", "64KiB", 0, "65536" },
		{ "limit_bytes", "4GiB", -ERANGE, "4294967295" },
		{ "limit_bytes", "64 parsecs", -EINVAL, "not a size" },
		{ "verbose", "off", 0, "false" },
		{ "verbose", "1", 0, "true" },
		{ "verbose", "2", -EINVAL, "true or false" },
		{ "label", "1234567", 0, "\"1234567\"" },
		{ "label", "", 0, "\"\"" },
		{ "label", "12345678", -ERANGE, "at most 7 bytes" },
		{ "only_uid", "-9223372036854775808", 0, "-9223372036854775808" },
		{ "only_uid", "9223372036854775808", -ERANGE, "9223372036854775807" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct parameter *parameter = program_schema_parameter(demo, cases[i].name);
		uint8_t value[PARAMETER_VALUE_SIZE];
		char error[256] = "";

		memset(value, 0xaa, sizeof(value));
		assert_int_equal(parameter_parse(parameter, cases[i].text, value, error,
						 sizeof(error)),
				 cases[i].result);
		if (cases[i].result) {
			if (!strstr(error, cases[i].json) || !strstr(error, cases[i].name))
				fail_msg("%s=%s: %s", cases[i].name, cases[i].text, error);
			assert_int_equal(value[0], 0xaa); /* untouched */
		} else {
			assert_parameter_json(parameter, value, cases[i].json);
			assert_int_equal(value[PARAMETER_VALUE_SIZE - 1], 0);
		}
	}
}

/* ---- the programs of this project ---- */

static void shipped_programs_are_understood(void **state)
{
	static const char *const connection[] = {
		"destination_ip", "destination_port", "destination", "address_family", "protocol",
		"socket_type",	  "return_code",      "error",	     "duration_ns",
	};
	static const char *const packet_drop[] = {
		"drop_reason", "drop_reason_code",  "location",	      "protocol",
		"source_ip",   "source_port",	    "destination_ip", "destination_port",
		"interface",   "packet_size_bytes", "skb_length",     "network_namespace",
	};
	struct program_schema *schema;

	(void)state;
	schema = schema_read(TEST_PROGRAM_DIR, "connection", "connection", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(connection); i++)
		field_of(&schema->streams[0], connection[i]);
	assert_false(schema->off_by_default);
	program_schema_free(schema);
	schema = schema_read(TEST_PROGRAM_DIR, "packet_drop", "packet_drop", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(packet_drop); i++)
		field_of(&schema->streams[0], packet_drop[i]);
	program_schema_free(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(program_says_what_it_is),
		cmocka_unit_test(fields_are_as_declared),
		cmocka_unit_test(fields_refer_to_each_other),
		cmocka_unit_test(hidden_members_are_not_found),
		cmocka_unit_test(texts_are_kept),
		cmocka_unit_test(enums_have_names),
		cmocka_unit_test(names_come_from_the_kernel_first),
		cmocka_unit_test(a_short_record_ends_in_nulls),
		cmocka_unit_test(conditions_make_nulls),
		cmocka_unit_test(an_error_is_null_without_one),
		cmocka_unit_test(ordered_forms_keep_the_order),
		cmocka_unit_test(parameters_are_read),
		cmocka_unit_test(parameters_are_parsed),
		cmocka_unit_test(shipped_programs_are_understood),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
