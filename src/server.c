/* SPDX-License-Identifier: MIT */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api.h"
#include "base/log.h"
#include "doors.h"
#include "export/print.h"
#include "history/history.h"
#include "lists/lists.h"
#include "metrics/metrics.h"
#include "pipeline/control.h"
#include "pipeline/pipeline.h"
#include "schema/kernel.h"
#include "store/store.h"

/* Each thread of a process gets an arena of its own from glibc, 64 MiB of addresses and what it
 * touched; few threads allocate here. */
#define MALLOC_ARENAS 2
#define LAST_DRAIN_MS 100

/* The loader forwards the end as SIGTERM. A terminal's SIGINT and SIGHUP reach both processes;
 * they are the loader's business. */
static int open_stop_signal(void)
{
	sigset_t all, stop;
	int fd;

	sigemptyset(&all);
	sigaddset(&all, SIGTERM);
	sigaddset(&all, SIGINT);
	sigaddset(&all, SIGHUP);
	sigaddset(&all, SIGPIPE);
	if (sigprocmask(SIG_BLOCK, &all, NULL) < 0)
		return -errno;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* Nobody reads the output any more, as with `--print | head`: the whole program ends, as such
 * programs do. */
static void output_closed(void *context)
{
	struct message message = { .type = MESSAGE_STOP };

	message_set_text(message.text, "standard output was closed");
	message_send(*(const int *)context, &message, -1);
}

/* Of a listening socket; 0 when it cannot be told. */
static uint16_t port_of(int listener)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof(address);

	if (getsockname(listener, (struct sockaddr *)&address, &length) < 0)
		return 0;
	/* Both have the port at the same place (sockaddr_in, sockaddr_in6). */
	return ntohs(((const struct sockaddr_in *)&address)->sin_port);
}

static int failed(const char *what, int error)
{
	log_error("server: %s: %s", what, strerror(-error));
	return EXIT_FAILURE;
}

/* Without a history everything else goes on. */
static struct history *open_history(const struct server_start *start, struct store *store)
{
	const struct config *config = start->config;
	const struct history_options options = {
		.store = store,
		.directory = start->data_dir,
		.path = start->data_path,
		.size_limit = config->history_size,
		.age_limit_ns = config->history_age_ns,
		.flush_ns = config->flush_ns,
		.generation = start->generation,
	};
	struct history *history = NULL;
	char error[MESSAGE_TEXT_SIZE];

	if (start->data_dir < 0 || config->no_history)
		return NULL;
	if (history_open(&options, &history, error, sizeof(error)) < 0)
		log_error("%s", error);
	return history;
}

int server_main(const struct server_start *start)
{
	const struct config *config = start->config;
	const pid_t loader = getppid();
	atomic_bool stopping = false;
	int socket = start->socket;
	char error[MESSAGE_TEXT_SIZE];
	int result;

	/* Declared in the order of dependence: what is freed first stands last. */
	CLOSE int stop = open_stop_signal();
	/* First of all: the loader waits for them with its programs. */
	CLEANUP(lists)
	struct lists *lists = lists_new(&(struct lists_options){
		.socket = socket, .data_dir = start->data_dir, .in_force = start->lists });
	CLEANUP(symbols) struct symbols *symbols = symbols_new(start->kallsyms);
	CLEANUP(store) struct store *store = store_new(config->memory);
	CLEANUP(history) struct history *history = NULL;
	CLEANUP(pipeline) struct pipeline *pipeline = NULL;
	CLEANUP(control) struct control *control = NULL;
	CLEANUP(print) struct print *print = NULL;
	CLEANUP(metrics) struct metrics *metrics = NULL;
	DOORS doors = { .access = NULL };
	CLEANUP(api) struct api *api = NULL;

	mallopt(M_ARENA_MAX, MALLOC_ARENAS);
	if (stop < 0)
		return failed("signals", stop);
	if (!lists || !symbols || !store)
		return failed("memory", -ENOMEM);
	history = open_history(start, store);
	pipeline = pipeline_new(store, start->accounts, start->possible_cpus);
	if (!pipeline)
		return failed("pipeline", -ENOMEM);
	pipeline_set_history(pipeline, history);
	control = control_new(socket, pipeline, start->kernel_btf);
	if (!control)
		return failed("control", -ENOMEM);
	lists_connect(lists, control);
	result = doors_open(&doors, start, control);
	if (result < 0)
		return failed("credentials", result);
	result = pipeline_start(pipeline);
	if (result < 0)
		return failed("reader thread", result);
	result = history ? history_start(history) : 0;
	if (result < 0)
		return failed("history thread", result);
	if (config->print != PRINT_OFF) {
		result = print_start(&(struct print_options){ .pipeline = pipeline,
							      .symbols = symbols,
							      .json = config->print == PRINT_JSON,
							      .fd = STDOUT_FILENO,
							      .own_pid = start->own_pid,
							      .api_port =
								      port_of(start->api_listener),
							      .closed = output_closed,
							      .context = &socket },
				     &print);
		if (result < 0)
			return failed("printing", result);
	}
	metrics = metrics_new(&(struct metrics_options){ .pipeline = pipeline,
							 .control = control,
							 .symbols = symbols,
							 .version = EBPF_SERVER_VERSION,
							 .max_series = config->max_series,
							 .possible_cpus = start->possible_cpus,
							 .statm = start->statm,
							 .program_stats = config->program_stats });
	if (!metrics)
		return failed("metrics", -ENOMEM);
	result = api_start(&(struct api_options){ .api_listener = start->api_listener,
						  .metrics_listener = start->metrics_listener,
						  .pipeline = pipeline,
						  .control = control,
						  .metrics = metrics,
						  .lists = lists,
						  .symbols = symbols,
						  .access = doors.access,
						  .tls = doors.tls,
						  .protect_metrics = config->protect_metrics,
						  .open_loopback = config->open_loopback,
						  .query_timeout_ns = config->query_timeout_ns,
						  .version = EBPF_SERVER_VERSION,
						  .stopping = &stopping,
						  .program_stats = config->program_stats,
						  .max_streams = config->max_streams },
			   &api, error, sizeof(error));
	if (result < 0) {
		log_error("server: %s", error);
		return EXIT_FAILURE;
	}

	result = control_run(control, stop, NULL, NULL);
	atomic_store(&stopping, true);
	/* The programs are detached by now; what they said last is still printed. */
	pipeline_sync(pipeline, LAST_DRAIN_MS);
	pipeline_stop(pipeline);
	if (history)
		history_stop(history);
	/* Its end is told as SIGTERM too (loader/confine.h), and that may come first. */
	if (result == -EPIPE || getppid() != loader)
		log_error("server: the loader is gone; leaving");
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
