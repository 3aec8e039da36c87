/* SPDX-License-Identifier: MIT */
/*
 * A thread connects where nobody answers yet, and something happens meanwhile.
 *
 * Output: {"pid","tid","connect"} before the call, `connect` being the call's number as
 * /proc/PID/task/TID/syscall shows it, so that a test can tell that the thread is in it. After a
 * line on standard input the ACTION is done. When the call returns in this process:
 * {"return_code","begin_ns","end_ns"}, 0 or -errno and CLOCK_BOOTTIME around the call.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

#define EXIT_USAGE 2

struct call {
	struct sockaddr_storage address;
	socklen_t length;
	int timeout_ms;
	pthread_t thread;
};

static uint64_t boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Ends the process itself: the main thread may be gone by then. */
static void *connect_and_tell(void *argument)
{
	const struct call *call = argument;
	const struct timeval timeout = {
		.tv_sec = call->timeout_ms / 1000,
		.tv_usec = call->timeout_ms % 1000 * 1000,
	};
	CLOSE int fd = socket(call->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t begin, end;
	int result;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0) {
		perror("stall: socket");
		exit(EXIT_FAILURE);
	}
	printf("{\"pid\":%d,\"tid\":%d,\"connect\":%d}\n", getpid(), gettid(), SYS_connect);
	fflush(stdout);
	begin = boot_ns();
	result = syscall(SYS_connect, fd, &call->address, call->length) < 0 ? -errno : 0;
	end = boot_ns();
	printf("{\"return_code\":%d,\"begin_ns\":%llu,\"end_ns\":%llu}\n", result,
	       (unsigned long long)begin, (unsigned long long)end);
	exit(EXIT_SUCCESS);
}

static void *exit_at_once(void *argument)
{
	return argument;
}

static void do_nothing(struct call *call)
{
	(void)call;
}

static void thread_exits(struct call *call)
{
	pthread_t other;

	(void)call;
	if (pthread_create(&other, NULL, exit_at_once, NULL) == 0)
		pthread_join(other, NULL);
}

static void main_exits(struct call *call)
{
	(void)call;
	pthread_exit(NULL);
}

static void process_exits(struct call *call)
{
	(void)call;
	_exit(EXIT_SUCCESS);
}

static void exec_other(struct call *call)
{
	(void)call;
	execl("/bin/true", "true", NULL);
	perror("stall: /bin/true");
	_exit(EXIT_FAILURE);
}

static void on_signal(int number)
{
	(void)number;
}

static void send_signal(struct call *call, int flags)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

	sigaction(SIGUSR1, &action, NULL);
	pthread_kill(call->thread, SIGUSR1);
}

static void interrupt(struct call *call)
{
	send_signal(call, 0);
}

static void interrupt_and_restart(struct call *call)
{
	send_signal(call, SA_RESTART);
}

static const struct {
	const char *name;
	void (*act)(struct call *call);
} actions[] = {
	{ "nothing", do_nothing },
	{ "thread-exits", thread_exits },
	{ "main-exits", main_exits },
	{ "process-exits", process_exits },
	{ "exec", exec_other },
	{ "interrupt", interrupt },
	{ "interrupt-and-restart", interrupt_and_restart },
};

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: stall ACTION SOCKADDR [TIMEOUT_MS]\n"
			"SOCKADDR in hexadecimal; SO_SNDTIMEO, 0 for none\nactions:");
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		fprintf(stderr, " %s", actions[i].name);
	fputc('\n', stderr);
	exit(EXIT_USAGE);
}

static void parse_address(const char *text, struct call *call)
{
	unsigned char *bytes = (unsigned char *)&call->address;
	size_t length = strlen(text) / 2;
	unsigned int byte;

	if (length > sizeof(call->address) || strlen(text) % 2)
		usage();
	for (size_t i = 0; i < length; i++) {
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			usage();
		bytes[i] = (unsigned char)byte;
	}
	call->length = (socklen_t)length;
}

int main(int argc, char **argv)
{
	static struct call call; /* outlives the main thread */
	size_t i = 0;
	int c;

	if (argc != 3 && argc != 4)
		usage();
	while (i < ARRAY_SIZE(actions) && strcmp(actions[i].name, argv[1]))
		i++;
	if (i == ARRAY_SIZE(actions))
		usage();
	parse_address(argv[2], &call);
	call.timeout_ms = argc == 4 ? atoi(argv[3]) : 0;
	if (pthread_create(&call.thread, NULL, connect_and_tell, &call) != 0) {
		perror("stall: thread");
		return EXIT_FAILURE;
	}
	do
		c = getchar();
	while (c != '\n' && c != EOF);
	actions[i].act(&call);
	pthread_join(call.thread, NULL);
	return EXIT_FAILURE; /* not reached: the thread ends the process */
}
