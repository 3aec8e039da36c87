/* SPDX-License-Identifier: MIT */
#include "loader/loader.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "loader/data_dir.h"
#include "loader/internal.h"
#include "loader/notify.h"
#include "loader/object.h"
#include "loader/own_pid.h"

#define EXIT_USAGE 2
#define ACCOUNTS_SIZE (STREAM_ACCOUNTS * sizeof(struct stream_account))

static int fail(const char *what, int error)
{
	log_error("%s: %s", what, strerror(-error));
	return error;
}

/* ---- setting up ---- */

/* Blocked, and read from a descriptor. The server inherits the blocking and decides for itself. */
static int open_signals(void)
{
	sigset_t signals;
	int fd;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* Every server is a fork of this process, so the mapping is all that it needs. */
static int open_accounts(struct loader *loader)
{
	void *memory = mmap(NULL, ACCOUNTS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	loader->accounts = memory;
	loader->books = calloc(STREAM_ACCOUNTS, sizeof(*loader->books));
	return loader->books ? 0 : -ENOMEM;
}

static int open_lists(struct loader *loader)
{
	loader->shared = shared_maps_new(list_map_forms);
	if (!loader->shared)
		return -ENOMEM;
	loader->lists = list_maps_new(loader->shared);
	if (!loader->lists)
		return -ENOMEM;
	return list_maps_set_option(loader->lists, SHARED_IPS, loader->config->ip_list_mode);
}

static int open_tables(struct loader *loader)
{
	int r = open_accounts(loader);

	if (!r)
		r = open_lists(loader);
	if (!r)
		r = programs_open(loader);
	return r < 0 ? fail("cannot start", r) : 0;
}

static void loader_fini(struct loader *loader)
{
	programs_close(loader);
	list_maps_free(loader->lists);
	shared_maps_free(loader->shared);
	secrets_close(loader);
	listeners_close(&loader->listeners);
	if (loader->data_dir >= 0)
		close(loader->data_dir);
	kernel_features_fini(&loader->kernel);
	memory_close_fd(&loader->statistics);
	memory_close_fd(&loader->interfaces);
	memory_close_fd(&loader->signals);
	if (loader->accounts)
		munmap(loader->accounts, ACCOUNTS_SIZE);
	free(loader->books);
	config_free(loader->own_config);
}
#define LOADER __attribute__((cleanup(loader_fini))) struct loader

static int check_machine(struct loader *loader)
{
	char error[MESSAGE_TEXT_SIZE];
	int r = kernel_check(error, sizeof(error));

	if (r < 0) {
		log_error("%s", error);
		return r;
	}
	r = libbpf_num_possible_cpus();
	if (r < 0)
		return fail("cannot count the CPUs", r);
	loader->possible_cpus = (unsigned int)r;
	r = own_pid_read(&loader->own_pid);
	if (r < 0)
		log_warn("programs cannot tell this process from others in this PID namespace: "
			 "start it in the initial one, lest it observe itself (%s)",
			 strerror(-r));
	return 0;
}

/* Everything up to the server's start: both processes then go on at the same time. */
/* Without the default one everything but what must outlive the server works. */
static int open_data_directory(struct loader *loader)
{
	const struct config *config = loader->config;
	char error[MESSAGE_TEXT_SIZE];
	int r;

	if (!config->data_dir)
		return 0;
	r = data_directory_open(config->data_dir, confine_identity(), error, sizeof(error));
	if (r >= 0) {
		loader->data_dir = r;
		return 0;
	}
	if (config->data_dir_given) {
		log_error("--data-dir: %s", error);
		return r;
	}
	log_warn("nothing will outlive this server: %s (--data-dir)", error);
	return 0;
}

static int begin(struct loader *loader)
{
	int r = check_machine(loader);

	if (r < 0)
		return r;
	r = open_signals();
	if (r < 0)
		return fail("signals", r);
	loader->signals = r;
	r = listeners_open(loader->config, &loader->listeners);
	if (r < 0)
		return r;
	r = open_data_directory(loader);
	if (r < 0)
		return r;
	for (size_t i = 0; i < loader->program_count; i++) {
		if (loader->programs[i].schema)
			program_values(&loader->programs[i], loader->config,
				       loader->programs[i].values);
	}
	return server_begin(loader);
}

static void start_programs(struct loader *loader)
{
	loader_apply_statistics(loader);
	/* Before the first look at them: what changes after that is told. */
	interfaces_watch(loader);
	for (size_t i = 0; i < loader->program_count; i++) {
		struct program *program = &loader->programs[i];

		program_introduce(loader, program, program_is_wanted(program, loader->config));
	}
	announce_ready(loader);
	kernel_features_trim(&loader->kernel);
	malloc_trim(0); /* libbpf read the kernel's BTF for each program: some 10 MiB */
}

/* ---- running ---- */

static void hear_signals(struct loader *loader)
{
	struct signalfd_siginfo info;

	while (read(loader->signals, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			log_info("stopping: %s", strsignal((int)info.ssi_signo));
			notify_manager("STOPPING=1");
			loader->ending = true;
			break;
		case SIGHUP:
			notify_reloading();
			loader_reload(loader);
			notify_manager("READY=1");
			break;
		case SIGCHLD:
			server_reap(loader);
			break;
		default:
			break;
		}
	}
}

/* Milliseconds, or -1: there is nothing to do but to listen. */
static int serve_timeout(const struct loader *loader)
{
	int restart = server_restart_timeout(loader), look = interfaces_timeout(loader);

	return restart < 0 || (look >= 0 && look < restart) ? look : restart;
}

static void serve(struct loader *loader)
{
	while (!loader->ending) {
		struct pollfd entries[] = {
			{ .fd = loader->signals, .events = POLLIN },
			{ .fd = loader->server.socket, .events = POLLIN },
			{ .fd = loader->interfaces, .events = POLLIN },
		};

		if (poll(entries, ARRAY_SIZE(entries), serve_timeout(loader)) < 0 &&
		    errno != EINTR) {
			fail("waiting", -errno);
			loader->exit_status = EXIT_FAILURE;
			break;
		}
		/* Requests first: a server that dies may have said why. */
		if (entries[1].revents)
			requests_hear(loader);
		if (entries[2].revents || interfaces_timeout(loader) == 0)
			interfaces_look(loader);
		if (entries[0].revents)
			hear_signals(loader);
		if (!loader->ending)
			server_restart_when_due(loader);
	}
}

/* Nothing of ours runs in the kernel any more when the server reads the rings for the last time. */
static void end(struct loader *loader)
{
	for (size_t i = 0; i < loader->program_count; i++) {
		if (loader->programs[i].object)
			object_detach(loader->programs[i].object);
		interfaces_detach(&loader->programs[i]);
	}
	server_end(loader);
}

/* What would be told when they are introduced. */
static void warn_about_files(const struct loader *loader)
{
	for (size_t i = 0; i < loader->program_count; i++) {
		const struct program *program = &loader->programs[i];

		if (program->file && !program->schema)
			log_warn("%s: %s", program->name, program->fault);
	}
}

int loader_run(const struct config *config, int argc, char **argv, server_main_fn server_main)
{
	LOADER loader = { .config = config,
			  .first_config = config,
			  .program_dir = config->program_dir,
			  .argc = argc,
			  .argv = argv,
			  .server_main = server_main,
			  .listeners = { .api = -1, .metrics = -1 },
			  .server = { .socket = -1 },
			  .data_dir = -1,
			  .signals = -1,
			  .interfaces = -1,
			  .statistics = -1,
			  .exit_status = EXIT_SUCCESS };
	char error[MESSAGE_TEXT_SIZE];

	kernel_features_init(&loader.kernel);
	if (open_tables(&loader) < 0 || program_dir_read(&loader, true) < 0)
		return EXIT_FAILURE;
	if (programs_check(&loader, config, error, sizeof(error)) < 0 ||
	    secrets_open(&loader, error, sizeof(error)) < 0) {
		fprintf(stderr, "ebpf-server: %s\n", error);
		return EXIT_USAGE;
	}
	if (config->check_config) {
		warn_about_files(&loader);
		puts("configuration is valid");
		return EXIT_SUCCESS;
	}
	if (begin(&loader) < 0)
		return EXIT_FAILURE;
	start_programs(&loader);
	notify_manager("READY=1");
	serve(&loader);
	end(&loader);
	return loader.exit_status;
}
