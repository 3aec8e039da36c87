/* SPDX-License-Identifier: MIT */
/*
 * The hot paths, each so many times, for callgrind to count their instructions: what it counts is
 * everything called by path_NAME(). What a path needs is made before, and one round of it is done,
 * so that no first time is in the count. Sealing is a path of its own: the others stay inside one
 * block.
 *
 *   hot_paths --describe   the build, the paths and how often each is done, as JSON
 *   hot_paths              does them
 */
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/json.h"
#include "base/memory.h"
#include "events.h"
#include "fake_ring.h"
#include "pipeline/internal.h"
#include "schema/encode.h"
#include "schema/filter.h"
#include "schema/kernel.h"
#include "store/aggregate.h"
#include "store/block.h"
#include "store/query.h"

#define MEMORY ((size_t)64 << 20)
#define BATCH 4096    /* events: fewer than a block of connections holds in this memory */
#define PUBLISH 256   /* events between two publications */
#define STORED 40000u /* events that are asked about */
#define QUERIES 8
#define LIMIT 100
#define ENCODED 512
#define SYMBOLS 4096
#define ABSENT_PID (EVENTS_PID(EVENTS_PROCESSES / 2) + 1) /* among those that are there */
#define UNKNOWN_PID EVENTS_PID(EVENTS_PROCESSES)	  /* past them */

/* In place of the C library's: dictionaries take the seed of their hash from it, and with another
 * seed other values collide. */
ssize_t getrandom(void *bytes, size_t length, unsigned int flags)
{
	(void)flags;
	memset(bytes, 0x5a, length);
	return (ssize_t)length;
}

/* A path keeps its own name and body: callgrind knows it by that. */
#ifdef __clang__
#define COMPILER "clang"
#define COMPILER_MAJOR __clang_major__
#define PATH __attribute__((noinline)) void
#else
#define COMPILER "gcc"
#define COMPILER_MAJOR __GNUC__
#define PATH __attribute__((noinline, noclone, no_icf)) void
#endif

static struct program_schema *connection_program, *packet_drop_program;
static const struct stream_schema *connection, *packet_drop;

/* Records one behind the other, `stride` bytes each. */
static struct rows batch;

static void make_batch(void)
{
	uint8_t record[EVENTS_MAX_RECORD];

	batch = (struct rows){
		.data = calloc(BATCH, connection->record_size),
		.lengths = calloc(BATCH, sizeof(uint16_t)),
		.stride = connection->record_size,
		.count = BATCH,
		.capacity = BATCH,
	};
	require(batch.data && batch.lengths, "out of memory");
	for (uint32_t i = 0; i < BATCH; i++) {
		batch.lengths[i] = (uint16_t)events_connection(connection, i, record);
		memcpy(batch.data + (size_t)i * batch.stride, record, batch.lengths[i]);
	}
}

static const uint8_t *record_at(uint32_t number)
{
	return batch.data + (size_t)number * batch.stride;
}

/* ---- in: ring, store, block ---- */

static void append_to(struct store *store, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		store_append(store, 0, record_at(i % BATCH), batch.lengths[i % BATCH]);
		if ((i + 1) % PUBLISH == 0)
			store_publish(store, 0);
	}
	store_publish(store, 0);
}

PATH path_store_append(struct store *store)
{
	append_to(store, BATCH);
}

static struct store *new_store(void)
{
	struct store *store = store_new(MEMORY);

	require(store != NULL && store_add_stream(store, connection) == 0, "no store");
	append_to(store, 1);
	return store;
}

static void run_store_append(void)
{
	CLEANUP(store) struct store *store = new_store();
	struct store_figures figures;

	path_store_append(store);
	store_figures(store, 0, &figures);
	require(figures.held == BATCH + 1 && figures.blocks == 0, "a block was sealed on the way");
}

PATH path_ring_drain(struct pipeline *pipeline)
{
	size_t records = 0, round;

	while ((round = pipeline_round(pipeline)))
		records += round;
	require(records == BATCH, "the ring held another number of records");
}

static void run_ring_drain(void)
{
	FREE struct stream_account *accounts = calloc(STREAM_ACCOUNTS, sizeof(*accounts));
	CLEANUP(store) struct store *store = store_new(MEMORY);
	CLEANUP(pipeline) struct pipeline *pipeline = pipeline_new(store, accounts, 1);
	struct message message = { .type = MESSAGE_PROGRAM, .status = PROGRAM_RUNNING };
	struct fake_ring fake;
	struct ring ring;
	char error[256] = "";

	require(pipeline != NULL, "no pipeline");
	message_set_text(message.name, "%s", connection_program->name);
	require(!pipeline_program(pipeline, &message), "the program is refused");
	require(!pipeline_register_schema(pipeline, 0, connection_program, error, sizeof(error)),
		error);
	fake_ring_open(&fake, &ring, 1 << 20, connection->record_size, 0);
	require(!pipeline_attach_ring(pipeline, 0, connection->name, &ring), "no ring");
	fake_ring_output(&fake, record_at(0), batch.lengths[0]);
	pipeline_round(pipeline);
	for (uint32_t i = 0; i < BATCH; i++)
		require(fake_ring_output(&fake, record_at(i), batch.lengths[i]), "full");
	path_ring_drain(pipeline);
}

PATH path_block_seal(struct block_builder *builder)
{
	const struct block_place place = { .oldest = 1, .newest = UINT64_MAX };
	size_t mapped;
	struct block *block = block_build(builder, connection, &batch, &place, &mapped);

	require(block != NULL, "no block");
	block_free(block, mapped);
}

static void run_block_seal(void)
{
	CLEANUP(block_builder) struct block_builder *builder = block_builder_new(BATCH);

	require(builder != NULL, "out of memory");
	path_block_seal(builder);
}

/* ---- out: queries, followers, filters, JSON ---- */

static struct store *stored;

static void store_all(void)
{
	uint8_t record[EVENTS_MAX_RECORD];

	stored = store_new(MEMORY);
	require(stored && store_add_stream(stored, connection) == 0, "no store");
	for (uint32_t i = 0; i < STORED; i++)
		store_append(stored, 0, record, events_connection(connection, i, record));
	store_publish(stored, 0);
}

static void add_filter(struct filter *filter, const char *name, const char *expression)
{
	char error[256] = "";

	require(!filter_add(filter, connection, stream_schema_field(connection, name), expression,
			    NULL, NULL, error, sizeof(error)),
		error);
}

static struct query new_query(const char *name, const char *expression)
{
	struct query query = {
		.streams = calloc(1, sizeof(*query.streams)),
		.stream_count = 1,
		.until = UINT64_MAX,
		.limit = LIMIT,
	};

	require(query.streams != NULL, "out of memory");
	if (name)
		add_filter(&query.streams[0].filter, name, expression);
	return query;
}

static void ask(const struct query *query, size_t events, uint64_t rows)
{
	for (int i = 0; i < QUERIES; i++) {
		struct query_result result;

		require(!query_run(stored, query, &result), "out of memory");
		require(result.count == events, "the answer holds another number of events");
		require(result.rows_scanned >= rows, "rows were not looked at");
		query_result_fini(&result);
	}
}

PATH path_query_absent_pid(const struct query *query)
{
	ask(query, 0, STORED);
}

PATH path_query_unknown_pid(const struct query *query)
{
	ask(query, 0, 0);
}

PATH path_query_newest_100(const struct query *query)
{
	ask(query, LIMIT, LIMIT);
}

static void run_query(void (*path)(const struct query *query), const char *pid)
{
	struct query query = new_query(pid ? "pid" : NULL, pid);

	path(&query);
	query_fini(&query);
}

static void run_query_absent_pid(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%u", ABSENT_PID);
	run_query(path_query_absent_pid, pid);
}

static void run_query_unknown_pid(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%u", UNKNOWN_PID);
	run_query(path_query_unknown_pid, pid);
}

static void run_query_newest_100(void)
{
	run_query(path_query_newest_100, NULL);
}

static void take_event(void *context, const struct event *event)
{
	*(uint64_t *)context += event->length;
}

static void add_up(const struct aggregate_options *options, const struct query *query,
		   uint64_t groups)
{
	for (int i = 0; i < QUERIES; i++) {
		CLEANUP(aggregate) struct aggregate *aggregate = aggregate_new(options);
		struct aggregate_result result;

		require(aggregate != NULL, "out of memory");
		do
			aggregate_add_store(aggregate, stored, query);
		while (aggregate_again(aggregate));
		require(!aggregate_result(aggregate, &result), "out of memory");
		require(result.total.count == STORED && result.total_groups == groups,
			"the sums are not those of the events");
	}
}

PATH path_aggregate_command(const struct aggregate_options *options, const struct query *query)
{
	add_up(options, query, EVENTS_COMMANDS);
}

PATH path_aggregate_numbers(const struct aggregate_options *options, const struct query *query)
{
	add_up(options, query, EVENTS_COMMANDS);
}

PATH path_aggregate_many(const struct aggregate_options *options, const struct query *query)
{
	add_up(options, query, EVENTS_PROCESSES);
}

static void run_aggregate(void (*path)(const struct aggregate_options *options,
				       const struct query *query),
			  const char *by, const char *of)
{
	const struct aggregate_options options = {
		.by = { by },
		.by_count = 1,
		.of = { of },
		.of_count = of != NULL,
		.top = 10,
		.buckets = 60,
		.start = EVENTS_START,
		.width = STORED * EVENTS_DISTANCE / 60,
	};
	struct query query = new_query(NULL, NULL);

	path(&options, &query);
	query_fini(&query);
}

static void run_aggregate_command(void)
{
	run_aggregate(path_aggregate_command, "command", NULL);
}

static void run_aggregate_numbers(void)
{
	run_aggregate(path_aggregate_numbers, "command", "duration_ns");
}

static void run_aggregate_many(void)
{
	run_aggregate(path_aggregate_many, "pid", NULL);
}

PATH path_follower_read(struct follower *follower)
{
	uint64_t bytes = 0, missed = 0;

	require(follower_read(follower, STORED, take_event, &bytes, &missed) == STORED,
		"the follower saw another number of events");
	require(bytes > STORED && missed == 0, "the follower missed events");
}

static void run_follower_read(void)
{
	CLEANUP(follower) struct follower *follower = follower_new(stored, false);

	require(follower != NULL, "out of memory");
	path_follower_read(follower);
}

PATH path_filter_match(const struct filter *filter)
{
	uint32_t passed = 0;

	for (uint32_t i = 0; i < BATCH; i++)
		passed += filter_match(filter, connection, record_at(i), batch.lengths[i]);
	require(passed > 0 && passed < BATCH / 2, "the filter does not tell events apart");
}

static void run_filter_match(void)
{
	struct filter filter = { 0 };

	add_filter(&filter, "pid", "1000..27000");
	add_filter(&filter, "command", "cu*,*xin*");
	add_filter(&filter, "destination_ip", "10.0.0.0/25");
	path_filter_match(&filter);
	filter_fini(&filter);
}

struct encoded {
	struct encoding encoding;
	struct event events[ENCODED];
	uint8_t records[ENCODED][EVENTS_MAX_RECORD];
	struct buffer out;
	struct json json;
};

static void encode_all(struct encoded *encoded)
{
	buffer_clear(&encoded->out);
	json_array_begin(&encoded->json);
	for (uint32_t i = 0; i < ENCODED; i++)
		event_encode_json(&encoded->events[i], &encoded->encoding, &encoded->json);
	json_array_end(&encoded->json);
	require(!encoded->out.failed, "out of memory");
}

PATH path_encode_connection(struct encoded *encoded)
{
	encode_all(encoded);
}

PATH path_encode_packet_drop(struct encoded *encoded)
{
	encode_all(encoded);
}

static void run_encode(void (*path)(struct encoded *encoded), const struct stream_schema *stream,
		       uint32_t (*make)(const struct stream_schema *, uint64_t, uint8_t *),
		       struct symbols *symbols)
{
	FREE struct encoded *encoded = calloc(1, sizeof(*encoded));

	require(encoded != NULL, "out of memory");
	encoded->encoding = (struct encoding){ .boot_to_real = 1790000000000000000,
					       .boot_epoch = 1790000000,
					       .symbols = symbols };
	for (uint32_t i = 0; i < ENCODED; i++) {
		uint8_t *record = encoded->records[i];

		encoded->events[i] = (struct event){ .schema = stream,
						     .record = record,
						     .length = make(stream, i, record),
						     .index = i };
		memcpy(&encoded->events[i].timestamp, record, sizeof(uint64_t));
	}
	json_init(&encoded->json, &encoded->out);
	encode_all(encoded);
	path(encoded);
	buffer_fini(&encoded->out);
}

static void run_encode_connection(void)
{
	run_encode(path_encode_connection, connection, events_connection, NULL);
}

/* A kernel's text, of functions of 256 bytes. */
static struct symbols *make_symbols(void)
{
	int fd = memfd_create("symbols", MFD_CLOEXEC);

	require(fd >= 0, "no file for symbols");
	for (unsigned long i = 0; i < SYMBOLS; i++)
		dprintf(fd, "%016lx T kernel_function_%lu\n", 0xffffffff81000000 + i * 1024, i);
	return symbols_new(fd);
}

static void run_encode_packet_drop(void)
{
	CLEANUP(symbols) struct symbols *symbols = make_symbols();
	uint64_t offset = 0;

	require(symbols_lookup(symbols, EVENTS_DROP_ADDRESS + 66, &offset) && offset == 66,
		"the symbol is not found");
	run_encode(path_encode_packet_drop, packet_drop, events_packet_drop, symbols);
}

/* ---- all of them ---- */

static const struct path {
	const char *name, *unit;
	unsigned int count;
	void (*run)(void);
} paths[] = {
	{ "store_append", "event", BATCH, run_store_append },
	{ "ring_drain", "event", BATCH, run_ring_drain },
	{ "block_seal", "event", BATCH, run_block_seal },
	{ "query_absent_pid", "stored event", QUERIES *STORED, run_query_absent_pid },
	{ "query_unknown_pid", "query", QUERIES, run_query_unknown_pid },
	{ "query_newest_100", "query", QUERIES, run_query_newest_100 },
	{ "aggregate_command", "stored event", QUERIES *STORED, run_aggregate_command },
	{ "aggregate_numbers", "stored event", QUERIES *STORED, run_aggregate_numbers },
	{ "aggregate_many", "stored event", QUERIES *STORED, run_aggregate_many },
	{ "follower_read", "event", STORED, run_follower_read },
	{ "filter_match", "event", BATCH, run_filter_match },
	{ "encode_connection", "event", ENCODED, run_encode_connection },
	{ "encode_packet_drop", "event", ENCODED, run_encode_packet_drop },
};

static void describe(void)
{
	BUFFER out = BUFFER_INIT;
	struct json json;

	json_init(&json, &out);
	json_object_begin(&json);
	json_key(&json, "build");
	json_printf(&json, "%s, %s %d, glibc %s", GUARD_BUILD, COMPILER, COMPILER_MAJOR,
		    gnu_get_libc_version());
	json_key(&json, "paths");
	json_object_begin(&json);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		json_key(&json, paths[i].name);
		json_object_begin(&json);
		json_member_string(&json, "unit", paths[i].unit);
		json_member_u64(&json, "count", paths[i].count);
		json_object_end(&json);
	}
	json_object_end(&json);
	json_object_end(&json);
	require(!out.failed, "out of memory");
	printf("%.*s\n", (int)out.length, out.data);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		require(argc == 2 && !strcmp(argv[1], "--describe"),
			"usage: hot_paths [--describe]");
		describe();
		return 0;
	}
	connection_program = events_schema("connection");
	packet_drop_program = events_schema("packet_drop");
	connection = &connection_program->streams[0];
	packet_drop = &packet_drop_program->streams[0];
	make_batch();
	store_all();
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		paths[i].run();
	store_free(stored);
	free(batch.data);
	free(batch.lengths);
	program_schema_free(connection_program);
	program_schema_free(packet_drop_program);
	return 0;
}
