/* SPDX-License-Identifier: MIT */
/*
 * A store with a history in a folder of its own, over several servers and boots, and a model that
 * remembers every event that has to be there. Nothing runs beside the test: it says when things are
 * written.
 */
#ifndef TESTS_HISTORY_WORLD_H
#define TESTS_HISTORY_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>

#include "history/internal.h"
#include "store/query.h"
#include "store/walk.h"
#include "store_model.h"

enum { WORLD_STREAMS = 2, WORLD_EVENTS = 80000, WORLD_RECORD = sizeof(struct fixture_connection) };

struct world_event {
	uint32_t boot; /* counted from 0 */
	uint16_t stream;
	bool gone; /* lost, and rightly so */
	uint64_t timestamp, index;
	uint32_t length;
	uint8_t record[WORLD_RECORD];
};

struct world {
	char folder[64];
	int directory;
	struct history_options options;
	struct store *store;
	struct history *history;
	struct fixture_random random;
	struct world_event *events;
	size_t count;
	uint64_t clock;
	uint32_t boot;
	char boot_id[16];
	uint64_t next[WORLD_STREAMS];
};

/* How often, at least; `make test-soak` asks for more. */
static inline size_t world_rounds(size_t otherwise)
{
	const char *text = getenv("HISTORY_DAMAGES");
	const size_t asked = text ? strtoul(text, NULL, 10) : 0;

	return asked > otherwise ? asked : otherwise;
}

static const struct stream_schema *const world_schemas[WORLD_STREAMS] = {
	&fixture_connection_schema,
	&fixture_misc_schema,
};

/* ---- servers ---- */

static inline void world_open(struct world *world, size_t memory)
{
	char error[256] = "";
	struct store_figures figures;

	world->store = store_new(memory);
	assert_non_null(world->store);
	world->options.store = world->store;
	snprintf(world->boot_id, sizeof(world->boot_id), "boot-%u", world->boot);
	world->options.boot_id = world->boot_id;
	if (history_open(&world->options, &world->history, error, sizeof(error)) < 0)
		fail_msg("%s", error);
	for (size_t i = store_stream_count(world->store); i < WORLD_STREAMS; i++)
		assert_int_equal(store_add_stream(world->store, world_schemas[i]), i);
	for (size_t i = 0; i < WORLD_STREAMS; i++) {
		store_figures(world->store, i, &figures);
		world->next[i] = figures.first;
	}
}

/* As when the process is killed: nothing more is written. */
static inline void world_kill(struct world *world)
{
	for (size_t i = 0; i < world->count; i++) {
		struct world_event *event = &world->events[i];

		if (event->boot == world->boot &&
		    event->index >= atomic_load(&world->history->works[event->stream].written_to))
			event->gone = true;
	}
	history_close(TAKE(world->history));
	store_free(TAKE(world->store));
}

static inline int world_flush(struct world *world)
{
	return flush_run(world->history, true);
}

static inline void world_end(struct world *world)
{
	assert_int_equal(world_flush(world), 0);
	world_kill(world);
}

static inline void world_next_boot(struct world *world)
{
	world->boot++;
	world->clock = 1000000;
}

static inline void world_begin(struct world *world, size_t memory, uint64_t seed)
{
	strcpy(world->folder, "/tmp/test-history-XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	world->directory = open(world->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(world->directory >= 0);
	world->options = (struct history_options){
		.directory = world->directory,
		.path = world->folder,
		.size_limit = 1ULL << 30,
		.flush_ns = NS_PER_SECOND,
	};
	world->random.state = seed;
	world->clock = 1000000;
	world->boot = 0;
	world->count = 0;
	if (!world->events)
		world->events = calloc(WORLD_EVENTS, sizeof(*world->events));
	assert_non_null(world->events);
	world_open(world, memory);
}

static inline void world_remove_files(struct world *world)
{
	DIR *list = opendir(world->folder);
	const struct dirent *entry;

	while (list && (entry = readdir(list)))
		unlinkat(world->directory, entry->d_name, 0);
	if (list)
		closedir(list);
	rmdir(world->folder);
}

static inline void world_remove_file(struct world *world, const char *name)
{
	unlinkat(world->directory, name, 0);
}

/* Files whose names begin so, without SQLite's companions. */
static inline int world_count_files(const struct world *world, const char *beginning)
{
	DIR *list = opendir(world->folder);
	const struct dirent *entry;
	int count = 0;

	while (list && (entry = readdir(list)))
		count += !strncmp(entry->d_name, beginning, strlen(beginning)) &&
			 !strchr(entry->d_name + strlen(beginning), '-');
	if (list)
		closedir(list);
	return count;
}

/* Of the database; in one place. */
static inline const char *world_path(const struct world *world)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/" HISTORY_FILE, world->folder);
	return path;
}

static inline void world_fini(struct world *world)
{
	history_close(TAKE(world->history));
	store_free(TAKE(world->store));
	if (world->folder[0])
		world_remove_files(world);
	world->folder[0] = '\0';
	if (world->directory >= 0)
		close(TAKE_FD(world->directory));
	free(TAKE(world->events));
}

/* ---- events ---- */

/* What left memory and was not written is gone. */
static inline void world_forget_expired(struct world *world)
{
	for (size_t s = 0; s < WORLD_STREAMS; s++) {
		const uint64_t written = atomic_load(&world->history->works[s].written_to);
		struct store_figures figures;

		store_figures(world->store, s, &figures);
		for (size_t i = 0; i < world->count; i++) {
			struct world_event *event = &world->events[i];

			if (event->boot == world->boot && event->stream == s &&
			    event->index >= written &&
			    event->index < figures.first + figures.expired)
				event->gone = true;
		}
	}
}

static inline void world_append(struct world *world, size_t count, uint64_t disorder)
{
	struct fixture_random *random = &world->random;

	assert_true(world->count + count <= WORLD_EVENTS);
	for (size_t i = 0; i < count; i++) {
		struct world_event *event = &world->events[world->count++];
		union {
			struct fixture_connection connection;
			struct fixture_misc misc;
		} record;

		world->clock += fixture_below(random, 3) * 10;
		*event = (struct world_event){
			.boot = world->boot,
			.stream = (uint16_t)fixture_below(random, WORLD_STREAMS),
			.timestamp = world->clock,
		};
		if (disorder && !fixture_below(random, 5))
			event->timestamp -= fixture_below(random, disorder);
		event->length = event->stream ? fixture_misc_event(random, event->timestamp, 30,
								   &record.misc)
					      : fixture_connection_event(random, event->timestamp,
									 40, &record.connection);
		memcpy(event->record, &record, event->length);
		event->index = world->next[event->stream]++;
		store_append(world->store, event->stream, &record, event->length);
	}
	for (size_t i = 0; i < WORLD_STREAMS; i++) {
		store_publish(world->store, i);
		store_settle(world->store, i);
	}
	world_forget_expired(world);
}

/* ---- what the answers have to be ---- */

static inline int world_compare(const void *a, const void *b)
{
	const struct world_event *x = *(const struct world_event *const *)a;
	const struct world_event *y = *(const struct world_event *const *)b;

	if (x->boot != y->boot)
		return x->boot < y->boot ? -1 : 1;
	if (x->timestamp != y->timestamp)
		return x->timestamp < y->timestamp ? -1 : 1;
	if (x->stream != y->stream)
		return x->stream < y->stream ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* The clock of a boot in the history's list. */
static inline const struct event_boot *world_boot(const struct world *world, uint32_t boot)
{
	const struct catalog *catalog = &world->history->catalog;

	for (size_t i = 0; i < catalog->boot_count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "boot-%u", boot);
		if (!strcmp(catalog->boot_rows[i].boot_id, name))
			return &catalog->boots[i].clock;
	}
	fail_msg("boot %u is not known", boot);
	return NULL;
}

static inline bool world_in_window(const struct world *world, const struct query *query,
				   const struct world_event *event)
{
	int64_t to_real;

	if (event->boot == world->boot)
		return event->timestamp >= query->since && event->timestamp <= query->until;
	to_real = world_boot(world, event->boot)->to_real;
	return event->timestamp + (uint64_t)to_real >= query->since_real &&
	       event->timestamp + (uint64_t)to_real <= query->until_real;
}

/* An event as a place; its boot as a question names it. */
static inline struct query_place world_place(const struct world *world,
					     const struct world_event *event)
{
	return (struct query_place){
		.set = true,
		.boot = event->boot == world->boot ? 0 : world_boot(world, event->boot)->epoch,
		.timestamp = event->timestamp,
		.stream = event->stream,
		.index = (uint32_t)event->index,
	};
}

static inline void world_assert_event(const struct world *world, const struct event *event,
				      const struct world_event *expected)
{
	assert_int_equal(event->stream, expected->stream);
	assert_int_equal(event->timestamp, expected->timestamp);
	assert_int_equal(event->index, expected->index);
	if (expected->boot == world->boot)
		assert_null(event->boot);
	else
		assert_int_equal(event->boot->epoch, world_boot(world, expected->boot)->epoch);
	assert_true(model_same_record(world_schemas[expected->stream], event->record, event->length,
				      expected->record, expected->length));
}

/* Of an earlier boot's addresses no question is answered. */
static inline bool world_is_refused(const struct world *world, const struct query_stream *asked,
				    const struct world_event *event)
{
	const struct stream_schema *schema = world_schemas[asked->stream];

	for (size_t p = 0; p < asked->filter.count && event->boot != world->boot; p++) {
		const struct predicate *predicate = &asked->filter.predicates[p];

		for (size_t a = 0; a < predicate->count; a++) {
			for (size_t t = 0; t < predicate->alternatives[a].count; t++) {
				const struct test *test = &predicate->alternatives[a].tests[t];

				if (schema->fields[test->field].kind == FIELD_SYMBOL)
					return true;
			}
		}
	}
	return false;
}

/* Runs the question and compares the whole answer; `after` and `before` are the events that its
 * places were made of, or NULL. Returns the number of events in it. */
static inline size_t world_check(const struct world *world, const struct query *query,
				 const struct world_event *after, const struct world_event *before)
{
	FREE const struct world_event **expected = calloc(world->count + 1, sizeof(*expected));
	struct query_result result;
	uint64_t total = 0;
	size_t count = 0, given;
	bool refused = false;

	for (size_t i = 0; i < world->count; i++) {
		const struct world_event *event = &world->events[i];
		const struct query_stream *asked = NULL;

		for (size_t s = 0; s < query->stream_count; s++) {
			if (query->streams[s].stream == event->stream)
				asked = &query->streams[s];
		}
		if (event->gone || !asked || !world_in_window(world, query, event))
			continue;
		if (world_is_refused(world, asked, event)) {
			refused = true;
			continue;
		}
		if (!model_match(&asked->filter, world_schemas[event->stream], event->record,
				 event->length))
			continue;
		total++;
		if ((!after || world_compare(&event, &after) > 0) &&
		    (!before || world_compare(&event, &before) < 0))
			expected[count++] = event;
	}
	qsort(expected, count, sizeof(*expected), world_compare);

	assert_int_equal(query_run(world->store, query, &result), 0);
	assert_true(refused ? result.damaged > 0 : result.damaged <= world->boot);
	if (query->want_total || !query->limit)
		assert_int_equal(result.total, total);
	given = count < query->limit ? count : query->limit;
	assert_int_equal(result.count, given);
	assert_int_equal(result.more, query->limit && count > query->limit);
	for (size_t i = 0; i < given; i++)
		world_assert_event(world, &result.events[i],
				   expected[query->ascending ? i : count - 1 - i]);
	query_result_fini(&result);
	return given;
}

static inline struct query world_everything(const struct world *world, size_t limit)
{
	struct query query = { .until = UINT64_MAX,
			       .until_real = UINT64_MAX,
			       .limit = limit,
			       .stream_count = WORLD_STREAMS,
			       .archive = history_archive(world->history) };

	query.streams = calloc(WORLD_STREAMS, sizeof(*query.streams));
	for (uint16_t i = 0; i < WORLD_STREAMS; i++)
		query.streams[i].stream = i;
	return query;
}

static inline const struct world_event *world_some_event(struct world *world)
{
	return &world->events[fixture_below(&world->random, world->count)];
}

static inline size_t world_check_random(struct world *world)
{
	static const size_t limits[] = { 0, 1, 2, 10, 100, 1000, 10000 };
	struct fixture_random *random = &world->random;
	struct query query =
		world_everything(world, limits[fixture_below(random, ARRAY_SIZE(limits))]);
	const struct world_event *after = NULL, *before = NULL;
	const int64_t to_real = world_boot(world, world->boot)->to_real;
	size_t given;

	query.ascending = fixture_below(random, 2);
	query.want_total = fixture_below(random, 2);
	if (!fixture_below(random, 3))
		query.stream_count--;
	for (size_t i = 0; i < query.stream_count; i++) {
		const struct world_event *example = world_some_event(world);

		if (example->stream == i && fixture_below(random, 3))
			query.streams[i].filter =
				model_random_filter(random, world_schemas[i], example->record);
	}
	if (!fixture_below(random, 3)) {
		query.since = world_some_event(world)->timestamp;
		query.since_real = query.since + (uint64_t)to_real;
	}
	if (!fixture_below(random, 3)) {
		query.until = world_some_event(world)->timestamp;
		query.until_real = query.until + (uint64_t)to_real;
	}
	if (!fixture_below(random, 4)) {
		after = world_some_event(world);
		query.after = world_place(world, after);
	}
	if (!fixture_below(random, 4)) {
		before = world_some_event(world);
		query.before = world_place(world, before);
	}
	given = world_check(world, &query, after, before);
	query_fini(&query);
	return given;
}

/* Everything that has to be there is, once. */
static inline void world_check_all(const struct world *world)
{
	struct query query = world_everything(world, WORLD_EVENTS);

	query.want_total = true;
	world_check(world, &query, NULL, NULL);
	query_fini(&query);
}

#endif
