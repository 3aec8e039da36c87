/* SPDX-License-Identifier: MIT */
/* Metrics out of real maps of the running kernel, filled by a real program. Needs root; attaches
 * nothing. */
#include "demo_stream.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "metrics/metrics.h"
#include "metrics/snapshot.h"

enum { PROGRAM = 3 };

static struct stream_account accounts[STREAM_ACCOUNTS];
static struct bpf_object *object;
static struct store *store;
static struct pipeline *pipeline;
static struct metrics *metrics;

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static void tell_program(void)
{
	struct message message = { .type = MESSAGE_PROGRAM,
				   .program = PROGRAM,
				   .status = PROGRAM_RUNNING };
	char error[256] = "";
	int fd = open(TEST_OBJECT_DIR "/metric_demo.bpf.o", O_RDONLY | O_CLOEXEC);

	message_set_text(message.name, "tally");
	assert_int_equal(pipeline_program(pipeline, &message), 0);
	message.type = MESSAGE_OBJECT;
	if (pipeline_object(pipeline, &message, fd, NULL, error, sizeof(error)))
		fail_msg("%s", error);
	close(fd);
}

/* Read-only, as the loader gives them. */
static void give_maps(void)
{
	LIBBPF_OPTS(bpf_get_fd_by_id_opts, options, .open_flags = BPF_F_RDONLY);
	const struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		struct message message = { .type = MESSAGE_MAP, .program = PROGRAM };
		struct bpf_map_info info = { 0 };
		uint32_t size = sizeof(info);

		if (bpf_map__is_internal(map))
			continue;
		assert_int_equal(bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &size), 0);
		message_set_text(message.name, "%s", bpf_map__name(map));
		assert_int_equal(pipeline_map(pipeline, &message,
					      bpf_map_get_fd_by_id_opts(info.id, &options)),
				 0);
	}
}

static void load(void)
{
	object = bpf_object__open_file(TEST_OBJECT_DIR "/metric_demo.bpf.o", NULL);
	assert_non_null(object);
	assert_int_equal(bpf_object__load(object), 0);
	give_maps();
}

static int setup(void **state)
{
	(void)state;
	memset(accounts, 0, sizeof(accounts));
	store = store_new(16 << 20);
	pipeline = pipeline_new(store, accounts, (unsigned int)libbpf_num_possible_cpus());
	metrics = metrics_new(&(struct metrics_options){
		.pipeline = pipeline,
		.version = "1.2.3",
		.max_series = 20,
		.possible_cpus = (unsigned int)libbpf_num_possible_cpus(),
		.statm = -1 });
	assert_non_null(metrics);
	tell_program();
	libbpf_set_print(quiet);
	if (geteuid() == 0)
		load();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	metrics_free(metrics);
	pipeline_free(pipeline);
	store_free(store);
	bpf_object__close(object);
	object = NULL;
	return 0;
}

static void need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("skipped: BPF objects are loaded by root only\n");
	skip();
}

static void run(const char *function, uint64_t pid, uint64_t operation, uint64_t duration,
		uint64_t bytes)
{
	uint64_t arguments[4] = { pid, operation, duration, bytes };
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = arguments,
		    .ctx_size_in = sizeof(arguments));
	struct bpf_program *program = bpf_object__find_program_by_name(object, function);

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(program), &options), 0);
}

static char *scrape(enum exposition_format format, bool is_scrape)
{
	BUFFER out = BUFFER_INIT;
	struct exposition exposition;

	exposition_begin(&exposition, format, &out);
	metrics_write(metrics, &exposition, is_scrape);
	exposition_end(&exposition);
	return buffer_take_string(&out);
}

static void assert_line(const char *text, const char *line)
{
	const char *found = strstr(text, line);
	size_t length = strlen(line);

	if (!found || (found != text && found[-1] != '\n') || found[length] != '\n')
		fail_msg("no line %s in\n%s", line, text);
}

static void assert_no(const char *text, const char *what)
{
	if (strstr(text, what))
		fail_msg("%s in\n%s", what, text);
}

static void every_kind_is_written(void **state)
{
	FREE char *text = NULL;

	(void)state;
	need_root();
	for (int i = 0; i < 3; i++)
		run("measure", 7, 1, 5, 1000);
	run("measure", 7, 1, 0, 0);
	run("measure", 7, 1, UINT64_MAX / 4, 0);
	run("measure", 8, 0, 1, 1);
	text = scrape(EXPOSITION_TEXT, true);
	assert_line(text, "# HELP ebpf_server_tally_calls_total Calls made");
	assert_line(text, "# TYPE ebpf_server_tally_calls_total counter");
	assert_line(text, "ebpf_server_tally_calls_total{comm=\"demo\",operation=\"WRITE\","
			  "pid=\"7\"} 5");
	assert_line(text, "ebpf_server_tally_volume_bytes_total{comm=\"demo\","
			  "operation=\"WRITE\",pid=\"7\"} 3000");
	assert_line(text, "ebpf_server_tally_balance{comm=\"demo\",operation=\"READ\","
			  "pid=\"8\"} -2");
	assert_line(text, "ebpf_server_tally_duration_seconds_bucket{comm=\"demo\","
			  "operation=\"WRITE\",pid=\"7\",le=\"0.000000001\"} 1");
	assert_line(text, "ebpf_server_tally_duration_seconds_bucket{comm=\"demo\","
			  "operation=\"WRITE\",pid=\"7\",le=\"0.000000007\"} 4");
	assert_line(text, "ebpf_server_tally_duration_seconds_bucket{comm=\"demo\","
			  "operation=\"WRITE\",pid=\"7\",le=\"2.147483647\"} 4");
	assert_line(text, "ebpf_server_tally_duration_seconds_bucket{comm=\"demo\","
			  "operation=\"WRITE\",pid=\"7\",le=\"+Inf\"} 5");
	assert_line(text, "ebpf_server_tally_duration_seconds_sum{comm=\"demo\","
			  "operation=\"WRITE\",pid=\"7\"} 4611686018.427387918");
	assert_line(text, "demo_places_total{operation=\"READ\"} 1");
	assert_line(text, "demo_places_total{operation=\"WRITE\"} 5");
	assert_line(text, "demo_places_total{operation=\"SEEK\"} 0");
	assert_no(text, "operation=\"3\"");
	assert_line(text, "demo_all 6");
	assert_no(text, "\"other\"");
	assert_line(text, "ebpf_server_metric_entries{map=\"tally\",program=\"tally\"} 2");
}

static void ended_entries_go_after_one_scrape(void **state)
{
	FREE char *first = NULL;
	FREE char *second = NULL;
	FREE char *third = NULL;
	FREE char *peek = NULL;

	(void)state;
	need_root();
	run("measure", 7, 1, 5, 1);
	run("measure", 7, 1, 5, 1);
	run("end", 7, 1, 0, 0);
	peek = scrape(EXPOSITION_TEXT, false);
	first = scrape(EXPOSITION_TEXT, true);
	assert_line(first, "ebpf_server_tally_calls_total{comm=\"demo\",operation=\"WRITE\","
			   "pid=\"7\"} 2");
	assert_no(first, "\"other\"");
	second = scrape(EXPOSITION_TEXT, true);
	assert_no(second, "pid=\"7\"");
	assert_line(second, "ebpf_server_tally_calls_total{comm=\"other\",operation=\"other\","
			    "pid=\"other\"} 2");
	/* Somebody new has the number. */
	run("measure", 7, 1, 5, 1);
	third = scrape(EXPOSITION_TEXT, true);
	assert_line(third, "ebpf_server_tally_calls_total{comm=\"demo\",operation=\"WRITE\","
			   "pid=\"7\"} 1");
	assert_line(third, "ebpf_server_tally_calls_total{comm=\"other\",operation=\"other\","
			   "pid=\"other\"} 2");
	assert_line(third, "ebpf_server_metric_evicted_entries_total{map=\"tally\","
			   "program=\"tally\"} 0");
}

/* The sum of the lines of a family. */
static uint64_t sum_of(const char *text, const char *name, size_t *ret_series)
{
	uint64_t sum = 0;
	size_t length = strlen(name);

	*ret_series = 0;
	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		if (strncmp(line, name, length) || line[length] != '{')
			continue;
		sum += strtoull(strstr(line, "} ") + 2, NULL, 10);
		++*ret_series;
	}
	return sum;
}

static void nothing_is_lost_in_a_small_map(void **state)
{
	FREE char *text = NULL;
	size_t series;

	(void)state;
	need_root();
	for (uint64_t pid = 1; pid <= 1009; pid++)
		run("measure", pid, 0, 5, 3);
	text = scrape(EXPOSITION_TEXT, true);
	assert_int_equal(sum_of(text, "ebpf_server_tally_calls_total", &series), 1009);
	assert_int_equal(series, 21);
	assert_int_equal(sum_of(text, "ebpf_server_tally_volume_bytes_total", &series), 3027);
	assert_int_equal(sum_of(text, "ebpf_server_tally_duration_seconds_count", &series), 1009);
	sum_of(text, "ebpf_server_metric_evicted_entries_total", &series);
	assert_int_equal(series, 3);
	assert_no(text, "ebpf_server_metric_evicted_entries_total{map=\"tally\","
			"program=\"tally\"} 0\n");
}

static void a_program_that_goes_takes_its_series(void **state)
{
	FREE char *with = NULL;
	FREE char *without = NULL;
	FREE char *again = NULL;

	(void)state;
	need_root();
	run("measure", 7, 1, 5, 1);
	with = scrape(EXPOSITION_TEXT, true);
	assert_non_null(strstr(with, "tally_calls_total{"));
	pipeline_unload(pipeline, PROGRAM);
	without = scrape(EXPOSITION_TEXT, true);
	assert_no(without, "tally_calls");
	assert_no(without, "demo_all");
	assert_no(without, "ebpf_server_metric_entries{");
	bpf_object__close(object);
	load();
	run("measure", 7, 1, 5, 1);
	again = scrape(EXPOSITION_TEXT, true);
	assert_line(again, "ebpf_server_tally_calls_total{comm=\"demo\",operation=\"WRITE\","
			   "pid=\"7\"} 1");
}

/* Kernels without batches for a type of map go key by key; both read the same. */
static void key_by_key_reads_the_same(void **state)
{
	CLEANUP(program_schema)
	struct program_schema *schema = schema_read(TEST_OBJECT_DIR, "metric_demo", "tally", NULL);
	const struct metric_map *tally = &schema->metrics[0];
	unsigned int cpus = (unsigned int)libbpf_num_possible_cpus();
	SNAPSHOT batches = { .map = NULL };
	SNAPSHOT keys = { .map = tally };
	int fd, total;

	(void)state;
	need_root();
	for (uint64_t pid = 1; pid <= 37; pid++)
		run("measure", pid, pid % 3, pid, pid * 11);
	fd = bpf_object__find_map_fd_by_name(object, "tally");
	total = bpf_object__find_map_fd_by_name(object, "tally_total");
	assert_int_equal(snapshot_read(&batches, tally, fd, total, cpus), 0);
	assert_int_equal(snapshot_read_keys(&keys, fd, cpus), 0);
	assert_int_equal(batches.count, 37);
	assert_int_equal(keys.count, 37);
	for (size_t i = 0; i < keys.count; i++) {
		bool found = false;

		for (size_t j = 0; j < batches.count; j++)
			found |= !memcmp(snapshot_key(&keys, i), snapshot_key(&batches, j),
					 tally->key_size) &&
				 !memcmp(snapshot_value(&keys, i), snapshot_value(&batches, j),
					 tally->value_size);
		assert_true(found);
	}
	assert_int_equal(batches.book.created, 37);
	assert_memory_equal(batches.before, batches.after, tally->value_size);
	/* A map that is not as the schema says. */
	assert_int_equal(snapshot_read(&keys, tally, total, -1, cpus), -EINVAL);
}

static void refuses_a_family_of_another_program(void **state)
{
	struct message message = { .type = MESSAGE_PROGRAM, .program = PROGRAM + 1 };
	char error[256] = "";
	int fd;

	(void)state;
	need_root();
	message_set_text(message.name, "tally");
	assert_int_equal(pipeline_program(pipeline, &message), 0);
	fd = open(TEST_OBJECT_DIR "/metric_demo.bpf.o", O_RDONLY | O_CLOEXEC);
	message.type = MESSAGE_OBJECT;
	assert_int_equal(pipeline_object(pipeline, &message, fd, NULL, error, sizeof(error)),
			 -EEXIST);
	assert_non_null(strstr(error, "is one of program tally already"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_kind_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(ended_entries_go_after_one_scrape, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_lost_in_a_small_map, setup, teardown),
		cmocka_unit_test_setup_teardown(a_program_that_goes_takes_its_series, setup,
						teardown),
		cmocka_unit_test_setup_teardown(key_by_key_reads_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_a_family_of_another_program, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
