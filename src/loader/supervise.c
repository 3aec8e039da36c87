/* SPDX-License-Identifier: MIT */
/* The server process: started, kept alive, ended. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "loader/confine.h"
#include "loader/internal.h"

#define SERVER_PROCESS_NAME "ebpf-server-api" /* 15 bytes, all that the kernel keeps */
/* Distinguishes, in wait(2), a child that could not be confined: trying again would not help. */
#define EXIT_UNCONFINED 125

#define SEND_TIMEOUT_S 5
#define QUICK_DEATH_NS (10 * NS_PER_SECOND)
#define FIRST_DELAY_NS (100 * NS_PER_MS)
#define LONGEST_DELAY_NS (5 * NS_PER_SECOND)
#define END_PATIENCE_NS (2 * NS_PER_SECOND)

/* ---- the child ---- */

/* Connections on two listeners, and maps of programs. A soft limit of 1,024, which is what most
 * start with, is for select(2). Where the hard limit is lower, the API takes fewer connections. */
#define DESCRIPTORS 8192

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_debug("RLIMIT_NOFILE: %s", strerror(errno));
}

/* What libraries read from files once, later, has to be read now. */
static void read_what_will_be_hidden(void)
{
	clock_boot_epoch_seconds();
	clock_boot_id();
	libbpf_num_possible_cpus();
}

__attribute__((noreturn)) static void run_server(const struct loader *loader, int socket,
						 pid_t parent)
{
	struct server_start start = {
		.config = loader->config,
		.socket = socket,
		.api_listener = loader->listeners.api,
		.metrics_listener = loader->listeners.metrics,
		.kallsyms = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC),
		.kernel_btf = open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC),
		.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC),
		.data_dir = -1,
		.possible_cpus = loader->possible_cpus,
		/* This process's copies. */
		.credentials = loader->credentials,
		.certificate = loader->certificate,
		.own_pid = loader->own_pid,
		.accounts = loader->accounts,
		.generation = loader->server.generation,
	};
	struct confine_directory data = { .fd = loader->data_dir,
					  .path = loader->config->data_dir };
	const int kept[] = { start.socket,
			     start.api_listener,
			     start.metrics_listener,
			     start.kallsyms,
			     start.kernel_btf,
			     start.statm,
			     loader->data_dir,
			     list_maps_image(loader->lists, SHARED_IPS).fd,
			     list_maps_image(loader->lists, SHARED_PROCESSES).fd };
	char error[MESSAGE_TEXT_SIZE] = "its descriptors";
	int status;

	for (enum shared_list list = 0; list < SHARED_LISTS; list++)
		start.lists[list] = list_maps_image(loader->lists, list);
	prctl(PR_SET_NAME, (unsigned long)SERVER_PROCESS_NAME, 0UL, 0UL, 0UL);
	read_what_will_be_hidden();
	raise_descriptor_limit();
	if (confine_descriptors(kept, ARRAY_SIZE(kept)) < 0 ||
	    confine(parent, data.fd >= 0 ? &data : NULL, error, sizeof(error)) < 0) {
		log_error("cannot confine the server: %s", error);
		_exit(EXIT_UNCONFINED);
	}
	if (data.fd >= 0) {
		start.data_dir = data.fd;
		start.data_path = data.path;
	}
	status = loader->server_main(&start);
	/* Not exit(3): what the loader registered for its own end is not this process's to do. */
	fflush(NULL);
	_exit(status);
}

/* ---- starting ---- */

/* A stream that came while a server ran has its account where that server put it. */
static const struct stream_account *find_account(const struct stream_account *accounts,
						 const char *name)
{
	for (size_t i = 0; i < STREAM_ACCOUNTS; i++) {
		if (!strncmp(accounts[i].name, name, sizeof(accounts[i].name)))
			return &accounts[i];
	}
	return NULL;
}

/* No server runs, so nobody else writes. What the one before wrote beside its own counts goes. */
static void settle_accounts(const struct loader *loader)
{
	struct stream_account before[STREAM_ACCOUNTS];

	memcpy(before, loader->accounts, sizeof(before));
	for (size_t i = 0; i < STREAM_ACCOUNTS; i++) {
		struct stream_account *account = &loader->accounts[i];
		const struct stream_account *earlier = NULL;

		*account = loader->books[i];
		if (account->name[0])
			earlier = find_account(before, account->name);
		if (!earlier)
			continue;
		account->stored = earlier->stored;
		account->malformed = earlier->malformed;
		account->next_place = earlier->next_place;
		account->place_of = earlier->place_of;
		/* The store began empty with each server. */
		account->forgotten = earlier->stored;
	}
}

/* A server that stopped reading must not stop the loader. */
static int open_pair(int sockets[2])
{
	const struct timeval limit = { .tv_sec = SEND_TIMEOUT_S };

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	if (setsockopt(sockets[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		log_debug("SO_SNDTIMEO: %s", strerror(errno));
	return 0;
}

int server_begin(struct loader *loader)
{
	struct server *server = &loader->server;
	pid_t parent = getpid(), child;
	int sockets[2];
	int r = open_pair(sockets);

	if (r < 0) {
		log_error("cannot start the server: %s", strerror(-r));
		return r;
	}
	settle_accounts(loader);
	fflush(NULL);
	child = fork();
	if (child == 0) {
		close(sockets[0]);
		run_server(loader, sockets[1], parent);
	}
	r = child < 0 ? -errno : 0;
	close(sockets[1]);
	if (r < 0) {
		close(sockets[0]);
		log_error("cannot start the server: %s", strerror(-r));
		return r;
	}
	server->pid = child;
	server->socket = sockets[0];
	server->started_at = clock_boot_ns();
	server->restart_at = 0;
	server->generation++;
	return 0;
}

/* ---- while it runs ---- */

static void close_socket(struct server *server)
{
	if (server->socket >= 0)
		close(TAKE_FD(server->socket));
}

void server_give_up(struct loader *loader, const char *why)
{
	struct server *server = &loader->server;

	close_socket(server);
	if (server->pid == 0)
		return;
	log_error("server: %s: ending it", why);
	kill(server->pid, SIGKILL);
}

void server_send(struct loader *loader, const struct message *message, int fd)
{
	struct server *server = &loader->server;
	int r;

	if (server->socket < 0)
		return;
	r = message_send(server->socket, message, fd);
	if (r == -EPIPE)
		close_socket(server); /* it is dying: SIGCHLD is on its way */
	else if (r == -ETIMEDOUT)
		server_give_up(loader, "it does not read what the loader says");
	else if (r < 0)
		server_give_up(loader, strerror(-r));
}

/* ---- its death ---- */

static void describe_end(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		message_format(text, size, "killed by signal %d, %s", WTERMSIG(status),
			       strsignal(WTERMSIG(status)));
	else
		message_format(text, size, "exit status %d", WEXITSTATUS(status));
}

/* The first of a row at once; then each waits twice as long as the one before. */
static uint64_t restart_delay(unsigned int quick_deaths)
{
	uint64_t delay = FIRST_DELAY_NS;

	if (quick_deaths <= 1)
		return 0;
	while (--quick_deaths > 1 && delay < LONGEST_DELAY_NS)
		delay *= 2;
	return delay < LONGEST_DELAY_NS ? delay : LONGEST_DELAY_NS;
}

/* Its accounts are the server's word: shown, and nothing else. */
static uint64_t count_forgotten(const struct loader *loader)
{
	uint64_t count = 0;

	for (size_t i = 0; i < STREAM_ACCOUNTS; i++)
		count += loader->accounts[i].stored - loader->accounts[i].forgotten;
	return count;
}

static void plan_restart(struct loader *loader, int status)
{
	struct server *server = &loader->server;
	uint64_t now = clock_boot_ns(), delay;
	char how[80];

	if (now - server->started_at < QUICK_DEATH_NS)
		server->quick_deaths++;
	else
		server->quick_deaths = 0;
	delay = restart_delay(server->quick_deaths);
	server->restart_at = now + delay;
	if (!server->restart_at)
		server->restart_at = 1;
	describe_end(status, how, sizeof(how));
	log_error("server: it ended (%s) and is started again in %llu ms; of the %llu events that "
		  "it had taken those are left that the history has",
		  how, (unsigned long long)(delay / NS_PER_MS),
		  (unsigned long long)count_forgotten(loader));
}

void server_reap(struct loader *loader)
{
	struct server *server = &loader->server;
	int status;

	if (server->pid == 0 || waitpid(server->pid, &status, WNOHANG) != server->pid)
		return;
	server->pid = 0;
	close_socket(server);
	if (loader->ending)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_UNCONFINED) {
		loader->ending = true; /* it has said why */
		loader->exit_status = EXIT_FAILURE;
		return;
	}
	plan_restart(loader, status);
}

int server_restart_timeout(const struct loader *loader)
{
	uint64_t due = loader->server.restart_at, now = clock_boot_ns();

	if (loader->server.pid || !due)
		return -1;
	return due <= now ? 0 : (int)((due - now + NS_PER_MS - 1) / NS_PER_MS);
}

void server_restart_when_due(struct loader *loader)
{
	if (server_restart_timeout(loader) != 0)
		return;
	if (server_begin(loader) < 0) {
		loader->server.restart_at = clock_boot_ns() + LONGEST_DELAY_NS;
		return;
	}
	announce_all(loader);
}

/* ---- its orderly end ---- */

/* Its last requests are read, so that it does not hang on a full socket, and not carried out. */
static void discard_message(struct server *server)
{
	struct message message;
	int fd = -1;

	if (message_receive(server->socket, &message, &fd) == -EPIPE)
		close_socket(server);
	memory_close_fd(&fd);
}

/* True when somebody asked for the end once more. */
static bool read_signals(const struct loader *loader)
{
	struct signalfd_siginfo info;
	bool again = false;

	while (read(loader->signals, &info, sizeof(info)) == sizeof(info))
		again |= info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT;
	return again;
}

/* Returns when something happened, or at the deadline. False: no more patience. */
static bool wait_for_end(struct loader *loader, uint64_t deadline)
{
	struct pollfd entries[] = {
		{ .fd = loader->signals, .events = POLLIN },
		{ .fd = loader->server.socket, .events = POLLIN },
	};
	uint64_t now = clock_boot_ns();

	if (now >= deadline)
		return false;
	if (poll(entries, ARRAY_SIZE(entries),
		 (int)((deadline - now + NS_PER_MS - 1) / NS_PER_MS)) < 0)
		return errno == EINTR;
	if (entries[1].revents)
		discard_message(&loader->server);
	return !(entries[0].revents && read_signals(loader));
}

void server_end(struct loader *loader)
{
	struct server *server = &loader->server;
	uint64_t deadline = clock_boot_ns() + END_PATIENCE_NS;

	loader->ending = true;
	if (server->pid == 0)
		return;
	kill(server->pid, SIGTERM);
	while (server_reap(loader), server->pid) {
		if (wait_for_end(loader, deadline))
			continue;
		log_warn("server: it does not end: killing it");
		kill(server->pid, SIGKILL);
		waitpid(server->pid, NULL, 0);
		server->pid = 0;
	}
	close_socket(server);
}
