/* SPDX-License-Identifier: MIT */
/* The pipeline on a real ring buffer of the running kernel. Needs root; attaches nothing. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/internal.h"
#include "store/query.h"

#define OBJECT TEST_OBJECT_DIR "/pipeline_beat.bpf.o"

enum { PROGRAM = 1, RING_BYTES = 64 << 10, RECORD = 64, AT_ONCE = 64 };

static struct stream_account accounts[STREAM_ACCOUNTS];
static struct bpf_object *object;
static struct store *store;
static struct pipeline *pipeline;
static int program_fd;

static int setup(void **state)
{
	struct bpf_map *ring;

	(void)state;
	memset(accounts, 0, sizeof(accounts));
	store = store_new(16 << 20);
	pipeline = pipeline_new(store, accounts, (unsigned int)libbpf_num_possible_cpus());
	assert_non_null(pipeline);
	if (geteuid() != 0)
		return 0;
	libbpf_set_print(NULL); /* it tells that a ring's value type is not the kernel's to know */
	object = bpf_object__open_file(OBJECT, NULL);
	assert_non_null(object);
	ring = bpf_object__find_map_by_name(object, "pipeline_beat");
	assert_int_equal(bpf_map__set_value_size(ring, 0), 0);
	assert_int_equal(bpf_map__set_max_entries(ring, RING_BYTES), 0);
	assert_int_equal(bpf_object__load(object), 0);
	program_fd = bpf_program__fd(bpf_object__find_program_by_name(object, "beat"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
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

static void give_map(const char *name)
{
	struct message message = { .type = MESSAGE_MAP, .program = PROGRAM };
	int fd = fcntl(bpf_object__find_map_fd_by_name(object, name), F_DUPFD_CLOEXEC, 0);

	assert_true(fd >= 0);
	message_set_text(message.name, "%s", name);
	assert_int_equal(pipeline_map(pipeline, &message, fd), 0);
}

static void tell(void)
{
	struct message message = { .type = MESSAGE_PROGRAM,
				   .program = PROGRAM,
				   .name = "pipeline_beat" };
	CLOSE int file = open(OBJECT, O_RDONLY | O_CLOEXEC);
	char error[MESSAGE_TEXT_SIZE] = "";

	assert_int_equal(pipeline_program(pipeline, &message), 0);
	pipeline_object(pipeline, &message, file, NULL, error, sizeof(error));
	assert_string_equal(error, "");
	give_map("pipeline_beat");
	give_map("pipeline_beat_ledger");
}

static void run(uint64_t count, uint64_t filtered)
{
	uint64_t arguments[] = { count, filtered };
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = arguments,
		    .ctx_size_in = sizeof(arguments));

	assert_int_equal(bpf_prog_test_run_opts(program_fd, &options), 0);
}

static struct ledger settled(void)
{
	struct ledger ledger;

	assert_int_equal(pipeline_ledger(pipeline, 0, &ledger), 0);
	assert_int_equal(ledger.bytes_waiting, 0);
	assert_int_equal(ledger.produced,
			 ledger.stored + ledger.filtered + ledger.sampled_out + ledger.lost);
	assert_int_equal(ledger.stored, ledger.held + ledger.expired);
	return ledger;
}

static void check_event(void *context, const struct event *event)
{
	const struct field *fields = event->schema->fields;
	uint64_t *next = context, number, inverse;
	uint32_t pid;

	assert_int_equal(event->length, RECORD);
	memcpy(&pid, event->record + fields[HEADER_PID].offset, sizeof(pid));
	memcpy(&number, event->record + fields[HEADER_FIELDS].offset, sizeof(number));
	memcpy(&inverse, event->record + fields[HEADER_FIELDS + 1].offset, sizeof(inverse));
	assert_int_equal(pid, getpid());
	assert_int_equal(number, *next);
	assert_int_equal(inverse, ~number);
	++*next;
}

/* Ten laps and more: order, contents, and the records that the ring's end cuts. */
static void test_events_and_counts(void **state)
{
	CLEANUP(follower) struct follower *follower = NULL;
	uint64_t next = 0, missed = 0;
	struct ledger ledger;

	(void)state;
	need_root();
	tell();
	assert_string_equal(store_stream_schema(store, 0)->name, "pipeline_beat");
	assert_int_equal(store_stream_schema(store, 0)->record_size, RECORD);
	follower = follower_new(store, false);
	assert_int_equal(pipeline_start(pipeline), 0);
	for (int i = 0; i < 167; i++) {
		run(61, i % 7 == 0 ? 3 : 0);
		assert_int_equal(pipeline_sync(pipeline, 10000), 0);
		while (follower_read(follower, 100, check_event, &next, &missed))
			;
		assert_int_equal(next, (i + 1) * 61);
	}
	ledger = settled();
	assert_int_equal(ledger.stored, 167 * 61);
	assert_int_equal(ledger.filtered, 24 * 3);
	assert_int_equal(ledger.lost, 0);
	assert_int_equal(missed, 0);
}

/* Nobody reads until the ring is full: what did not fit is counted, exactly. */
static void test_losses_are_counted(void **state)
{
	const uint64_t fits = (RING_BYTES - 1) / (RECORD + 8);
	struct ledger ledger;

	(void)state;
	need_root();
	tell();
	for (int i = 0; i < 31; i++)
		run(AT_ONCE, 0);
	assert_int_equal(pipeline_ledger(pipeline, 0, &ledger), 0);
	assert_int_equal(ledger.stored, 0);
	assert_int_equal(ledger.bytes_waiting, fits * (RECORD + 8));

	assert_int_equal(pipeline_start(pipeline), 0);
	assert_int_equal(pipeline_sync(pipeline, 10000), 0);
	ledger = settled();
	assert_int_equal(ledger.produced, 31 * AT_ONCE);
	assert_int_equal(ledger.stored, fits);
	assert_int_equal(ledger.lost, 31 * AT_ONCE - fits);
	assert_int_equal(pipeline_lost_between(pipeline, 0, 0, UINT64_MAX), ledger.lost);
}

/* What waits is drained when the program goes, and both maps are let go. */
static void test_unload(void **state)
{
	struct stream_view view;
	struct ledger ledger;

	(void)state;
	need_root();
	tell();
	assert_int_equal(pipeline_start(pipeline), 0);
	for (int i = 0; i < 11; i++)
		run(AT_ONCE, 1);
	pipeline_unload(pipeline, PROGRAM);
	run(AT_ONCE, 0); /* of nobody any more */
	ledger = settled();
	assert_int_equal(ledger.stored, 11 * AT_ONCE);
	assert_int_equal(ledger.filtered, 11);
	assert_int_equal(accounts[0].past_produced, 11 * (AT_ONCE + 1));
	assert_int_equal(pipeline_stream_view(pipeline, 0, &view), 0);
	assert_false(view.active);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_events_and_counts),
		TEST(test_losses_are_counted),
		TEST(test_unload),
	};

	return cmocka_run_group_tests_name("ring_kernel", tests, NULL, NULL);
}
