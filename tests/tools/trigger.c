/* SPDX-License-Identifier: MIT */
/*
 * Makes exactly the connect(2) calls that it is asked for and says as JSON what user space saw, so
 * that a test can compare every event with the call that caused it.
 *
 * Output: {"pid","uid","gid","calls":[{"tid","fd","return_code","begin_ns","end_ns"},...]} where
 * return_code is 0 or -errno and the times are CLOCK_BOOTTIME around the call. Exit status 3 and a
 * line on standard error when this kernel has no such socket; 2 for wrong usage.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

#define EXIT_USAGE 2
#define EXIT_UNAVAILABLE 3
#define BAD_POINTER ((const void *)8)
#define MAX_THREADS 1000

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
		struct sockaddr_nl nl;
		struct sockaddr_vm vm;
		uint8_t bytes[sizeof(struct sockaddr_storage)];
	};
	int length;
};

struct kind {
	const char *name;
	int family, type, protocol;
	bool (*parse)(char *text, struct address *ret_address);
};

enum target { TARGET_SOCKET, TARGET_CLOSED, TARGET_PIPE, TARGET_NUMBER };

struct options {
	const struct kind *kind;
	struct address address;
	unsigned int count, threads;
	enum target target;
	int signal_after_ms;
	int send_bytes; /* -1: nothing is sent */
	int number;	/* of TARGET_NUMBER */
	int mapped;	/* -1: all of the address */
	bool nonblocking, bad_pointer, cold, same_socket, wait, stay;
	const void *pointer; /* where the address lies in memory */
};

struct call {
	pid_t tid;
	int fd, return_code;
	uint64_t begin_ns, end_ns;
};

struct thread {
	const struct options *options;
	pthread_barrier_t *barrier;
	struct call *calls;
	int error; /* of socket(2) */
};

static void fail(const char *format, const char *text)
{
	fprintf(stderr, "trigger: ");
	fprintf(stderr, format, text);
	fputc('\n', stderr);
	exit(EXIT_USAGE);
}

static int parse_number(const char *text)
{
	char *end;
	long value = strtol(text, &end, 0);

	if (end == text || *end || value < INT32_MIN || value > INT32_MAX)
		fail("'%s' is not a number", text);
	return (int)value;
}

/* Splits at the last colon: "127.0.0.1:80", "[::1]:80". */
static bool split_port(char *text, in_port_t *ret_port)
{
	char *colon = strrchr(text, ':');

	if (!colon)
		return false;
	*colon = '\0';
	*ret_port = htons((uint16_t)parse_number(colon + 1));
	return true;
}

static bool parse_inet(char *text, struct address *address)
{
	address->in.sin_family = AF_INET;
	address->length = sizeof(address->in);
	return split_port(text, &address->in.sin_port) &&
	       inet_pton(AF_INET, text, &address->in.sin_addr) == 1;
}

static bool parse_inet6(char *text, struct address *address)
{
	char *close, *scope;

	address->in6.sin6_family = AF_INET6;
	address->length = sizeof(address->in6);
	if (!split_port(text, &address->in6.sin6_port) || text[0] != '[')
		return false;
	close = strchr(text, ']');
	if (!close)
		return false;
	*close = '\0';
	scope = strchr(text, '%');
	if (scope) {
		*scope = '\0';
		address->in6.sin6_scope_id = if_nametoindex(scope + 1);
	}
	return inet_pton(AF_INET6, text + 1, &address->in6.sin6_addr) == 1;
}

/* "@name" is an abstract socket. A path of 108 bytes fills the field and has no NUL. */
static bool parse_unix(char *text, struct address *address)
{
	size_t length = strlen(text);

	address->un.sun_family = AF_UNIX;
	if (length == 0 || length > sizeof(address->un.sun_path))
		return false;
	memcpy(address->un.sun_path, text, length);
	if (text[0] == '@')
		address->un.sun_path[0] = '\0';
	else if (length < sizeof(address->un.sun_path))
		length++;
	address->length = (int)(offsetof(struct sockaddr_un, sun_path) + length);
	return true;
}

static bool parse_netlink(char *text, struct address *address)
{
	address->nl.nl_family = AF_NETLINK;
	address->nl.nl_pid = (uint32_t)parse_number(text);
	address->length = sizeof(address->nl);
	return true;
}

/* "CID:PORT" */
static bool parse_vsock(char *text, struct address *address)
{
	char *colon = strchr(text, ':');

	address->vm.svm_family = AF_VSOCK;
	address->length = sizeof(address->vm);
	if (!colon)
		return false;
	*colon = '\0';
	address->vm.svm_cid = (uint32_t)parse_number(text);
	address->vm.svm_port = (uint32_t)parse_number(colon + 1);
	return true;
}

/* AF_UNSPEC: a datagram socket forgets its peer. */
static bool parse_unspec(char *text, struct address *address)
{
	address->length = sizeof(address->in);
	return !strcmp(text, "-");
}

static bool parse_hex(const char *text, struct address *address)
{
	size_t length = strlen(text) / 2;
	char digits[3] = "";
	char *end;

	if (strlen(text) % 2 || length > sizeof(address->bytes))
		return false;
	for (size_t i = 0; i < length; i++) {
		memcpy(digits, text + i * 2, 2);
		address->bytes[i] = (uint8_t)strtoul(digits, &end, 16);
		if (*end)
			return false;
	}
	address->length = (int)length;
	return true;
}

static const struct kind kinds[] = {
	{ "tcp4", AF_INET, SOCK_STREAM, 0, parse_inet },
	{ "udp4", AF_INET, SOCK_DGRAM, 0, parse_inet },
	{ "udplite4", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, parse_inet },
	{ "mptcp4", AF_INET, SOCK_STREAM, IPPROTO_MPTCP, parse_inet },
	{ "sctp4", AF_INET, SOCK_STREAM, IPPROTO_SCTP, parse_inet },
	{ "sctp4-many", AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP, parse_inet },
	{ "icmp4", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, parse_inet },
	{ "raw4", AF_INET, SOCK_RAW, IPPROTO_ICMP, parse_inet },
	{ "rawip4", AF_INET, SOCK_RAW, IPPROTO_RAW, parse_inet },
	{ "tcp6", AF_INET6, SOCK_STREAM, 0, parse_inet6 },
	{ "udp6", AF_INET6, SOCK_DGRAM, 0, parse_inet6 },
	{ "sctp6", AF_INET6, SOCK_STREAM, IPPROTO_SCTP, parse_inet6 },
	{ "icmp6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, parse_inet6 },
	{ "raw6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, parse_inet6 },
	{ "unix", AF_UNIX, SOCK_STREAM, 0, parse_unix },
	{ "unix-dgram", AF_UNIX, SOCK_DGRAM, 0, parse_unix },
	{ "unix-seqpacket", AF_UNIX, SOCK_SEQPACKET, 0, parse_unix },
	{ "netlink", AF_NETLINK, SOCK_RAW, 0, parse_netlink },
	{ "vsock", AF_VSOCK, SOCK_STREAM, 0, parse_vsock },
	{ "unspec", AF_INET, SOCK_DGRAM, 0, parse_unspec },
};

static uint64_t boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The descriptor to connect: a socket, the number of one that was closed, or a pipe's end. */
static int open_target(const struct options *options)
{
	const struct kind *kind = options->kind;
	int pipes[2];
	int fd;

	if (options->target == TARGET_PIPE) {
		if (pipe2(pipes, O_CLOEXEC) < 0)
			return -errno;
		close(pipes[1]);
		return pipes[0];
	}
	fd = socket(kind->family, kind->type | SOCK_CLOEXEC, kind->protocol);
	if (fd < 0)
		return -errno;
	if (options->nonblocking)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	if (options->target == TARGET_CLOSED)
		close(fd);
	return fd;
}

static int connect_target(int fd, const struct options *options)
{
	if (options->target == TARGET_NUMBER)
		fd = options->number;
	/* Not libc's wrapper: it may be intercepted, and sanitisers look at the pointer. */
	return syscall(SYS_connect, fd, options->pointer, options->address.length) < 0 ? -errno : 0;
}

/*
 * Two pages of which the second cannot be read, with the first `mapped` bytes of the address at the
 * end of the first. `cold` pages are in no page table before the kernel itself touches them.
 */
static const void *place_address(const struct options *options)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const size_t all = sizeof(options->address.bytes);
	const size_t mapped = options->mapped < 0 ? all : (size_t)options->mapped;
	CLOSE int fd = memfd_create("address", MFD_CLOEXEC);
	char *pages;

	if (fd < 0 || ftruncate(fd, (off_t)page) < 0 ||
	    pwrite(fd, options->address.bytes, mapped, (off_t)(page - mapped)) != (ssize_t)mapped)
		return NULL;
	pages = mmap(NULL, 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED ||
	    mmap(pages, page, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return NULL;
	if (!options->cold)
		(void)*(volatile char *)pages;
	return pages + page - mapped;
}

static void send_payload(int fd, int bytes)
{
	static const char payload[65536];

	/* What becomes of it is what the test is about. */
	(void)!send(fd, payload, (size_t)bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void *run_thread(void *argument)
{
	struct thread *thread = argument;
	const struct options *options = thread->options;
	pid_t tid = gettid();
	int fd = -1;

	pthread_barrier_wait(thread->barrier);
	for (unsigned int i = 0; i < options->count; i++) {
		struct call *call = &thread->calls[i];

		if (fd < 0)
			fd = open_target(options);
		if (fd < 0) {
			thread->error = -fd;
			return NULL;
		}
		call->tid = tid;
		call->fd = fd;
		call->begin_ns = boot_ns();
		call->return_code = connect_target(fd, options);
		call->end_ns = boot_ns();
		if (options->send_bytes >= 0)
			send_payload(fd, options->send_bytes);
		if (options->same_socket)
			continue;
		if (options->target != TARGET_CLOSED)
			close(fd);
		fd = -1;
	}
	return NULL;
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* One signal, without SA_RESTART, while the calls are made. */
static void arm_signal(int after_ms)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval timer = {
		.it_value = { .tv_sec = after_ms / 1000, .tv_usec = after_ms % 1000 * 1000 },
	};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Runs until the reader has answered: a line, or the end of standard input. */
static void wait_for_line(void)
{
	int c;

	do
		c = getchar();
	while (c != '\n' && c != EOF);
}

static void print_calls(const struct options *options, const struct call *calls)
{
	const size_t count = (size_t)options->count * options->threads;

	printf("{\"pid\":%d,\"uid\":%u,\"gid\":%u,\"calls\":[", getpid(), getuid(), getgid());
	for (size_t i = 0; i < count; i++)
		printf("%s{\"tid\":%d,\"fd\":%d,\"return_code\":%d,\"begin_ns\":%llu,"
		       "\"end_ns\":%llu}",
		       i ? "," : "", calls[i].tid, calls[i].fd, calls[i].return_code,
		       (unsigned long long)calls[i].begin_ns, (unsigned long long)calls[i].end_ns);
	printf("]}\n");
	fflush(stdout);
}

/* With one thread asked for, the main thread makes the calls: tid is pid then. */
static int run(const struct options *options)
{
	const unsigned int others = options->threads > 1 ? options->threads : 0;
	FREE struct call *calls = calloc((size_t)options->count * options->threads, sizeof(*calls));
	FREE struct thread *threads = calloc(options->threads, sizeof(*threads));
	FREE pthread_t *handles = calloc(options->threads, sizeof(*handles));
	pthread_barrier_t barrier;

	if (!calls || !threads || !handles)
		return EXIT_FAILURE;
	pthread_barrier_init(&barrier, NULL, options->threads);
	if (options->signal_after_ms > 0)
		arm_signal(options->signal_after_ms);
	for (unsigned int i = 0; i < options->threads; i++)
		threads[i] = (struct thread){ options, &barrier, calls + i * options->count, 0 };
	if (!others)
		run_thread(&threads[0]);
	for (unsigned int i = 0; i < others; i++) {
		if (pthread_create(&handles[i], NULL, run_thread, &threads[i]) != 0) {
			perror("trigger: thread");
			exit(EXIT_FAILURE);
		}
	}
	for (unsigned int i = 0; i < others; i++)
		pthread_join(handles[i], NULL);
	for (unsigned int i = 0; i < options->threads; i++) {
		if (!threads[i].error)
			continue;
		fprintf(stderr, "trigger: %s sockets: %s\n", options->kind->name,
			strerror(threads[i].error));
		return EXIT_UNAVAILABLE;
	}
	print_calls(options, calls);
	return EXIT_SUCCESS;
}

static const struct option long_options[] = {
	{ "count", required_argument, NULL, 'n' },
	{ "threads", required_argument, NULL, 't' },
	{ "command", required_argument, NULL, 'c' },
	{ "uid", required_argument, NULL, 'u' },
	{ "fd", required_argument, NULL, 'f' },
	{ "length", required_argument, NULL, 'l' },
	{ "signal-after-ms", required_argument, NULL, 's' },
	{ "send", required_argument, NULL, 'p' },
	{ "hex", no_argument, NULL, 'x' },
	{ "nonblocking", no_argument, NULL, 'b' },
	{ "bad-pointer", no_argument, NULL, 'P' },
	{ "mapped", required_argument, NULL, 'm' },
	{ "cold", no_argument, NULL, 'C' },
	{ "same-socket", no_argument, NULL, 'S' },
	{ "wait", no_argument, NULL, 'w' },
	{ "stay", no_argument, NULL, 'y' },
	{ NULL, 0, NULL, 0 },
};

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: trigger [options] KIND ADDRESS\n"
		"  --count N            calls of each thread (1)\n"
		"  --threads N          threads that call (1: the main thread)\n"
		"  --command NAME       name of the process, by prctl(2)\n"
		"  --uid N              user to become\n"
		"  --fd closed|pipe|N   connect that instead of a socket\n"
		"  --length N           address length to claim\n"
		"  --bad-pointer        an address that is not mapped\n"
		"  --mapped N           only the first N bytes of the address can be read\n"
		"  --cold               an address that is in no page table yet\n"
		"  --hex                ADDRESS is the struct sockaddr in hexadecimal\n"
		"  --nonblocking        sockets with O_NONBLOCK\n"
		"  --same-socket        all calls of a thread on one socket\n"
		"  --signal-after-ms N  one signal after that time\n"
		"  --send BYTES         then send that much\n"
		"  --wait               print {\"pid\"}, begin after a line on standard input\n"
		"  --stay               live until standard input ends\n"
		"kinds:");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		fprintf(stderr, " %s", kinds[i].name);
	fprintf(stderr,
		"\nADDRESS: 127.0.0.1:80, [::1]:80, /path, @abstract, CID:PORT, - (unspec)\n");
	exit(EXIT_USAGE);
}

static void become(int uid)
{
	if (setresgid((gid_t)uid, (gid_t)uid, (gid_t)uid) < 0 ||
	    setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) < 0) {
		perror("trigger: user");
		exit(EXIT_FAILURE);
	}
}

static unsigned int parse_count(const char *text, int maximum)
{
	int value = parse_number(text);

	if (value < 1 || value > maximum)
		fail("'%s' is out of range", text);
	return (unsigned int)value;
}

int main(int argc, char **argv)
{
	struct options options = { .count = 1, .threads = 1, .send_bytes = -1, .mapped = -1 };
	int length = 0, uid = -1, c;
	bool hex = false, given_length = false, parsed;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 'n':
			options.count = parse_count(optarg, 10000000);
			break;
		case 't':
			options.threads = parse_count(optarg, MAX_THREADS);
			break;
		case 'c':
			prctl(PR_SET_NAME, optarg);
			break;
		case 'u':
			uid = parse_number(optarg);
			break;
		case 'f':
			options.target = !strcmp(optarg, "closed") ? TARGET_CLOSED
					 : !strcmp(optarg, "pipe") ? TARGET_PIPE
								   : TARGET_NUMBER;
			if (options.target == TARGET_NUMBER)
				options.number = parse_number(optarg);
			break;
		case 'l':
			length = parse_number(optarg);
			given_length = true;
			break;
		case 's':
			options.signal_after_ms = (int)parse_count(optarg, 60000);
			break;
		case 'p':
			options.send_bytes = parse_number(optarg);
			if (options.send_bytes < 0 || options.send_bytes > 65536)
				fail("'%s' is out of range", optarg);
			break;
		case 'x':
			hex = true;
			break;
		case 'b':
			options.nonblocking = true;
			break;
		case 'P':
			options.bad_pointer = true;
			break;
		case 'm':
			options.mapped = parse_number(optarg);
			if (options.mapped < 0 ||
			    options.mapped > (int)sizeof(options.address.bytes))
				fail("'%s' is out of range", optarg);
			break;
		case 'C':
			options.cold = true;
			break;
		case 'S':
			options.same_socket = true;
			break;
		case 'w':
			options.wait = true;
			break;
		case 'y':
			options.stay = true;
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 2)
		usage();
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, argv[optind]))
			options.kind = &kinds[i];
	if (!options.kind)
		fail("unknown kind '%s'", argv[optind]);
	parsed = hex ? parse_hex(argv[optind + 1], &options.address)
		     : options.kind->parse(argv[optind + 1], &options.address);
	if (!parsed)
		fail("bad address '%s'", argv[optind + 1]);
	if (given_length)
		options.address.length = length;
	options.pointer = options.bad_pointer ? BAD_POINTER : &options.address.any;
	if (options.cold || options.mapped >= 0)
		options.pointer = place_address(&options);
	if (!options.pointer) {
		perror("trigger: memory");
		return EXIT_FAILURE;
	}
	if (uid >= 0)
		become(uid);

	if (options.wait) {
		printf("{\"pid\":%d}\n", getpid());
		fflush(stdout);
		wait_for_line();
	}
	c = run(&options);
	while (options.stay && getchar() != EOF)
		;
	return c;
}
