/* SPDX-License-Identifier: MIT */
#include "loader/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/memory.h"
#include "loader/confine.h"
#include "loader/libbpf_log.h"
#include "loader/message.h"
#include "loader/object.h"
#include "schema/schema.h"

#define INSPECTOR_PROCESS_NAME "ebpf-server-elf" /* 15 bytes, all that the kernel keeps */
#define EXIT_REFUSED 1
/* Over what the process has when it begins; a large object with its BTF takes some 20 MiB. */
#define MEMORY_LIMIT (512ULL << 20)

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* ---- in the process apart ---- */

int inspect_object(const char *name, const void *bytes, size_t size, char *error, size_t error_size)
{
	CLEANUP(program_schema) struct program_schema *schema = NULL;
	int r;

	libbpf_log_begin();
	r = program_schema_read(name, bytes, size, NULL, &schema, error, error_size);
	return r < 0 ? r : object_try(name, bytes, size, error, error_size);
}

/* Bytes of addresses in use; 0 when that cannot be told. Sanitisers take terabytes of them. */
static unsigned long long addresses_in_use(void)
{
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return 0;
	if (fscanf(file, "%llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (unsigned long long)sysconf(_SC_PAGESIZE);
}

static void limit(__rlimit_resource_t resource, rlim_t value)
{
	const struct rlimit both = { .rlim_cur = value, .rlim_max = value };

	setrlimit(resource, &both);
}

static void limit_everything(unsigned long long addresses, int timeout_ms)
{
	if (addresses)
		limit(RLIMIT_AS, addresses + MEMORY_LIMIT);
	/* Of a process whose parent does not come to end it. */
	limit(RLIMIT_CPU, (rlim_t)timeout_ms / 1000 + 1);
	limit(RLIMIT_NOFILE, 0);
}

static int confine_inspector(int pipe, pid_t parent, int timeout_ms, char *error, size_t error_size)
{
	unsigned long long addresses = addresses_in_use();
	sigset_t none;
	int r;

	prctl(PR_SET_NAME, (unsigned long)INSPECTOR_PROCESS_NAME, 0UL, 0UL, 0UL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	r = confine_descriptors(&pipe, 1);
	if (r < 0) {
		message_format(error, error_size, "its descriptors: %s", strerror(-r));
		return r;
	}
	r = confine(parent, NULL, error, error_size);
	if (r == 0)
		limit_everything(addresses, timeout_ms);
	return r;
}

__attribute__((noreturn)) static void run_inspector(inspect_fn inspect, const char *name,
						    const void *bytes, size_t size, int timeout_ms,
						    int pipe, pid_t parent)
{
	char error[MESSAGE_TEXT_SIZE] = "", why[MESSAGE_TEXT_SIZE];
	int r = confine_inspector(pipe, parent, timeout_ms, why, sizeof(why));

	if (r < 0)
		message_set_text(error, "cannot confine the process that reads it: %s", why);
	else
		r = inspect(name, bytes, size, error, sizeof(error));
	/* Fits the pipe; one that is not heard is a refusal too. */
	if (r < 0 && write(pipe, error, strlen(error)) < 0)
		_exit(EXIT_REFUSED);
	_exit(r < 0 ? EXIT_REFUSED : EXIT_SUCCESS);
}

/* ---- in the loader ---- */

struct inspector {
	pid_t pid;
	int pidfd; /* readable when it has ended */
	int pipe;  /* what it says, non-blocking */
	int status;
};

static int fail(int number, const char *what, char *error, size_t error_size)
{
	message_format(error, error_size, "cannot be read: %s: %s", what, strerror(number));
	return -number;
}

/* Returns 0 when it has ended, -ETIMEDOUT, or -errno. A pidfd and not the pipe's end: that might
 * come first, or a process in strange hands might go on without a pipe. */
static int await_end(const struct inspector *inspector, int timeout_ms)
{
	uint64_t deadline = clock_boot_ns() + (uint64_t)timeout_ms * (uint64_t)NS_PER_MS;
	struct pollfd entry = { .fd = inspector->pidfd, .events = POLLIN };

	for (;;) {
		uint64_t now = clock_boot_ns();
		int r;

		if (now >= deadline)
			return -ETIMEDOUT;
		r = poll(&entry, 1, (int)((deadline - now + NS_PER_MS - 1) / NS_PER_MS));
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

/* What it said is shown, and nothing else. */
static int hear_verdict(const struct inspector *inspector, char *error, size_t error_size)
{
	char text[MESSAGE_TEXT_SIZE];
	ssize_t length;

	if (WIFSIGNALED(inspector->status)) {
		message_format(error, error_size,
			       "cannot be read: the process that did was killed by signal %d, %s",
			       WTERMSIG(inspector->status), strsignal(WTERMSIG(inspector->status)));
		return -EINVAL;
	}
	if (WEXITSTATUS(inspector->status) == EXIT_SUCCESS)
		return 0;
	length = read(inspector->pipe, text, sizeof(text) - 1);
	text[length > 0 ? length : 0] = '\0';
	if (*text)
		message_format(error, error_size, "%s", text);
	else
		message_format(error, error_size,
			       "cannot be read: the process that did ended with status %d",
			       WEXITSTATUS(inspector->status));
	return -EINVAL;
}

static int follow(struct inspector *inspector, int timeout_ms, char *error, size_t error_size)
{
	CLOSE int pidfd = (int)syscall(SYS_pidfd_open, inspector->pid, 0u);
	int r = pidfd < 0 ? -errno : 0;

	inspector->pidfd = pidfd;
	if (r == 0)
		r = await_end(inspector, timeout_ms);
	if (r < 0)
		kill(inspector->pid, SIGKILL);
	while (waitpid(inspector->pid, &inspector->status, 0) < 0 && errno == EINTR)
		;
	if (r == -ETIMEDOUT) {
		message_format(error, error_size, "cannot be read: that took more than %d ms",
			       timeout_ms);
		return r;
	}
	if (r < 0)
		return fail(-r, "waiting for the process that does", error, error_size);
	return hear_verdict(inspector, error, error_size);
}

int inspect_apart(inspect_fn inspect, const char *name, const void *bytes, size_t size,
		  int timeout_ms, char *error, size_t error_size)
{
	pid_t parent = getpid();
	struct inspector inspector = { .pidfd = -1 };
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail(errno, "a pipe", error, error_size);
	fflush(NULL);
	inspector.pipe = ends[0];
	inspector.pid = fork();
	if (inspector.pid == 0)
		run_inspector(inspect, name, bytes, size, timeout_ms, ends[1], parent);
	r = inspector.pid < 0 ? -errno : 0;
	close(ends[1]);
	if (r < 0)
		r = fail(-r, "a process", error, error_size);
	else
		r = follow(&inspector, timeout_ms, error, error_size);
	close(ends[0]);
	return r;
}
