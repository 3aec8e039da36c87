/* SPDX-License-Identifier: MIT */
/* The server's end of the socket, with the test as loader. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "pipeline/control.h"

enum { PROGRAM = 4, PATIENCE_MS = 10000 };

static struct stream_account *accounts;
static struct store *store;
static struct pipeline *pipeline;
static struct control *control;
static int loader, server, stop, kernel_btf;
static pthread_t hearing;
static int outcome; /* of control_run(); known once it is joined */
static bool joined;
static atomic_int ready_calls;

static void count_ready(void *context)
{
	assert_ptr_equal(context, &ready_calls);
	atomic_fetch_add(&ready_calls, 1);
}

static void *hear(void *context)
{
	outcome = control_run(control, stop, count_ready, &ready_calls);
	return context;
}

static int setup_with(int kernel_btf_fd)
{
	int ends[2];

	kernel_btf = kernel_btf_fd;
	accounts = calloc(STREAM_ACCOUNTS, sizeof(*accounts));
	store = store_new(STORE_MIN_MEMORY);
	pipeline = pipeline_new(store, accounts, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	loader = ends[0];
	server = ends[1];
	stop = eventfd(0, EFD_CLOEXEC);
	control = control_new(server, pipeline, kernel_btf);
	assert_non_null(control);
	assert_int_equal(pipeline_start(pipeline), 0);
	atomic_store(&ready_calls, 0);
	joined = false;
	assert_int_equal(pthread_create(&hearing, NULL, hear, NULL), 0);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(-1);
}

static int setup_with_kernel_btf(void **state)
{
	(void)state;
	return setup_with(open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC));
}

static void end_hearing(void)
{
	pthread_join(hearing, NULL);
	joined = true;
}

static void stop_hearing(void)
{
	assert_int_equal(eventfd_write(stop, 1), 0);
	end_hearing();
}

static int teardown(void **state)
{
	(void)state;
	if (!joined)
		stop_hearing();
	control_free(control);
	pipeline_free(pipeline);
	store_free(store);
	free(accounts);
	if (loader >= 0)
		close(loader);
	memory_close_fd(&kernel_btf);
	close(server);
	close(stop);
	return 0;
}

static void say(const struct message *message, int fd)
{
	assert_int_equal(message_send(loader, message, fd), 0);
}

static void say_program(uint32_t number, const char *name, enum program_status status)
{
	struct message message = { .type = MESSAGE_PROGRAM, .program = number, .status = status };

	message_set_text(message.name, "%s", name);
	say(&message, -1);
}

/* What the server asked; answers are the caller's. */
static struct message hear_request(void)
{
	struct message message;
	int fd;

	assert_int_equal(message_receive(loader, &message, &fd), 0);
	assert_int_equal(fd, -1);
	assert_int_not_equal(message.request, 0);
	return message;
}

static void answer(uint32_t request, int result, const char *text)
{
	struct message message = { .type = MESSAGE_RESULT, .request = request, .result = result };

	message_set_text(message.text, "%s", text);
	say(&message, -1);
}

/* A request in a thread of its own. */
struct asking {
	pthread_t thread;
	struct message message;
	int timeout_ms, result;
	char error[100];
	bool statistics;
};

static void *ask(void *context)
{
	struct asking *asking = context;

	if (asking->statistics)
		asking->result = control_refresh_statistics(control, asking->message.program,
							    asking->timeout_ms);
	else
		asking->result = control_request(control, &asking->message, asking->timeout_ms,
						 asking->error, sizeof(asking->error));
	return context;
}

static void begin(struct asking *asking)
{
	asking->timeout_ms = PATIENCE_MS;
	assert_int_equal(pthread_create(&asking->thread, NULL, ask, asking), 0);
}

static int end(struct asking *asking)
{
	pthread_join(asking->thread, NULL);
	return asking->result;
}

/* Everything that was said before is applied when this returns. */
static void settle(void)
{
	struct asking asking = { .message = { .type = MESSAGE_ENABLE } };

	begin(&asking);
	answer(hear_request().request, 0, "");
	assert_int_equal(end(&asking), 0);
}

static void test_applies_what_the_loader_says(void **state)
{
	struct message parameter = {
		.type = MESSAGE_PARAMETER, .program = PROGRAM, .name = "limit", .value_size = 4
	};
	struct program_view view;

	(void)state;
	/* A restarted server hears states in any order, and again. */
	say(&parameter, -1); /* nobody named the program yet: refused, and no harm */
	say_program(PROGRAM, "beat", PROGRAM_RUNNING);
	say(&parameter, -1);
	say_program(2, "pulse", PROGRAM_DISABLED);
	say_program(PROGRAM, "beat", PROGRAM_WAITING);
	say(&(struct message){ .type = MESSAGE_UNLOADED, .program = PROGRAM }, -1);
	say(&(struct message){ .type = MESSAGE_UNLOADED, .program = 77 }, -1);
	settle();
	assert_int_equal(pipeline_program_view(pipeline, PROGRAM, &view), 0);
	assert_int_equal(view.status, PROGRAM_WAITING);
	assert_int_equal(pipeline_find_program(pipeline, "pulse"), 2);
}

static void test_log_level(void **state)
{
	struct message message = { .type = MESSAGE_LOG_LEVEL, .numbers = { LOG_DEBUG } };

	(void)state;
	assert_false(log_enabled(LOG_DEBUG));
	say(&message, -1);
	settle();
	assert_true(log_enabled(LOG_DEBUG));
	message.numbers[0] = LOG_INFO;
	say(&message, -1);
	message.numbers[0] = UINT64_MAX;
	say(&message, -1);
	settle();
	assert_false(log_enabled(LOG_DEBUG));
	assert_true(log_enabled(LOG_INFO));
}

static void test_ready_is_called_once(void **state)
{
	(void)state;
	settle();
	assert_false(pipeline_ready(pipeline));
	say(&(struct message){ .type = MESSAGE_READY }, -1);
	say(&(struct message){ .type = MESSAGE_READY }, -1);
	settle();
	assert_true(pipeline_ready(pipeline));
	assert_int_equal(atomic_load(&ready_calls), 1);
}

static void test_stops_when_told(void **state)
{
	(void)state;
	stop_hearing();
	assert_int_equal(outcome, 0);
}

static void test_request_and_answer(void **state)
{
	struct asking asking = { .message = { .type = MESSAGE_DISABLE, .program = PROGRAM } };
	struct message heard;

	(void)state;
	begin(&asking);
	heard = hear_request();
	assert_int_equal(heard.type, MESSAGE_DISABLE);
	assert_int_equal(heard.program, PROGRAM);
	answer(heard.request + 1, -EIO, "of another request");
	answer(heard.request, 0, "");
	assert_int_equal(end(&asking), 0);
	assert_string_equal(asking.error, "");
}

static void test_refusal_comes_with_its_words(void **state)
{
	struct asking asking = { .message = { .type = MESSAGE_SET_PARAMETER } };

	(void)state;
	begin(&asking);
	answer(hear_request().request, -ERANGE, "limit: at most 7");
	assert_int_equal(end(&asking), -ERANGE);
	assert_string_equal(asking.error, "limit: at most 7");
}

static void test_answers_in_another_order(void **state)
{
	struct asking askings[3] = { 0 };
	uint32_t requests[3] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		askings[i].message = (struct message){ .type = MESSAGE_ENABLE, .program = i };
		begin(&askings[i]);
	}
	for (size_t i = 0; i < 3; i++) {
		struct message heard = hear_request();

		requests[heard.program] = heard.request;
	}
	assert_int_not_equal(requests[0], requests[1]);
	for (uint32_t i = 3; i-- > 0;)
		answer(requests[i], i == 1 ? -EBUSY : 0, "busy");
	assert_int_equal(end(&askings[0]), 0);
	assert_int_equal(end(&askings[1]), -EBUSY);
	assert_int_equal(end(&askings[2]), 0);
	assert_string_equal(askings[1].error, "busy");
	assert_string_equal(askings[0].error, "");
}

static void test_no_answer_in_time(void **state)
{
	struct message message = { .type = MESSAGE_ENABLE };
	char error[100] = "";

	(void)state;
	assert_int_equal(control_request(control, &message, 10, error, sizeof(error)), -ETIMEDOUT);
	assert_string_not_equal(error, "");
	/* Too late: it is nobody's, and what comes after is heard. */
	answer(hear_request().request, 0, "");
	settle();
}

static void test_loader_goes(void **state)
{
	struct asking asking = { .message = { .type = MESSAGE_ENABLE } };
	struct message message = { .type = MESSAGE_ENABLE };
	char error[100] = "";

	(void)state;
	begin(&asking);
	hear_request();
	close(loader);
	loader = -1;
	assert_int_equal(end(&asking), -EPIPE);
	end_hearing();
	assert_int_equal(outcome, -EPIPE);
	assert_int_equal(control_request(control, &message, PATIENCE_MS, error, sizeof(error)),
			 -EPIPE);
	assert_string_not_equal(error, "");
}

static void test_statistics(void **state)
{
	struct asking asking = { .message = { .program = PROGRAM }, .statistics = true };
	struct message heard, message;
	struct program_view view;

	(void)state;
	say_program(PROGRAM, "beat", PROGRAM_RUNNING);
	begin(&asking);
	heard = hear_request();
	assert_int_equal(heard.type, MESSAGE_ASK_STATISTICS);
	assert_int_equal(heard.program, PROGRAM);
	message = (struct message){ .type = MESSAGE_STATISTICS,
				    .request = heard.request,
				    .program = PROGRAM,
				    .flags = MESSAGE_FLAG_MEASURED,
				    .numbers = { 7, 1100 } };
	say(&message, -1);
	assert_int_equal(end(&asking), 0);
	assert_int_equal(pipeline_program_view(pipeline, PROGRAM, &view), 0);
	assert_true(view.statistics_known);
	assert_int_equal(view.run_count, 7);
	assert_int_equal(view.run_time_ns, 1100);

	/* A loader that cannot say so answers with a result. */
	begin(&asking);
	answer(hear_request().request, -ENOENT, "no such program");
	assert_int_equal(end(&asking), -ENOENT);
}

static void test_object_that_is_none(void **state)
{
	CLOSE int file = memfd_create("object", MFD_CLOEXEC);
	struct program_view view;

	(void)state;
	assert_int_equal(write(file, "no ELF", 6), 6);
	say_program(PROGRAM, "beat", PROGRAM_RUNNING);
	say(&(struct message){ .type = MESSAGE_OBJECT, .program = PROGRAM }, file);
	say(&(struct message){ .type = MESSAGE_OBJECT, .program = 99 }, file);
	say(&(struct message){ .type = MESSAGE_OBJECT, .program = PROGRAM }, -1);
	settle();
	assert_int_equal(pipeline_program_view(pipeline, PROGRAM, &view), 0);
	assert_int_equal(view.status, PROGRAM_FAILED);
	assert_string_not_equal(view.error, "");
}

/* With the kernel's BTF, which is let go when all objects are there and read again for a later one.
 * */
static void test_object_is_read(void **state)
{
	struct message message = { .type = MESSAGE_OBJECT, .program = PROGRAM };
	struct program_view first, second;
	CLOSE int file = open(TEST_OBJECT_DIR "/pipeline_beat.bpf.o", O_RDONLY | O_CLOEXEC);

	(void)state;
	if (kernel_btf < 0) {
		print_message("skipped: this kernel has no BTF\n");
		skip();
	}
	assert_true(file >= 0);
	say_program(PROGRAM, "pipeline_beat", PROGRAM_RUNNING);
	say(&message, file);
	settle();
	assert_int_equal(pipeline_program_view(pipeline, PROGRAM, &first), 0);
	assert_string_equal(first.error, "");
	assert_non_null(first.schema);
	assert_int_equal(first.stream_count, 1);
	assert_string_equal(first.schema->streams[0].name, "pipeline_beat");

	say(&(struct message){ .type = MESSAGE_READY }, -1);
	say(&message, file);
	settle();
	assert_int_equal(pipeline_program_view(pipeline, PROGRAM, &second), 0);
	assert_ptr_equal(second.schema, first.schema); /* nothing new: nothing added */
	assert_int_equal(pipeline_stream_count(pipeline), 1);
}

/* Every descriptor that comes is closed, whatever came with it: the other end of the pipe tells. */
static void test_descriptors_do_not_stay(void **state)
{
	static const uint32_t types[] = { MESSAGE_PROGRAM, MESSAGE_OBJECT,   MESSAGE_MAP,
					  MESSAGE_READY,   MESSAGE_UNLOADED, 4711 };
	struct pollfd polled = { .events = POLLIN };
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	say_program(PROGRAM, "beat", PROGRAM_RUNNING);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct message message = { .type = types[i], .program = PROGRAM };

		message_set_text(message.name, "beat");
		say(&message, ends[1]);
	}
	assert_int_equal(send(loader, "short", 5, 0), 5); /* no message at all */
	close(ends[1]);
	settle();
	polled.fd = ends[0];
	assert_int_equal(poll(&polled, 1, 0), 1);
	assert_true(polled.revents & POLLHUP);
	close(ends[0]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_applies_what_the_loader_says),
		TEST(test_log_level),
		TEST(test_ready_is_called_once),
		TEST(test_stops_when_told),
		TEST(test_request_and_answer),
		TEST(test_refusal_comes_with_its_words),
		TEST(test_answers_in_another_order),
		TEST(test_no_answer_in_time),
		TEST(test_loader_goes),
		TEST(test_statistics),
		TEST(test_object_that_is_none),
		cmocka_unit_test_setup_teardown(test_object_is_read, setup_with_kernel_btf,
						teardown),
		TEST(test_descriptors_do_not_stay),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
