/* SPDX-License-Identifier: MIT */
/* What streams say of how they are printed: templates, the tags, the lines. */
#include "demo_stream.h"

#include "schema/template.h"

static void templates_come_apart(void **state)
{
	static const struct {
		const char *text, *parts; /* "t:text" or "n:name", each with a | after it */
	} cases[] = {
		{ "", "" },
		{ "plain", "t:plain|" },
		{ "{pid}", "n:pid|" },
		{ "{pid} - hello sys_{syscall} was called",
		  "n:pid|t: - hello sys_|n:syscall|t: was called|" },
		{ "a{b}{c}", "t:a|n:b|n:c|" },
		{ "{}", "n:|" },
		{ "open {", "t:open {|" },
		{ "{a} and {", "n:a|t: and {|" },
		{ "} {a}", "t:} |n:a|" },
		{ "{{a}", "n:{a|" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *text = cases[i].text;
		BUFFER parts = BUFFER_INIT;
		struct template_part part;

		buffer_append_string(&parts, "");
		while (template_next(&text, &part)) {
			buffer_append_string(&parts, part.is_name ? "n:" : "t:");
			buffer_append(&parts, part.text, part.length);
			buffer_append_char(&parts, '|');
		}
		FREE char *all = buffer_take_string(&parts);
		assert_string_equal(all ? all : "", cases[i].parts);
	}
}

static struct program_schema *print_schema(void)
{
	return schema_read(TEST_OBJECT_DIR, "schema_print", "demo", NULL);
}

static void tags_are_read(void **state)
{
	CLEANUP(program_schema) struct program_schema *schema = print_schema();
	const struct stream_schema *stream = &schema->streams[0];

	(void)state;
	assert_string_equal(stream->print_line, "{pid}: {name} gives {result} ({error}) {");
	assert_string_equal(stream->print_opening, "Begins\n{own_pid} at {api_port}");
	assert_string_equal(stream->only_with, "loud|level|word");
	assert_null(schema->streams[1].print_line);
	assert_null(schema->streams[1].print_opening);
	assert_null(schema->streams[1].only_with);
}

static void a_stream_is_on_while_a_parameter_is_set(void **state)
{
	static const struct {
		const char *name, *value;
		bool on;
	} cases[] = {
		{ "sample", "7", false },   { "loud", "true", true },	{ "level", "256", true },
		{ "level", "0", false },    { "word", "x", true },	{ "word", "", false },
		{ "loud", "false", false }, { "only_pid", "1", false },
	};
	CLEANUP(program_schema) struct program_schema *schema = print_schema();
	uint8_t values[SCHEMA_MAX_PARAMETERS][PARAMETER_VALUE_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct parameter *parameter = program_schema_parameter(schema, cases[i].name);
		char error[256];

		assert_non_null(parameter);
		for (size_t j = 0; j < schema->parameter_count; j++)
			memcpy(values[j], schema->parameters[j].default_value, sizeof(values[j]));
		assert_int_equal(parameter_parse(parameter, cases[i].value,
						 values[parameter - schema->parameters], error,
						 sizeof(error)),
				 0);
		if (stream_schema_is_on(&schema->streams[0], schema,
					(const uint8_t(*)[PARAMETER_VALUE_SIZE])values) !=
		    cases[i].on)
			fail_msg("%s=%s", cases[i].name, cases[i].value);
		assert_true(stream_schema_is_on(&schema->streams[1], schema,
						(const uint8_t(*)[PARAMETER_VALUE_SIZE])values));
	}
}

static void lines_are_as_the_stream_says(void **state)
{
	static const struct {
		const char *name;
		int64_t result;
		const char *line;
	} cases[] = {
		{ "cat", 17, "4711: cat gives 17 (-) {" },
		{ "cat", -11, "4711: cat gives -11 (EAGAIN) {" },
		{ "a\x1b[2J\n\\", 0, "4711: a\\x1b[2J\\x0a\\x5c gives 0 (-) {" },
		{ "", 1, "4711:  gives 1 (-) {" },
	};
	CLEANUP(program_schema) struct program_schema *schema = print_schema();
	const struct stream_schema *stream = &schema->streams[0];
	const struct encoding encoding = { .boot_to_real = 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t record[64] = { 0 };
		struct event event = { .schema = stream,
				       .record = record,
				       .length = sizeof(record) };
		BUFFER out = BUFFER_INIT;

		set_number(stream, record, "pid", 4711);
		set_number(stream, record, "result", (uint64_t)cases[i].result);
		set_text(stream, record, "name", cases[i].name);
		event_encode_text(&event, &encoding, &out);
		FREE char *line = buffer_take_string(&out);
		assert_string_equal(line, cases[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(templates_come_apart),
		cmocka_unit_test(tags_are_read),
		cmocka_unit_test(a_stream_is_on_while_a_parameter_is_set),
		cmocka_unit_test(lines_are_as_the_stream_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
