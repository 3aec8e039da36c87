/* SPDX-License-Identifier: MIT */
/*
 * Connects a UDP socket over and over, as fast as it can or at a given rate, and says as JSON how
 * many calls it made: {"pid","made","failed","nanoseconds","threads":[{"tid","made"},...]}.
 * connect(2) on a UDP socket sends nothing: what is measured is the call and who observes it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

#define EXIT_USAGE 2
#define NS_PER_SECOND 1000000000ULL
#define MAX_THREADS 256
/* The clock is asked once in so many calls. */
#define BATCH 64

struct storm {
	uint64_t count;	      /* of each thread; 0: until the time is over */
	uint64_t nanoseconds; /* 0: until the count is made */
	uint64_t rate;	      /* calls a second of each thread; 0: as fast as it goes */
	struct sockaddr_in address;
	pthread_barrier_t barrier;
};

struct thread {
	struct storm *storm;
	pthread_t handle;
	pid_t tid;
	uint64_t made, failed;
};

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static void wait_until(uint64_t ns)
{
	struct timespec when = {
		.tv_sec = (time_t)(ns / NS_PER_SECOND),
		.tv_nsec = (long)(ns % NS_PER_SECOND),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
		;
}

static void *run_thread(void *argument)
{
	struct thread *thread = argument;
	struct storm *storm = thread->storm;
	const struct sockaddr *address = (const struct sockaddr *)&storm->address;
	CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t begin;

	thread->tid = gettid();
	pthread_barrier_wait(&storm->barrier);
	begin = monotonic_ns();
	while (!storm->count || thread->made < storm->count) {
		if (thread->made % BATCH == 0) {
			if (storm->rate)
				wait_until(begin + thread->made * NS_PER_SECOND / storm->rate);
			if (storm->nanoseconds && monotonic_ns() - begin >= storm->nanoseconds)
				break;
		}
		if (connect(fd, address, sizeof(storm->address)) < 0)
			thread->failed++;
		thread->made++;
	}
	return NULL;
}

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: storm [options]\n"
		"  --count N      calls of each thread\n"
		"  --seconds S    or as many as go in that time\n"
		"  --threads N    (1)\n"
		"  --rate N       calls a second of each thread; 0: as fast as it goes (0)\n"
		"  --command NAME name of the process\n"
		"  --to IP:PORT   (127.0.0.1:9)\n");
	exit(EXIT_USAGE);
}

static double parse_positive(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0) || value > 1e15)
		usage();
	return value;
}

static void parse_address(char *text, struct sockaddr_in *address)
{
	char *colon = strrchr(text, ':');

	if (!colon)
		usage();
	*colon = '\0';
	address->sin_port = htons((uint16_t)parse_positive(colon + 1));
	if (inet_pton(AF_INET, text, &address->sin_addr) != 1)
		usage();
}

static const struct option long_options[] = {
	{ "count", required_argument, NULL, 'n' },
	{ "seconds", required_argument, NULL, 's' },
	{ "threads", required_argument, NULL, 't' },
	{ "rate", required_argument, NULL, 'r' },
	{ "command", required_argument, NULL, 'c' },
	{ "to", required_argument, NULL, 'a' },
	{ NULL, 0, NULL, 0 },
};

static void print_result(const struct thread *threads, unsigned int count, uint64_t nanoseconds)
{
	uint64_t made = 0, failed = 0;

	for (unsigned int i = 0; i < count; i++) {
		made += threads[i].made;
		failed += threads[i].failed;
	}
	printf("{\"pid\":%d,\"made\":%llu,\"failed\":%llu,\"nanoseconds\":%llu,\"threads\":[",
	       getpid(), (unsigned long long)made, (unsigned long long)failed,
	       (unsigned long long)nanoseconds);
	for (unsigned int i = 0; i < count; i++)
		printf("%s{\"tid\":%d,\"made\":%llu}", i ? "," : "", threads[i].tid,
		       (unsigned long long)threads[i].made);
	printf("]}\n");
}

int main(int argc, char **argv)
{
	struct storm storm = {
		.address = { .sin_family = AF_INET,
			     .sin_port = htons(9),
			     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
	};
	FREE struct thread *threads = NULL;
	unsigned int count = 1;
	uint64_t begin;
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 'n':
			storm.count = (uint64_t)parse_positive(optarg);
			break;
		case 's':
			storm.nanoseconds = (uint64_t)(parse_positive(optarg) * 1e9);
			break;
		case 't':
			count = (unsigned int)parse_positive(optarg);
			break;
		case 'r':
			storm.rate = (uint64_t)parse_positive(optarg);
			break;
		case 'c':
			prctl(PR_SET_NAME, optarg);
			break;
		case 'a':
			parse_address(optarg, &storm.address);
			break;
		default:
			usage();
		}
	}
	if (optind != argc || count < 1 || count > MAX_THREADS ||
	    (!storm.count && !storm.nanoseconds))
		usage();

	threads = calloc(count, sizeof(*threads));
	if (!threads)
		return EXIT_FAILURE;
	pthread_barrier_init(&storm.barrier, NULL, count + 1);
	for (unsigned int i = 0; i < count; i++) {
		threads[i].storm = &storm;
		if (pthread_create(&threads[i].handle, NULL, run_thread, &threads[i]) != 0) {
			perror("storm: thread");
			return EXIT_FAILURE;
		}
	}
	pthread_barrier_wait(&storm.barrier);
	begin = monotonic_ns();
	for (unsigned int i = 0; i < count; i++)
		pthread_join(threads[i].handle, NULL);
	print_result(threads, count, monotonic_ns() - begin);
	return EXIT_SUCCESS;
}
