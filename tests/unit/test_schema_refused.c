/* SPDX-License-Identifier: MIT */
/* What is no schema: objects that break a rule, that are none, or that were damaged. */
#include "demo_stream.h"

#include <bpf/libbpf.h>
#include <errno.h>

static void refused_objects_say_why(void **state)
{
	static const struct {
		const char *object, *says;
	} cases[] = {
		{ "bitfield", "\"first\" is a bit-field" },
		{ "union", "\"either\" is a union" },
		{ "pointer", "\"next\" is a pointer" },
		{ "float", "\"ratio\" is a float" },
		{ "struct_array", "\"pairs\" is an array of something that is no integer" },
		{ "matrix", "\"rows\" is an array of something that is no integer" },
		{ "wide", "\"wide\" is an integer of neither 1, 2, 4 nor 8 bytes" },
		{ "bool_array", "\"flags\" is an array of bools" },
		{ "zero", "\"value\" is tagged \"zero:null\" but a signed integer or a list" },
		{ "header", "does not begin with a struct event_header" },
		{ "header_late", "does not begin with a struct event_header" },
		{ "header_changed", "struct event_header is not the SDK's: \"pid\"" },
		{ "only", "names \"nobody\", which is no member" },
		{ "only_value", "the value \"apple\", which \"kind\" cannot have" },
		{ "only_many", "more than 8 values" },
		{ "only_text", "looks at \"command\", which is no integer" },
		{ "twice", "two fields have the name \"error\"" },
		{ "header_name", "two fields have the name \"pid\"" },
		{ "reserved_name", "\"limit\" has a meaning in the API" },
		{ "oversize", "has 16048 bytes; 8192 are allowed" },
		{ "packed", "has 52 bytes; make it a multiple of 8" },
		{ "tag", "unknown tag \"unti:ns\"" },
		{ "tag_twice", "two tags \"unit:" },
		{ "format", "unknown format \"roman\"" },
		{ "ip", "no IP address" },
		{ "mac", "no MAC address" },
		{ "symbol", "no __u64" },
		{ "errno", "no signed integer" },
		{ "code", "no enum" },
		{ "number", "no enum" },
		{ "endpoint", "names \"nobody\", which is no member" },
		{ "endpoint_port", "port \"pid\" is no __u16" },
		{ "derived_name", "\"no name\", which is no C name" },
		{ "stream_name", "must be named \"demo\"" },
		{ "no_struct", "has no struct as its value" },
		{ "no_ring", "no ring buffer" },
		{ "parameter", "\"writable\" is not const volatile" },
		{ "parameter_type", "\"many\" is an array, but no char array" },
		{ "default", "\"default:maybe\" is unknown" },
		{ "print_line", "names \"padding\", which is no field" },
		{ "print_opening", "names \"pid\"; known are own_pid and api_port" },
		{ "with", "\"with:nothing\" names no parameter" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct program_schema *schema = (struct program_schema *)1;
		struct object_file file;
		char error[512] = "", name[64];

		snprintf(name, sizeof(name), "schema_refused_%s", cases[i].object);
		file = object_file_read(TEST_OBJECT_DIR, name);
		assert_int_equal(program_schema_read("demo", file.bytes, file.size, NULL, &schema,
						     error, sizeof(error)),
				 -EINVAL);
		if (!strstr(error, cases[i].says))
			fail_msg("%s: %s", cases[i].object, error);
		assert_null(strchr(error, '\n'));
		assert_ptr_equal(schema, (struct program_schema *)1);
		/* Nobody need listen. */
		assert_int_equal(program_schema_read("demo", file.bytes, file.size, NULL, &schema,
						     NULL, 0),
				 -EINVAL);
		free(file.bytes);
	}
}

static void streams_belong_to_their_program(void **state)
{
	static const char *const programs[] = { "dem", "demo_", "demo_short", "Demo", "short" };
	struct object_file file = object_file_read(TEST_OBJECT_DIR, "schema_demo");
	struct program_schema *schema = NULL;
	char error[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		assert_int_equal(program_schema_read(programs[i], file.bytes, file.size, NULL,
						     &schema, error, sizeof(error)),
				 -EINVAL);
	free(file.bytes);
}

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static void no_object_is_no_object(void **state)
{
	static const char *const texts[] = { "",	"x",
					     "\177ELF", "#!/bin/sh\n",
					     "{}",	"\177ELF\2\1\1\0\0\0\0\0\0\0\0\0" };
	struct program_schema *schema = NULL;
	struct object_file own = { NULL, 0 };
	char error[256] = "";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(program_schema_read("demo", texts[i], strlen(texts[i]), NULL,
						     &schema, error, sizeof(error)),
				 -ENOEXEC);
	/* An object of another machine. */
	own = object_file_read(TEST_OBJECT_DIR, "schema_demo");
	own.bytes[18] = 62; /* e_machine: x86-64 */
	own.bytes[19] = 0;
	assert_int_equal(program_schema_read("demo", own.bytes, own.size, NULL, &schema, error,
					     sizeof(error)),
			 -ENOEXEC);
	assert_non_null(strstr(error, "no eBPF object"));
	free(own.bytes);
}

/* One reading of bytes that may be anything: either a schema, or a reason. */
static void read_hostile(const uint8_t *bytes, size_t size)
{
	/* A copy of this very size, so that a byte read past it is seen. */
	uint8_t *copy = malloc(size ? size : 1);
	struct program_schema *schema = NULL;
	char error[256] = "";
	int r;

	memcpy(copy, bytes, size);
	r = program_schema_read("demo", copy, size, NULL, &schema, error, sizeof(error));
	free(copy);
	assert_true(r == 0 || r == -EINVAL || r == -ENOEXEC);
	assert_int_equal(r == 0, schema != NULL);
	assert_int_equal(r != 0, error[0] != '\0');
	program_schema_free(schema);
}

static void damaged_objects_do_no_harm(void **state)
{
	struct object_file file = object_file_read(TEST_OBJECT_DIR, "schema_demo");
	libbpf_print_fn_t before = libbpf_set_print(quiet);
	uint8_t *bytes = malloc(file.size);
	uint64_t seed = 0x9e3779b97f4a7c15;

	(void)state;
	for (size_t size = 0; size < file.size; size += 61)
		read_hostile(file.bytes, size);
	for (int i = 0; i < 4000; i++) {
		int flips = 1 + (int)(random_number(&seed) % 8);

		memcpy(bytes, file.bytes, file.size);
		for (int flip = 0; flip < flips; flip++) {
			size_t at = random_number(&seed) % file.size;

			/* Small numbers and extremes go further than noise. */
			switch (random_number(&seed) % 4) {
			case 0:
				bytes[at] = (uint8_t)random_number(&seed);
				break;
			case 1:
				bytes[at] ^= (uint8_t)(1 << random_number(&seed) % 8);
				break;
			case 2:
				bytes[at] = 0xff;
				break;
			default:
				bytes[at] = (uint8_t)(bytes[at] + 1);
				break;
			}
		}
		read_hostile(bytes, file.size);
	}
	free(bytes);
	free(file.bytes);
	libbpf_set_print(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_objects_say_why),
		cmocka_unit_test(streams_belong_to_their_program),
		cmocka_unit_test(no_object_is_no_object),
		cmocka_unit_test(damaged_objects_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
