/* SPDX-License-Identifier: MIT */
#include "api_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/memory.h"
#include "fake_ring.h"
#include "lists/lists.h"
#include "pipeline/internal.h"

/* ---- schemas ---- */

#define COMMON(type, place, member, what, about) COMMON_OF(type, place, member, what, about, "")
#define COMMON_OF(type, place, member, what, about, of)                                            \
	.name = #member, .description = about, .unit = of, .kind = what, .index = place,           \
	.offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member),       \
	.count = 1
#define HEADER(type)                                                                               \
	{ COMMON(type, HEADER_TIMESTAMP, timestamp, FIELD_INTEGER, "When") },                      \
		{ COMMON(type, HEADER_PID, pid, FIELD_INTEGER, "Process") },                       \
		{ COMMON(type, HEADER_TID, tid, FIELD_INTEGER, "Thread") },                        \
		{ COMMON(type, HEADER_UID, uid, FIELD_INTEGER, "User") },                          \
		{ COMMON(type, HEADER_CGROUP_ID, cgroup_id, FIELD_INTEGER, "Control group") },     \
	{                                                                                          \
		COMMON(type, HEADER_COMMAND, command, FIELD_STRING, "Name")                        \
	}

static const struct enumerator connection_protocols[] = { { "TCP", 6 }, { "UDP", 17 } };
static const struct field connection_fields[] = {
	HEADER(connection_record),
	{ COMMON_OF(connection_record, 6, duration_ns, FIELD_INTEGER, "How long it took", "ns") },
	{ COMMON(connection_record, 7, destination_ip, FIELD_IP, "Where to") },
	{ COMMON(connection_record, 8, destination_port, FIELD_INTEGER, "Port") },
	{ COMMON(connection_record, 9, protocol, FIELD_ENUM, "Transport"),
	  .enumeration = { connection_protocols, 2, "" } },
};

static const struct enumerator drop_protocols[] = { { "ICMP", 1 }, { "TCP", 6 } };
static const struct enumerator drop_reasons[] = {
	{ "NO_SOCKET", 3 },
	{ "TCP_CSUM", 5 },
	{ "QUEUE_FULL", 7 },
};
static const struct field drop_fields[] = {
	HEADER(drop_record),
	{
		COMMON(drop_record, 6, skb_length, FIELD_INTEGER, "Bytes"),
	},
	{ COMMON(drop_record, 7, drop_reason, FIELD_ENUM, "Why"),
	  .enumeration = { drop_reasons, 3, "" } },
	{ COMMON(drop_record, 8, protocol, FIELD_ENUM, "Transport"),
	  .enumeration = { drop_protocols, 2, "" } },
	{ COMMON(drop_record, 9, secret, FIELD_INTEGER, ""), .hidden = true },
};

#define HEADER_SIZE 48
#define STREAM_OF(type, about, list, record)                                                       \
	{                                                                                          \
		.name = type, .description = about, .fields = list,                                \
		.field_count = sizeof(list) / sizeof((list)[0]),                                   \
		.record_size = sizeof(struct record), .minimum_size = HEADER_SIZE,                 \
		.ring_bytes = 1 << 20                                                              \
	}
static const struct stream_schema connection_stream =
	STREAM_OF("connection", "Connection attempts", connection_fields, connection_record);
static const struct stream_schema drop_stream =
	STREAM_OF("packet_drop", "Dropped packets", drop_fields, drop_record);

static const struct parameter connection_parameters[] = {
	{ .name = "pid", .description = "Only this process", .unit = "", .size = 4 },
	{ .name = "command",
	  .description = "Only this command",
	  .unit = "",
	  .kind = PARAMETER_STRING,
	  .offset = 4,
	  .size = 16 },
	{ .name = "failed_only",
	  .description = "Only failures",
	  .unit = "",
	  .kind = PARAMETER_BOOLEAN,
	  .offset = 20,
	  .size = 1 },
};

static const struct program_schema connection_program = {
	.name = "connection",
	.description = "Connections",
	.streams = &connection_stream,
	.stream_count = 1,
	.parameters = connection_parameters,
	.parameter_count = 3,
};
static const struct program_schema drop_program = {
	.name = "packet_drop",
	.description = "Drops",
	.streams = &drop_stream,
	.stream_count = 1,
};

/* ---- the server ---- */

enum { RING_BYTES = 1 << 20 };

static struct stream_account *accounts;
static struct store *store;
static struct pipeline *pipeline;
static struct control *control;
static struct lists *lists;
static struct api *api;
static struct fake_ring connection_ring, drop_ring;
static struct kernel_counts connection_counts, drop_counts;
static int api_listener, metrics_listener, stop_hearing;
static atomic_bool stopping;
static uint64_t epoch, query_timeout_ns;

/* ---- the loader ---- */

static int loader_end, server_end;
static pthread_t loader_thread, hearing_thread;
static pthread_mutex_t loader_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t loader_changed = PTHREAD_COND_INITIALIZER;
static struct message last_request;
static unsigned int request_count;
static int next_result;
static char next_text[MESSAGE_TEXT_SIZE];
static bool holding, held;

static void *play_loader(void *context)
{
	struct message message;
	int fd;

	while (message_receive(loader_end, &message, &fd) == 0) {
		struct message answer = { .type = MESSAGE_RESULT, .request = message.request };

		memory_close_fd(&fd);
		/* Its lists, told at its start. */
		if (!message.request)
			continue;
		pthread_mutex_lock(&loader_lock);
		last_request = message;
		request_count++;
		answer.result = next_result;
		message_set_text(answer.text, "%s", next_text);
		held = holding;
		pthread_cond_broadcast(&loader_changed);
		while (holding)
			pthread_cond_wait(&loader_changed, &loader_lock);
		held = false;
		pthread_mutex_unlock(&loader_lock);
		message_send(loader_end, &answer, -1);
	}
	return context;
}

void loader_answers(int result, const char *text)
{
	pthread_mutex_lock(&loader_lock);
	next_result = result;
	snprintf(next_text, sizeof(next_text), "%s", text);
	pthread_mutex_unlock(&loader_lock);
}

void loader_holds(void)
{
	pthread_mutex_lock(&loader_lock);
	holding = true;
	pthread_mutex_unlock(&loader_lock);
}

void loader_await_held(void)
{
	pthread_mutex_lock(&loader_lock);
	while (!held)
		pthread_cond_wait(&loader_changed, &loader_lock);
	pthread_mutex_unlock(&loader_lock);
}

void loader_release(void)
{
	pthread_mutex_lock(&loader_lock);
	holding = false;
	pthread_cond_broadcast(&loader_changed);
	pthread_mutex_unlock(&loader_lock);
}

struct message loader_last_request(void)
{
	struct message message;

	pthread_mutex_lock(&loader_lock);
	message = last_request;
	pthread_mutex_unlock(&loader_lock);
	return message;
}

unsigned int loader_request_count(void)
{
	unsigned int count;

	pthread_mutex_lock(&loader_lock);
	count = request_count;
	pthread_mutex_unlock(&loader_lock);
	return count;
}

static void *hear_loader(void *context)
{
	control_run(control, stop_hearing, NULL, NULL);
	return context;
}

/* ---- setup ---- */

static int listen_on_loopback(uint16_t *ret_port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static void start_pipeline(void)
{
	int ends[2];

	accounts = calloc(STREAM_ACCOUNTS, sizeof(*accounts));
	assert_non_null(accounts);
	store = store_new(16 << 20);
	assert_non_null(store);
	pipeline = pipeline_new(store, accounts, 1);
	assert_non_null(pipeline);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	loader_end = ends[0];
	server_end = ends[1];
	stop_hearing = eventfd(0, EFD_CLOEXEC);
	control = control_new(server_end, pipeline, -1);
	assert_non_null(control);
	lists = lists_new(&(struct lists_options){
		.socket = server_end,
		.data_dir = -1,
		.in_force = (const struct shared_list_image[SHARED_LISTS]){ { .fd = -1 },
									    { .fd = -1 } },
	});
	assert_non_null(lists);
	lists_connect(lists, control);
	assert_int_equal(pipeline_start(pipeline), 0);
	loader_answers(0, "");
	request_count = 0;
	assert_int_equal(pthread_create(&hearing_thread, NULL, hear_loader, NULL), 0);
	assert_int_equal(pthread_create(&loader_thread, NULL, play_loader, NULL), 0);
}

static void start_api(void)
{
	uint16_t api_port, metrics_port;
	struct api_options options;
	char error[200] = "";

	api_listener = listen_on_loopback(&api_port);
	metrics_listener = listen_on_loopback(&metrics_port);
	atomic_store(&stopping, false);
	options = (struct api_options){
		.api_listener = api_listener,
		.metrics_listener = metrics_listener,
		.pipeline = pipeline,
		.control = control,
		.lists = lists,
		.query_timeout_ns = query_timeout_ns,
		.version = "1.2.3",
		.stopping = &stopping,
	};
	assert_int_equal(api_start(&options, &api, error, sizeof(error)), 0);
	assert_string_equal(error, "");
	api_client_set_ports(api_port, metrics_port);
}

int api_fixture_setup_empty(void **state)
{
	(void)state;
	start_pipeline();
	start_api();
	epoch = clock_boot_ns() - 600 * NS_PER_SECOND;
	return 0;
}

static void load(uint32_t number, const struct program_schema *schema, struct fake_ring *fake,
		 size_t longest, struct kernel_counts *counts)
{
	struct ring ring;
	char error[200] = "";

	tell_program(number, schema->name, PROGRAM_RUNNING, "");
	assert_int_equal(pipeline_register_schema(pipeline, number, schema, error, sizeof(error)),
			 0);
	fake_ring_open(fake, &ring, RING_BYTES, longest, 0);
	assert_int_equal(pipeline_attach_ring(pipeline, number, schema->name, &ring), 0);
	*counts = (struct kernel_counts){ 0 };
	assert_int_equal(
		pipeline_attach_ledger(pipeline, number, schema->name,
				       (struct ledger_source){ .fd = -1, .memory = counts }),
		0);
}

int api_fixture_setup(void **state)
{
	REPLY reply = { 0 };

	api_fixture_setup_empty(state);
	load(PROGRAM_CONNECTION, &connection_program, &connection_ring,
	     sizeof(struct connection_record), &connection_counts);
	load(PROGRAM_DROPS, &drop_program, &drop_ring, sizeof(struct drop_record), &drop_counts);
	tell_program(PROGRAM_FAILED_ONE, "broken", PROGRAM_FAILED, "no such hook");
	pipeline_set_ready(pipeline, true);
	reply = get("/openapi.json");
	assert_status(&reply, 200);
	api_client_set_document(json_incref(reply.json));
	return 0;
}

int api_fixture_teardown(void **state)
{
	(void)state;
	api_stop(api);
	api_client_set_document(NULL);
	assert_int_equal(eventfd_write(stop_hearing, 1), 0);
	pthread_join(hearing_thread, NULL);
	/* The loader's end sees that the server is gone. */
	shutdown(server_end, SHUT_RDWR);
	pthread_join(loader_thread, NULL);
	lists_free(lists);
	control_free(control);
	pipeline_free(pipeline);
	store_free(store);
	free(accounts);
	close(server_end);
	close(loader_end);
	close(stop_hearing);
	close(api_listener);
	close(metrics_listener);
	return 0;
}

void fixture_set_query_timeout(uint64_t ns)
{
	query_timeout_ns = ns;
}

/* ---- events and programs ---- */

uint64_t fixture_epoch(void)
{
	return epoch;
}

const char *fixture_time(uint64_t boot_ns)
{
	static char text[CLOCK_RFC3339_SIZE];

	clock_format_rfc3339((uint64_t)((int64_t)boot_ns + clock_boot_to_real_offset()), text);
	return text;
}

void produce_connection(uint64_t timestamp, uint32_t pid, const char *command, uint16_t port)
{
	struct connection_record record = {
		.timestamp = timestamp,
		.pid = pid,
		.tid = pid,
		.uid = 1000,
		.cgroup_id = (1ULL << 60) + 1,
		.duration_ns = port * 1000u,
		.destination_ip = { [10] = 0xff, 0xff, 10, 0, 0, 1 },
		.destination_port = port,
		.protocol = port == 53 ? 17 : 6,
	};

	memcpy(record.command, command, strnlen(command, sizeof(record.command)));
	__atomic_add_fetch(&connection_counts.produced, 1, __ATOMIC_RELAXED);
	assert_true(fake_ring_output(&connection_ring, &record, sizeof(record)));
}

void produce_drop(uint64_t timestamp, uint32_t pid, const char *command, uint16_t reason)
{
	struct drop_record record = {
		.timestamp = timestamp,
		.pid = pid,
		.tid = pid,
		.cgroup_id = 1,
		.skb_length = 64,
		.drop_reason = reason,
		.protocol = 6,
		.secret = 42,
	};

	memcpy(record.command, command, strnlen(command, sizeof(record.command)));
	__atomic_add_fetch(&drop_counts.produced, 1, __ATOMIC_RELAXED);
	assert_true(fake_ring_output(&drop_ring, &record, sizeof(record)));
}

void lose_connections(uint64_t count)
{
	__atomic_add_fetch(&connection_counts.produced, count, __ATOMIC_RELAXED);
	__atomic_add_fetch(&connection_counts.lost, count, __ATOMIC_RELAXED);
}

void tell_program(uint32_t number, const char *name, enum program_status status, const char *error)
{
	struct message message = {
		.type = MESSAGE_PROGRAM,
		.program = number,
		.status = status,
		.flags = status == PROGRAM_RUNNING ? MESSAGE_FLAG_ENABLED | MESSAGE_FLAG_LOADED |
							     MESSAGE_FLAG_ATTACHED
			 : status == PROGRAM_DISABLED ? 0
						      : MESSAGE_FLAG_ENABLED,
	};

	message_set_text(message.name, "%s", name);
	if (status == PROGRAM_RUNNING)
		message_set_text(message.hook, "tp_btf/%s", name);
	message_set_text(message.text, "%s", error);
	assert_int_equal(pipeline_program(pipeline, &message), 0);
}

void tell_interface(const struct message *message)
{
	assert_int_equal(pipeline_interface(pipeline, message), 0);
}

void tell_ready(bool ready)
{
	pipeline_set_ready(pipeline, ready);
}

atomic_bool *fixture_stopping(void)
{
	return &stopping;
}
