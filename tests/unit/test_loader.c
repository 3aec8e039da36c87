/* SPDX-License-Identifier: MIT */
/*
 * loader/loader.h as a whole, with a server that only reports. Each loader is a child of the test;
 * its server writes a line for each thing it hears to standard output, which the test reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/memory.h"
#include "loader/kernel_features.h"
#include "loader/loader.h"

#define DEADLINE_MS 20000
#define PROGRAM "connection"
#define STORED 41

/* ---- the server ---- */

static void report(const struct server_start *start, const struct message *message, int fd)
{
	switch (message->type) {
	case MESSAGE_PROGRAM:
		if (message->status != PROGRAM_DISABLED)
			printf("%s %s\n", message->name,
			       program_status_name((enum program_status)message->status));
		break;
	case MESSAGE_MAP:
		printf("map %s %s\n", message->name, fd >= 0 ? "with fd" : "without fd");
		break;
	case MESSAGE_UNLOADED:
		printf("unloaded %u\n", message->program);
		break;
	case MESSAGE_PARAMETER:
		printf("parameter %s %u\n", message->name, message->value[0]);
		break;
	case MESSAGE_RESULT:
		printf("result %u %d %s\n", message->request, message->result, message->text);
		break;
	case MESSAGE_STATISTICS:
		printf("statistics %u\n", message->request);
		break;
	case MESSAGE_READY:
		printf("ready forgotten %llu\n", (unsigned long long)start->accounts[0].forgotten);
		start->accounts[0].stored = STORED;
		break;
	default:
		break;
	}
	fflush(stdout);
}

static void ask(const struct server_start *start, enum message_type type, uint32_t request,
		uint32_t program, uint32_t size)
{
	struct message message = {
		.type = type, .request = request, .program = program, .value_size = size
	};

	message.value[0] = 5;
	message_set_text(message.name, "sample");
	message_set_text(message.text, "enough");
	message_send(start->socket, &message, -1);
}

static uint32_t number_of_program;
/* What the first server asks for when everything is ready. */
static void (*requests)(const struct server_start *start);

/* As every server does before anything else: the loader waits for it. */
static void tell_lists(const struct server_start *start)
{
	for (enum shared_list list = 0; list < SHARED_LISTS; list++) {
		struct message message = { .type = MESSAGE_SET_LIST, .numbers = { list } };

		message_send(start->socket, &message, -1);
	}
}

static int reporting_server(const struct server_start *start)
{
	sigset_t stop;
	int signals;

	tell_lists(start);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	signals = signalfd(-1, &stop, SFD_CLOEXEC);
	printf("server %d generation %u %s\n", getpid(), start->generation,
	       getuid() ? "confined" : "root");
	fflush(stdout);
	for (;;) {
		struct pollfd entries[] = { { .fd = signals, .events = POLLIN },
					    { .fd = start->socket, .events = POLLIN } };
		struct message message;
		int fd = -1, r;

		poll(entries, 2, -1);
		if (entries[0].revents) {
			printf("told to end\n");
			return 0;
		}
		r = message_receive(start->socket, &message, &fd);
		if (r < 0) {
			printf("loader gone %s\n", strerror(-r));
			return 1;
		}
		if (message.type == MESSAGE_PROGRAM && !strcmp(message.name, PROGRAM))
			number_of_program = message.program;
		report(start, &message, fd);
		memory_close_fd(&fd);
		if (message.type == MESSAGE_READY && start->generation == 0 && requests)
			requests(start);
	}
}

/* ---- a loader ---- */

struct run {
	pid_t loader;
	int output;
	char text[65536]; /* all that was read so far */
	size_t length;
};

static struct run start(char *const *arguments)
{
	struct run run = { .loader = -1 };
	int pipes[2];

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	run.loader = fork();
	assert_true(run.loader >= 0);
	if (run.loader == 0) {
		CLEANUP(config) struct config *config = NULL;
		int count = 0, status = 2;

		dup2(pipes[1], STDOUT_FILENO);
		dup2(pipes[1], STDERR_FILENO);
		while (arguments[count])
			count++;
		if (config_parse(count, (char **)(uintptr_t)arguments, &config) == CONFIG_RUN)
			status = loader_run(config, count, (char **)(uintptr_t)arguments,
					    reporting_server);
		fflush(NULL);
		_exit(status);
	}
	close(pipes[1]);
	run.output = pipes[0];
	return run;
}

/* One more piece of output; false at its end. */
static bool read_more(struct run *run, uint64_t deadline)
{
	struct pollfd entry = { .fd = run->output, .events = POLLIN };
	uint64_t now = clock_boot_ns();
	ssize_t got;

	if (now > deadline || poll(&entry, 1, (int)((deadline - now) / NS_PER_MS) + 1) != 1)
		fail_msg("waited too long; so far:\n%s", run->text);
	got = read(run->output, run->text + run->length, sizeof(run->text) - 1 - run->length);
	assert_true(got >= 0);
	run->length += (size_t)got;
	run->text[run->length] = '\0';
	return got > 0;
}

/* Reads until the output has `words`, after `from`; returns where. */
static const char *await(struct run *run, const char *from, const char *words)
{
	uint64_t deadline = clock_boot_ns() + DEADLINE_MS * NS_PER_MS;
	size_t start = from ? (size_t)(from - run->text) : 0;
	const char *found;

	while (!(found = strstr(run->text + start, words))) {
		if (!read_more(run, deadline))
			fail_msg("\"%s\" did not come; output:\n%s", words, run->text);
	}
	return found;
}

/* Reads to the end of the output, which is the end of loader and server. Returns the exit
 * status. */
static int finish(struct run *run)
{
	uint64_t deadline = clock_boot_ns() + DEADLINE_MS * NS_PER_MS;
	int status;

	while (read_more(run, deadline))
		;
	close(run->output);
	assert_int_equal(waitpid(run->loader, &status, 0), run->loader);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static pid_t server_pid(struct run *run, const char *from)
{
	const char *line = await(run, from, "server ");

	await(run, line, "\n");
	return (pid_t)strtol(line + strlen("server "), NULL, 10);
}

static size_t count_words(const char *text, const char *words)
{
	size_t count = 0;

	while ((text = strstr(text, words))) {
		text += strlen(words);
		count++;
	}
	return count;
}

#define ARGUMENTS(...)                                                                             \
	(char *[])                                                                                 \
	{                                                                                          \
		(char[]){ "ebpf-server" }, __VA_ARGS__, NULL                                       \
	}
#define WORD(text)                                                                                 \
	(char[])                                                                                   \
	{                                                                                          \
		text                                                                               \
	}
#define USUAL WORD("--addr=127.0.0.1:0"), WORD("--metrics-addr=off"), WORD("--programs=" PROGRAM)

/* Runs the test that is its state. */
static void on_kernel(void **state)
{
	char error[MESSAGE_TEXT_SIZE];

	if (kernel_check(error, sizeof(error)) < 0) {
		print_message("skipped: %s\n", error);
		skip();
	}
	requests = NULL;
	((CMUnitTestFunction)*state)(state);
}

/* ---- tests ---- */

static void a_signal_ends_it_in_order(void **state)
{
	struct run run = start(ARGUMENTS(USUAL));
	const char *at;

	(void)state;
	at = await(&run, NULL, "generation 0 confined\n");
	at = await(&run, at, PROGRAM " loading\n");
	at = await(&run, at, "map " PROGRAM " with fd\n");
	at = await(&run, at, PROGRAM " running\n");
	await(&run, at, "ready forgotten 0\n");
	assert_non_null(strstr(run.text, "map " PROGRAM "_ledger with fd\n"));
	assert_int_equal(kill(run.loader, SIGTERM), 0);
	assert_int_equal(finish(&run), 0);
	assert_non_null(strstr(run.text, "told to end\n"));
}

static void a_dead_server_is_started_again(void **state)
{
	struct run run = start(ARGUMENTS(USUAL));
	const char *at = NULL;
	pid_t first, second;

	(void)state;
	first = server_pid(&run, NULL);
	at = await(&run, NULL, "ready forgotten 0\n");
	assert_int_equal(kill(first, SIGKILL), 0);
	at = await(&run, at, "killed by signal 9");
	await(&run, at, "generation 1 confined\n");
	second = server_pid(&run, at + 1);
	assert_int_not_equal(first, second);
	/* Everything is told again, and what the dead one held is gone. */
	at = await(&run, at, "map " PROGRAM " with fd\n");
	at = await(&run, at, PROGRAM " running\n");
	at = await(&run, at, "ready forgotten 41\n");
	assert_int_equal(kill(run.loader, SIGINT), 0);
	assert_int_equal(finish(&run), 0);
	/* The program itself was not touched. */
	assert_int_equal(count_words(run.text, PROGRAM ": attached"), 1);
	assert_null(strstr(run.text, "unloaded"));
}

static void the_server_ends_with_the_loader(void **state)
{
	struct run run = start(ARGUMENTS(USUAL));

	(void)state;
	await(&run, NULL, "ready");
	assert_int_equal(kill(run.loader, SIGKILL), 0);
	/* The end of the output: the server, which had it open, is gone. */
	assert_int_equal(finish(&run), -SIGKILL);
	assert_true(strstr(run.text, "loader gone") || strstr(run.text, "told to end"));
}

static void ask_everything(const struct server_start *start)
{
	ask(start, MESSAGE_ASK_STATISTICS, 1, number_of_program, 0);
	ask(start, MESSAGE_SET_PARAMETER, 2, number_of_program, 4);
	ask(start, MESSAGE_SET_PARAMETER, 3, number_of_program, 8);
	ask(start, MESSAGE_DISABLE, 4, number_of_program, 0);
	ask(start, MESSAGE_ASK_STATISTICS, 5, number_of_program, 0);
	ask(start, MESSAGE_ENABLE, 6, number_of_program, 0);
	ask(start, MESSAGE_ENABLE, 7, MESSAGE_MAX_PROGRAMS, 0);
	ask(start, MESSAGE_STOP, 0, 0, 0);
}

static void requests_are_carried_out_and_answered(void **state)
{
	struct run run;
	const char *at;

	(void)state;
	requests = ask_everything;
	run = start(ARGUMENTS(USUAL));
	at = await(&run, NULL, "ready");
	at = await(&run, at, "statistics 1\n");
	at = await(&run, at, "parameter sample 5\n");
	at = await(&run, at, "result 2 0 \n");
	at = await(&run, at, "result 3 -22 not a value of this parameter\n");
	at = await(&run, at, "unloaded ");
	at = await(&run, at, "result 4 0 \n");
	at = await(&run, at, "statistics 5\n");
	at = await(&run, at, "map " PROGRAM " with fd\n");
	at = await(&run, at, PROGRAM " running\n");
	at = await(&run, at, "result 6 0 \n");
	await(&run, at, "result 7 -2 no such program\n");
	assert_int_equal(finish(&run), 0);
	assert_non_null(strstr(run.text, "info stopping: enough"));
}

static void ask_nonsense(const struct server_start *start)
{
	ask(start, (enum message_type)MESSAGE_READY, 1, 0, 0);
}

static void a_server_that_talks_nonsense_is_replaced(void **state)
{
	struct run run;
	const char *at;

	(void)state;
	requests = ask_nonsense;
	run = start(ARGUMENTS(USUAL));
	at = await(&run, NULL, "it sent what is no request");
	at = await(&run, at, "generation 1 confined\n");
	await(&run, at, "ready");
	assert_int_equal(kill(run.loader, SIGTERM), 0);
	assert_int_equal(finish(&run), 0);
}

static void write_config(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void a_changed_configuration_is_applied(void **state)
{
	char path[] = "/tmp/ebpf-server-test-XXXXXX", option[64];
	CLOSE int fd = mkstemp(path);
	struct run run;
	const char *at;

	(void)state;
	assert_true(fd >= 0);
	snprintf(option, sizeof(option), "--config=%s", path);
	write_config(path, "[server]\ndisable = " PROGRAM "\n");
	run = start(ARGUMENTS(WORD("--addr=127.0.0.1:0"), WORD("--metrics-addr=off"), option));
	at = await(&run, NULL, "ready");
	assert_null(strstr(run.text, PROGRAM ": attached"));

	write_config(path, "[server]\nprograms = " PROGRAM "\nmemory = 128M\n[" PROGRAM
			   "]\nsample = 7\n");
	assert_int_equal(kill(run.loader, SIGHUP), 0);
	at = await(&run, at, "configuration read again");
	await(&run, NULL, "at the next start: memory\n");
	await(&run, NULL, "parameter sample 7\n");
	await(&run, NULL, PROGRAM " running\n");

	write_config(path, "[server]\nprograms = nonesuch\n");
	assert_int_equal(kill(run.loader, SIGHUP), 0);
	await(&run, at, "it stays as it was: ");

	write_config(path, "[server]\ndisable = " PROGRAM "\n");
	assert_int_equal(kill(run.loader, SIGHUP), 0);
	await(&run, at, "unloaded ");
	assert_int_equal(kill(run.loader, SIGTERM), 0);
	assert_int_equal(finish(&run), 0);
	unlink(path);
}

static void a_port_in_use_is_one_clear_line(void **state)
{
	CLOSE int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	char api[64], metrics[64];
	struct run run;

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	snprintf(api, sizeof(api), "--addr=127.0.0.1:%u", ntohs(address.sin_port));
	snprintf(metrics, sizeof(metrics), "--metrics-addr=127.0.0.1:%u", ntohs(address.sin_port));

	run = start(ARGUMENTS(api));
	assert_int_equal(finish(&run), 1);
	assert_non_null(strstr(run.text, "is already in use"));
	assert_int_equal(count_words(run.text, "\n"), 1);

	run = start(ARGUMENTS(WORD("--addr=127.0.0.1:0"), metrics));
	assert_int_equal(finish(&run), 1);
	assert_non_null(strstr(run.text, "--metrics-addr"));
	assert_int_equal(count_words(run.text, "\n"), 1);
}

static void expect_usage_error(char *option, const char *words)
{
	struct run run = start(ARGUMENTS(option));

	assert_int_equal(finish(&run), 2);
	if (!strstr(run.text, words))
		fail_msg("\"%s\" is not in: %s", words, run.text);
	assert_int_equal(count_words(run.text, "\n"), 1);
}

static void wrong_names_and_values_are_usage_errors(void **state)
{
	struct run run;

	(void)state;
	expect_usage_error(WORD("--programs=nonesuch"), PROGRAM);
	expect_usage_error(WORD("--enable=nonesuch"), "\"nonesuch\"");
	expect_usage_error(WORD("--disable=nonesuch"), "\"nonesuch\"");
	expect_usage_error(WORD("--set=nonesuch.sample=1"), "\"nonesuch\"");
	expect_usage_error(WORD("--set=" PROGRAM ".nonesuch=1"), "sample");
	expect_usage_error(WORD("--set=" PROGRAM ".sample=many"), "many");
	run = start(ARGUMENTS(WORD("--check-config"), WORD("--set=" PROGRAM ".sample=3")));
	assert_int_equal(finish(&run), 0);
	assert_string_equal(run.text, "configuration is valid\n");
}

#define ON_KERNEL(test)                                                                            \
	{                                                                                          \
		.name = #test, .test_func = on_kernel, .initial_state = (void *)(test)             \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_KERNEL(a_signal_ends_it_in_order),
		ON_KERNEL(a_dead_server_is_started_again),
		ON_KERNEL(the_server_ends_with_the_loader),
		ON_KERNEL(requests_are_carried_out_and_answered),
		ON_KERNEL(a_server_that_talks_nonsense_is_replaced),
		ON_KERNEL(a_changed_configuration_is_applied),
		ON_KERNEL(a_port_in_use_is_one_clear_line),
		cmocka_unit_test(wrong_names_and_values_are_usage_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
