/* SPDX-License-Identifier: MIT */
/* Annotated maps to metric descriptors; what is no metric is refused, with the reason. */
#include "demo_stream.h"

#include <bpf/libbpf.h>
#include <errno.h>

#include "schema/metric.h"

static const struct metric_family *family_of(const struct metric_map *map, const char *name)
{
	for (size_t i = 0; i < map->family_count; i++)
		if (!strcmp(map->families[i].name, name))
			return &map->families[i];
	fail_msg("no family %s", name);
	return NULL;
}

static void the_built_in_program_gives_the_exact_family(void **state)
{
	CLEANUP(program_schema)
	struct program_schema *schema =
		schema_read(TEST_PROGRAM_DIR, "tcp_connect", "tcp_connect", NULL);
	const struct metric_map *map = schema->metrics;

	(void)state;
	assert_false(schema->off_by_default);
	assert_int_equal(schema->stream_count, 0);
	assert_int_equal(schema->metric_count, 1);
	assert_int_equal(map->family_count, 1);
	assert_string_equal(map->families[0].name, "tcp_connects_by_pid");
	assert_string_equal(map->families[0].help,
			    "Number of tcp_connect() calls observed per PID");
	assert_int_equal(map->families[0].type, METRIC_GAUGE);
	assert_int_equal(map->label_count, 2);
	assert_string_equal(map->labels[0].name, "comm");
	assert_true(map->labels[0].in_value);
	assert_string_equal(map->labels[1].name, "pid");
	assert_false(map->labels[1].in_value);
	assert_int_equal(map->ended, 24);
	assert_null(program_schema_parameter(schema, "sample"));
	assert_non_null(program_schema_parameter(schema, "only_pid"));
}

static void values_become_families(void **state)
{
	CLEANUP(program_schema)
	struct program_schema *schema = schema_read(TEST_OBJECT_DIR, "metric_demo", "tally", NULL);
	const struct metric_map *map = &schema->metrics[0];
	const struct metric_family *family;

	(void)state;
	assert_int_equal(schema->metric_count, 3);
	assert_string_equal(map->name, "tally");
	assert_true(map->per_cpu);
	assert_false(map->is_array);
	assert_int_equal(map->max_entries, 64);
	assert_int_equal(map->key_size, 8);
	assert_int_equal(map->family_count, 4);
	assert_int_not_equal(map->ended, FIELD_NONE);
	assert_int_equal(map->stamp, 16);
	assert_int_equal(map->label_count, 3);
	assert_string_equal(map->labels[0].name, "comm");
	assert_string_equal(map->labels[1].name, "operation");
	assert_string_equal(map->labels[2].name, "pid");
	assert_int_equal(map->labels[1].field->kind, FIELD_ENUM);

	family = family_of(map, "ebpf_server_tally_calls");
	assert_int_equal(family->type, METRIC_COUNTER);
	assert_string_equal(family->help, "Calls made");
	assert_string_equal(family->unit, "");
	family = family_of(map, "ebpf_server_tally_volume_bytes");
	assert_string_equal(family->help, "Of calls");
	assert_string_equal(family->unit, "bytes");
	assert_int_equal(family->decimals, 0);
	family = family_of(map, "ebpf_server_tally_duration_seconds");
	assert_int_equal(family->type, METRIC_HISTOGRAM);
	assert_string_equal(family->unit, "seconds");
	assert_int_equal(family->decimals, 9);
	assert_int_equal(family->slots, 32);
	assert_int_equal(family->sum, family->offset + 32 * 8);
	family = family_of(map, "ebpf_server_tally_balance");
	assert_int_equal(family->type, METRIC_GAUGE);
	assert_true(family->is_signed);
}

static void arrays_and_single_entries(void **state)
{
	CLEANUP(program_schema)
	struct program_schema *schema = schema_read(TEST_OBJECT_DIR, "metric_demo", "tally", NULL);

	(void)state;
	assert_true(schema->metrics[1].is_array);
	assert_false(schema->metrics[1].per_cpu);
	/* A counter's _total is written with the samples. */
	assert_string_equal(schema->metrics[1].families[0].name, "demo_places");
	assert_int_equal(schema->metrics[1].label_count, 1);
	assert_true(schema->metrics[2].per_cpu);
	assert_string_equal(schema->metrics[2].families[0].name, "demo_all");
	assert_int_equal(schema->metrics[2].label_count, 0);
	assert_string_equal(schema->metrics[2].families[0].help, "Every kind of metric");
}

static void names_that_clash(void **state)
{
	struct metric_family calls = { .name = "calls", .type = METRIC_COUNTER };
	struct metric_family total = { .name = "calls_total", .type = METRIC_GAUGE };
	struct metric_family time = { .name = "time", .type = METRIC_HISTOGRAM };
	struct metric_family count = { .name = "time_count", .type = METRIC_GAUGE };
	struct metric_family other = { .name = "tim", .type = METRIC_GAUGE };

	(void)state;
	assert_true(metric_families_clash(&calls, &calls));
	assert_true(metric_families_clash(&calls, &total));
	assert_true(metric_families_clash(&time, &count));
	assert_true(metric_families_clash(&count, &time));
	assert_false(metric_families_clash(&time, &other));
	assert_false(metric_families_clash(&calls, &time));
}

static void refused_maps_say_why(void **state)
{
	static const struct {
		const char *object, *program, *says;
	} cases[] = {
		{ "type", "demo", "must be metric:NAME:counter" },
		{ "tag", "demo", "must be metric:NAME:counter" },
		{ "map_type", "demo", "neither a hash nor an array" },
		{ "entries", "demo", "has no max_entries" },
		{ "name", "demo", "\"calls per second\" cannot be a metric's name" },
		{ "suffix", "demo", "ends in \"_total\"" },
		{ "prefix", "demo", "begins with ebpf_server_" },
		{ "own_name", "stream", "ebpf_server_stream_… are the server's own" },
		{ "map_name", "demo", "must be named \"demo\"" },
		{ "key", "demo", "its key is no struct" },
		{ "value", "demo", "its value is no struct" },
		{ "large", "demo", "its value has no type of 1 to 4096 bytes" },
		{ "no_value", "demo", "has no value to show" },
		{ "narrow", "demo", "\"calls\" is a value, and those are __u64" },
		{ "negative", "demo", "\"calls\" is a counter, and those cannot be negative" },
		{ "log2", "demo", "no array of 2 to 64 __u64" },
		{ "slots", "demo", "no array of 2 to 64 __u64" },
		{ "sum", "demo", "MEMBER is no histogram" },
		{ "ended", "demo", "but no __u64" },
		{ "ended_twice", "demo", "the second one with this tag" },
		{ "roles", "demo", "is \"counter\" and \"gauge\"" },
		{ "stray_tag", "demo", "a value: those have no other tags" },
		{ "clash", "demo", "a value whose name is taken" },
		{ "twice", "demo", "two metrics are named \"calls\"" },
		{ "label", "demo", "\"le\" is named as a label that has a meaning" },
		{ "label_list", "demo", "\"pids\" is a list" },
		{ "label_tag", "demo", "unknown tag \"gauge\"" },
		{ "label_twice", "demo", "the second label of this name" },
		{ "stamp", "demo", "a \"stamp\" must say which are newest" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct program_schema *schema = NULL;
		struct object_file file;
		char error[512] = "", name[64];

		snprintf(name, sizeof(name), "metric_refused_%s", cases[i].object);
		file = object_file_read(TEST_OBJECT_DIR, name);
		if (program_schema_read(cases[i].program, file.bytes, file.size, NULL, &schema,
					error, sizeof(error)) != -EINVAL)
			fail_msg("%s was taken", cases[i].object);
		if (!strstr(error, cases[i].says))
			fail_msg("%s: %s", cases[i].object, error);
		assert_null(strchr(error, '\n'));
		assert_null(schema);
		free(file.bytes);
	}
}

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

/* Whatever a damaged object says, its descriptors stay inside its keys and values. */
static void check_bounds(const struct program_schema *schema)
{
	for (size_t m = 0; m < schema->metric_count; m++) {
		const struct metric_map *map = &schema->metrics[m];

		for (size_t i = 0; i < map->family_count; i++) {
			const struct metric_family *family = &map->families[i];

			assert_true(family->offset + family->slots * 8u <= map->value_size);
			assert_true(family->sum == FIELD_NONE ||
				    family->sum + 8u <= map->value_size);
		}
		for (size_t i = 0; i < map->label_count; i++) {
			const struct field *field = map->labels[i].field;

			assert_true(field->offset + (size_t)field->size * field->count <=
				    (map->labels[i].in_value ? map->value_size : map->key_size));
		}
		assert_true(map->ended == FIELD_NONE || map->ended + 8u <= map->value_size);
		assert_true(map->stamp == FIELD_NONE || map->stamp + 8u <= map->value_size);
	}
}

static void damaged_objects_do_no_harm(void **state)
{
	struct object_file file = object_file_read(TEST_OBJECT_DIR, "metric_demo");
	libbpf_print_fn_t before = libbpf_set_print(quiet);
	uint64_t seed = 0x2545f4914f6cdd1d;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		uint8_t *copy = malloc(file.size);
		struct program_schema *schema = NULL;
		char error[256] = "";
		int r;

		memcpy(copy, file.bytes, file.size);
		for (uint64_t flip = 0; flip <= random_number(&seed) % 6; flip++)
			copy[random_number(&seed) % file.size] =
				random_number(&seed) % 3 ? (uint8_t)(random_number(&seed) % 64)
							 : (uint8_t)random_number(&seed);
		r = program_schema_read("tally", copy, file.size, NULL, &schema, error,
					sizeof(error));
		free(copy);
		assert_true(r == 0 || r == -EINVAL || r == -ENOEXEC);
		assert_int_equal(r == 0, schema != NULL);
		if (schema)
			check_bounds(schema);
		program_schema_free(schema);
	}
	free(file.bytes);
	libbpf_set_print(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_built_in_program_gives_the_exact_family),
		cmocka_unit_test(values_become_families),
		cmocka_unit_test(arrays_and_single_entries),
		cmocka_unit_test(names_that_clash),
		cmocka_unit_test(refused_maps_say_why),
		cmocka_unit_test(damaged_objects_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
