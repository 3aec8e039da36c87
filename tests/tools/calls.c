/* SPDX-License-Identifier: MIT */
/*
 * calls [options] KIND=COUNT…: makes exactly so many system calls of each kind, in a process that
 * makes no other read or write: a child, so that what a program's start reads does not count.
 *
 * Prints {"pid"} of that process, waits for a line on standard input, lets it begin, prints
 * {"pid","made","failed"} when all are made, and keeps it until standard input ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define EXIT_UNAVAILABLE 3
#define MAX_KINDS 32
#define MAX_THREADS 64
#define BUFFER_SIZE 65536
#define DELAY_NS 20000000

struct shared {
	sem_t begin, made, end;
	uint64_t calls, failed;
};

static struct shared *shared;
static char *buffer; /* below 4 GiB, where the machine can: for the 32-bit interface */
static size_t bytes = 1;
static const char *name, *new_name; /* of the process before and after the calls */
static int zero, null, memory, empty_pipe, timer;

/* ---- kinds: each makes one call, and returns its result or -errno ---- */

static long result(long value)
{
	return value < 0 ? -errno : value;
}

static struct iovec vector(void)
{
	return (struct iovec){ .iov_base = buffer, .iov_len = bytes };
}

static long make_read(void)
{
	return result(read(zero, buffer, bytes));
}

static long make_write(void)
{
	return result(write(null, buffer, bytes));
}

static long make_readv(void)
{
	struct iovec one = vector();

	return result(readv(zero, &one, 1));
}

static long make_writev(void)
{
	struct iovec one = vector();

	return result(writev(null, &one, 1));
}

static long make_pread64(void)
{
	return result(pread(zero, buffer, bytes, 0));
}

static long make_pwrite64(void)
{
	return result(pwrite(null, buffer, bytes, 0));
}

static long make_preadv(void)
{
	struct iovec one = vector();

	return result(preadv(zero, &one, 1, 0));
}

static long make_pwritev(void)
{
	struct iovec one = vector();

	return result(pwritev(null, &one, 1, 0));
}

static long make_preadv2(void)
{
	struct iovec one = vector();

	return result(preadv2(zero, &one, 1, 0, RWF_HIPRI));
}

static long make_pwritev2(void)
{
	struct iovec one = vector();

	return result(pwritev2(null, &one, 1, 0, RWF_HIPRI));
}

static long make_read_ebadf(void)
{
	return result(syscall(SYS_read, -1, buffer, bytes));
}

static long make_write_ebadf(void)
{
	return result(syscall(SYS_write, -1, buffer, bytes));
}

static long make_read_eagain(void)
{
	return result(read(empty_pipe, buffer, bytes));
}

static long make_read_efault(void)
{
	return result(syscall(SYS_read, zero, (void *)1, bytes));
}

static long make_write_efault(void)
{
	return result(syscall(SYS_write, memory, (void *)1, bytes));
}

/* Takes 20 ms. */
static long make_read_delayed(void)
{
	const struct itimerspec when = { .it_value.tv_nsec = DELAY_NS };

	timerfd_settime(timer, 0, &when, NULL);
	return result(read(timer, buffer, 8));
}

/* Calls whose numbers mean read and write in the 32-bit interface. */
static long make_close(void)
{
	return result(close(-1));
}

static long make_number_4(void)
{
	return result(syscall(4, "/", buffer));
}

#if defined(__x86_64__)
static long make_compat(long number, int fd)
{
	long value;

	__asm__ volatile("int $0x80"
			 : "=a"(value)
			 : "a"(number), "b"(fd), "c"(buffer), "d"(bytes)
			 : "r8", "r9", "r10", "r11", "memory");
	return (int)value;
}

static long make_compat_read(void)
{
	return make_compat(3, zero);
}

static long make_compat_write(void)
{
	return make_compat(4, null);
}
#endif

static const struct kind {
	const char *name;
	long (*make)(void);
	int expected; /* -errno; 0: the bytes asked for */
} kinds[] = {
	{ "read", make_read, 0 },
	{ "write", make_write, 0 },
	{ "readv", make_readv, 0 },
	{ "writev", make_writev, 0 },
	{ "pread64", make_pread64, 0 },
	{ "pwrite64", make_pwrite64, 0 },
	{ "preadv", make_preadv, 0 },
	{ "pwritev", make_pwritev, 0 },
	{ "preadv2", make_preadv2, 0 },
	{ "pwritev2", make_pwritev2, 0 },
	{ "read-ebadf", make_read_ebadf, -EBADF },
	{ "write-ebadf", make_write_ebadf, -EBADF },
	{ "read-eagain", make_read_eagain, -EAGAIN },
	{ "read-efault", make_read_efault, -EFAULT },
	{ "write-efault", make_write_efault, -EFAULT },
	{ "read-delayed", make_read_delayed, 8 },
	{ "close", make_close, -EBADF },
	{ "number-4", make_number_4, 1 }, /* whatever it returns */
#if defined(__x86_64__)
	{ "compat-read", make_compat_read, 0 },
	{ "compat-write", make_compat_write, 0 },
#endif
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

struct order {
	const struct kind *kind;
	unsigned long count;
};

static struct order orders[MAX_KINDS];
static size_t order_count;

/* ---- making them ---- */

static void *make_all(void *argument)
{
	(void)argument;
	for (size_t i = 0; i < order_count; i++) {
		const struct kind *kind = orders[i].kind;

		for (unsigned long n = 0; n < orders[i].count; n++) {
			long value = kind->make();
			long expected = kind->expected ? kind->expected : (long)bytes;

			if (value != expected && kind->expected != 1)
				__atomic_add_fetch(&shared->failed, 1, __ATOMIC_RELAXED);
			__atomic_add_fetch(&shared->calls, 1, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

static void make_in_threads(unsigned long threads)
{
	pthread_t handles[MAX_THREADS];

	for (unsigned long i = 0; i < threads; i++) {
		if (pthread_create(&handles[i], NULL, make_all, NULL) != 0)
			_exit(EXIT_FAILURE);
	}
	for (unsigned long i = 0; i < threads; i++)
		pthread_join(handles[i], NULL);
}

/* One after another, each in a process of its own that ends at once. */
static void make_in_processes(unsigned long processes)
{
	while (processes--) {
		pid_t child = fork();

		if (child == 0) {
			make_all(NULL);
			_exit(EXIT_SUCCESS);
		}
		if (child < 0 || waitpid(child, NULL, 0) != child)
			_exit(EXIT_FAILURE);
	}
}

static _Noreturn void be_child(unsigned long threads, unsigned long processes, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	if (name)
		prctl(PR_SET_NAME, name);
	sem_post(&shared->made);
	sem_wait(&shared->begin);
	if (processes)
		make_in_processes(processes);
	else if (threads)
		make_in_threads(threads);
	else
		make_all(NULL);
	if (new_name)
		prctl(PR_SET_NAME, new_name);
	sem_post(&shared->made);
	sem_wait(&shared->end);
	_exit(EXIT_SUCCESS);
}

/* ---- beginning ---- */

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: calls [--bytes N] [--threads N] [--processes N] [--command NAME] "
			"[--rename NAME] KIND=COUNT…; kinds:");
	for (size_t i = 0; i < KIND_COUNT; i++)
		fprintf(stderr, " %s", kinds[i].name);
	fprintf(stderr, "\n");
	exit(EXIT_USAGE);
}

static void add_order(const char *text)
{
	const char *equals = strchr(text, '=');

	if (!equals || order_count == MAX_KINDS)
		usage();
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (strlen(kinds[i].name) != (size_t)(equals - text) ||
		    strncmp(kinds[i].name, text, (size_t)(equals - text)) != 0)
			continue;
		orders[order_count++] = (struct order){ &kinds[i], strtoul(equals + 1, NULL, 10) };
		return;
	}
	fprintf(stderr, "calls: there is no \"%s\" on this machine\n", text);
	exit(EXIT_UNAVAILABLE);
}

static void open_files(void)
{
	int ends[2];
	int low = 0;

#if defined(MAP_32BIT)
	low = MAP_32BIT;
#endif
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	buffer = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | low,
		      -1, 0);
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	memory = memfd_create("calls", MFD_CLOEXEC);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (shared == MAP_FAILED || buffer == MAP_FAILED || zero < 0 || null < 0 || memory < 0 ||
	    timer < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    sem_init(&shared->begin, 1, 0) < 0 || sem_init(&shared->made, 1, 0) < 0 ||
	    sem_init(&shared->end, 1, 0) < 0) {
		perror("calls");
		exit(EXIT_FAILURE);
	}
	empty_pipe = ends[0];
}

static const struct option options[] = {
	{ "bytes", required_argument, NULL, 'b' },     { "threads", required_argument, NULL, 't' },
	{ "processes", required_argument, NULL, 'p' }, { "command", required_argument, NULL, 'c' },
	{ "rename", required_argument, NULL, 'r' },    { NULL, 0, NULL, 0 },
};

int main(int argc, char **argv)
{
	unsigned long threads = 0, processes = 0;
	pid_t parent = getpid(), child;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'b')
			bytes = strtoul(optarg, NULL, 10);
		else if (c == 't')
			threads = strtoul(optarg, NULL, 10);
		else if (c == 'p')
			processes = strtoul(optarg, NULL, 10);
		else if (c == 'c')
			name = optarg;
		else if (c == 'r')
			new_name = optarg;
		else
			usage();
	}
	if (optind == argc || bytes > BUFFER_SIZE || threads > MAX_THREADS)
		usage();
	while (optind < argc)
		add_order(argv[optind++]);
	open_files();
	child = fork();
	if (child == 0)
		be_child(threads, processes, parent);
	sem_wait(&shared->made);
	printf("{\"pid\":%d}\n", child);
	fflush(stdout);
	if (getchar() == EOF)
		return EXIT_FAILURE;
	sem_post(&shared->begin);
	sem_wait(&shared->made);
	printf("{\"pid\":%d,\"made\":%llu,\"failed\":%llu}\n", child,
	       (unsigned long long)shared->calls, (unsigned long long)shared->failed);
	fflush(stdout);
	while (getchar() != EOF)
		;
	sem_post(&shared->end);
	return waitpid(child, NULL, 0) == child ? EXIT_SUCCESS : EXIT_FAILURE;
}
