/* SPDX-License-Identifier: MIT */
/* Fields and streams as JSON Schema. */
#include "encode_fixture.h"

static json_t *described(const char *name)
{
	BUFFER out = BUFFER_INIT;
	struct json json;
	json_t *tree;

	json_init(&json, &out);
	field_describe(stream, field_of(stream, name), &json);
	tree = json_loadb(out.data, out.length, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(tree);
	return tree;
}

static void assert_described(const char *name, const char *expected)
{
	json_t *tree = described(name), *wanted = json_loads(expected, 0, NULL);

	assert_non_null(wanted);
	if (!json_equal(tree, wanted)) {
		FREE char *text = json_dumps(tree, 0);

		fail_msg("%s: %s", name, text);
	}
	json_decref(wanted);
	json_decref(tree);
}

static void fields_are_described(void **state)
{
	(void)state;
	assert_described("tid",
			 "{\"type\":\"integer\",\"format\":\"int64\",\"minimum\":0,"
			 "\"maximum\":4294967295,\"description\":\"Thread id, in the initial "
			 "PID namespace\"}");
	assert_described("duration",
			 "{\"type\":[\"integer\",\"null\"],\"format\":\"uint64\",\"minimum\":0,"
			 "\"description\":\"A \\\"quoted\\\" <description>\",\"x-unit\":\"ns\"}");
	assert_described("small", "{\"type\":[\"integer\",\"null\"],\"format\":\"int64\","
				  "\"minimum\":-32768,\"maximum\":32767}");
	assert_described("ok", "{\"type\":[\"boolean\",\"null\"]}");
	assert_described("list", "{\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"integer\","
				 "\"format\":\"int64\",\"minimum\":-32768,\"maximum\":32767},"
				 "\"minItems\":3,\"maxItems\":3}");
	assert_described("alone", "{\"type\":[\"string\",\"null\"],\"anyOf\":[{\"enum\":[\"ONE\"]},"
				  "{\"pattern\":\"^-?[0-9]+$\"},{\"type\":\"null\"}]}");
	assert_described("level", "{\"type\":[\"integer\",\"null\"],\"format\":\"int32\","
				  "\"minimum\":-2147483648,\"maximum\":2147483647,"
				  "\"x-names\":{\"LOW\":-1,\"MIDDLE\":0,\"HIGH\":5}}");
	assert_described("ip4", "{\"type\":[\"string\",\"null\"],\"format\":\"ipv4\"}");
	assert_described("token", "{\"type\":[\"string\",\"null\"],\"maxLength\":8,"
				  "\"pattern\":\"^([0-9a-f]{2})+$\"}");
	assert_described("endpoint", "{\"type\":[\"string\",\"null\"],"
				     "\"description\":\"Address and port, or path\"}");
}

static void types_have_names(void **state)
{
	static const struct {
		const char *field, *type;
	} cases[] = {
		{ "pid", "integer" },	     { "ok", "boolean" }, { "color", "enum" },
		{ "color_code", "integer" }, { "error", "enum" }, { "command", "string" },
		{ "token", "bytes" },	     { "ip", "ip" },	  { "mac", "mac" },
		{ "location", "symbol" },    { "flags", "hex" },  { "list", "list" },
		{ "endpoint", "string" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(field_type_name(field_of(stream, cases[i].field)),
				    cases[i].type);
}

static void streams_are_described(void **state)
{
	uint8_t record[DEMO_RECORD_SIZE];
	BUFFER out = BUFFER_INIT;
	json_t *schema, *properties, *required, *event_tree;
	struct event event;
	struct json json;
	const char *name;
	json_t *value;

	(void)state;
	json_init(&json, &out);
	stream_describe(stream, &json);
	schema = json_loadb(out.data, out.length, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(schema);
	properties = json_object_get(schema, "properties");
	required = json_object_get(schema, "required");
	assert_int_equal(json_object_size(properties), json_array_size(required));
	/* What an event has is what the schema says, neither more nor less. */
	fill(record);
	event = event_of(record, sizeof(record));
	FREE char *text = json_of(&event, &plain);
	event_tree = json_loads(text, JSON_DECODE_INT_AS_REAL, NULL);
	assert_int_equal(json_object_size(event_tree), json_object_size(properties));
	json_object_foreach(event_tree, name, value)
		assert_non_null(json_object_get(properties, name));
	json_decref(event_tree);
	json_decref(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_described),
		cmocka_unit_test(types_have_names),
		cmocka_unit_test(streams_are_described),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
