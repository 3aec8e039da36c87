/* SPDX-License-Identifier: MIT */
/*
 * sequence RATE MOST FILE: connects a UDP socket at a rate, each time to another address that tells
 * the call's number: 127.A.B.C, of which A, B and C are the number's bytes from the highest on.
 * When call n has returned, the time (CLOCK_BOOTTIME, ns) stands in FILE as 64-bit integer n, for
 * whoever looks at it meanwhile. Ends after MOST calls, or by a signal.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define NS_PER_SECOND 1000000000ULL
#define PORT 4242
#define MOST_NUMBERS (1u << 24)
/* The clock is waited for once in so many calls. */
#define BATCH 16

static uint64_t clock_now(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
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

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	const uint64_t begin = clock_now(CLOCK_MONOTONIC);
	uint64_t rate, most;
	uint64_t *times;
	int file, fd;

	if (argc != 4) {
		fprintf(stderr, "usage: sequence RATE MOST FILE\n");
		return EXIT_USAGE;
	}
	rate = strtoull(argv[1], NULL, 10);
	most = strtoull(argv[2], NULL, 10);
	if (!rate || !most || most > MOST_NUMBERS) {
		fprintf(stderr, "sequence: a rate, and at most %u calls\n", MOST_NUMBERS);
		return EXIT_USAGE;
	}
	file = open(argv[3], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (file < 0 || fd < 0 || ftruncate(file, (off_t)(most * sizeof(*times))) < 0) {
		perror("sequence");
		return EXIT_FAILURE;
	}
	times = mmap(NULL, most * sizeof(*times), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (times == MAP_FAILED) {
		perror("sequence");
		return EXIT_FAILURE;
	}
	for (uint64_t i = 0; i < most; i++) {
		if (i % BATCH == 0)
			wait_until(begin + i * NS_PER_SECOND / rate);
		address.sin_addr.s_addr = htonl(127u << 24 | (uint32_t)i);
		if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
			perror("sequence");
			return EXIT_FAILURE;
		}
		__atomic_store_n(&times[i], clock_now(CLOCK_BOOTTIME), __ATOMIC_RELEASE);
	}
	return EXIT_SUCCESS;
}
