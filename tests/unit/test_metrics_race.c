/* SPDX-License-Identifier: MIT */
/* Scrapes and descriptions while the loader takes maps away and gives others. Needs root: the maps
 * are the kernel's. */
#include "demo_stream.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "metrics/metrics.h"

enum { PROGRAM = 3, ROUNDS = 200, SCRAPERS = 3, ENTRIES = 64, VALUE_SIZE = 320 };

static struct stream_account accounts[STREAM_ACCOUNTS];
static struct pipeline *pipeline;
static struct metrics *metrics;
static atomic_bool done;
static _Atomic unsigned int scrapes;

static void count_family(void *context, const struct metric_figures *figures)
{
	*(size_t *)context += figures->series;
}

static void *scrape(void *argument)
{
	struct program_view program;
	size_t series = 0;

	(void)argument;
	while (!atomic_load(&done)) {
		BUFFER out = BUFFER_INIT;
		struct exposition exposition;

		exposition_begin(&exposition, EXPOSITION_TEXT, &out);
		metrics_write(metrics, &exposition, true);
		/* It is read, or it is not there. */
		buffer_append(&out, "", 1);
		assert_null(strstr(out.data, "ebpf_server_metric_read_failures_total{map=\"tally\","
					     "program=\"tally\"} 1"));
		if (!pipeline_program_view(pipeline, PROGRAM, &program))
			metrics_describe(metrics, &program, count_family, &series);
		atomic_fetch_add(&scrapes, 1);
	}
	return NULL;
}

static void give(const char *name, enum bpf_map_type type, uint32_t value_size, uint32_t entries)
{
	struct message message = { .type = MESSAGE_MAP, .program = PROGRAM };
	uint32_t key_size = entries > 1 ? 8 : 4;
	int fd = bpf_map_create(type, NULL, key_size, value_size, entries, NULL);

	assert_true(fd >= 0);
	message_set_text(message.name, "%s", name);
	assert_int_equal(pipeline_map(pipeline, &message, fd), 0);
}

static void maps_come_and_go(void **state)
{
	struct message message = { .type = MESSAGE_PROGRAM, .program = PROGRAM };
	struct store *store = store_new(16 << 20);
	unsigned int cpus = (unsigned int)libbpf_num_possible_cpus();
	pthread_t threads[SCRAPERS];
	char error[256] = "";
	int fd;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: BPF maps are made by root only\n");
		skip();
	}
	pipeline = pipeline_new(store, accounts, cpus);
	metrics = metrics_new(&(struct metrics_options){ .pipeline = pipeline,
							 .version = "1",
							 .max_series = 10,
							 .possible_cpus = cpus,
							 .statm = -1 });
	message_set_text(message.name, "tally");
	assert_int_equal(pipeline_program(pipeline, &message), 0);
	message.type = MESSAGE_OBJECT;
	fd = open(TEST_OBJECT_DIR "/metric_demo.bpf.o", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pipeline_object(pipeline, &message, fd, NULL, error, sizeof(error)), 0);
	close(fd);

	for (size_t i = 0; i < SCRAPERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, scrape, NULL), 0);
	for (int round = 0; round < ROUNDS; round++) {
		give("tally", BPF_MAP_TYPE_LRU_PERCPU_HASH, VALUE_SIZE, ENTRIES);
		give("tally_total", BPF_MAP_TYPE_PERCPU_ARRAY, VALUE_SIZE + 24, 1);
		give("tally_all", BPF_MAP_TYPE_PERCPU_ARRAY, 8, 1);
		pipeline_unload(pipeline, PROGRAM);
	}
	atomic_store(&done, true);
	for (size_t i = 0; i < SCRAPERS; i++)
		pthread_join(threads[i], NULL);
	assert_true(atomic_load(&scrapes) > 0);
	metrics_free(metrics);
	pipeline_free(pipeline);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
