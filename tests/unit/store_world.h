/* SPDX-License-Identifier: MIT */
/* A store with three streams, and a memory of every record that was ever put into it. */
#ifndef TESTS_STORE_WORLD_H
#define TESTS_STORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/query.h"
#include "store_model.h"

enum { STREAMS = 3, MOST_EVENTS = 61000 };

struct remembered {
	uint64_t timestamp;
	uint64_t index;
	uint32_t length;
	uint16_t stream;
	uint8_t record[sizeof(struct fixture_connection)];
};

static const struct stream_schema *const schemas[STREAMS] = {
	&fixture_connection_schema,
	&fixture_misc_schema,
	&fixture_connection_schema,
};

/* A store and everything that was put into it. */
struct world {
	struct store *store;
	struct fixture_random random;
	struct remembered *events;
	size_t count;
	uint64_t clock;
	uint64_t appended[STREAMS];
};

static struct world world;

static inline void world_begin(size_t memory, uint64_t seed)
{
	store_free(world.store);
	world.store = store_new(memory);
	world.random.state = seed;
	world.count = 0;
	world.clock = 1000000;
	for (size_t i = 0; i < STREAMS; i++) {
		assert_int_equal(store_add_stream(world.store, schemas[i]), i);
		world.appended[i] = 0;
	}
}

static inline int world_setup(void **state)
{
	(void)state;
	world.events = calloc(MOST_EVENTS, sizeof(*world.events));
	return world.events ? 0 : -1;
}

static inline int world_teardown(void **state)
{
	(void)state;
	store_free(world.store);
	free(world.events);
	return 0;
}

/* `disorder`: ns by which an event may come late. Times repeat, so that places decide too. */
static inline void world_append(size_t count, uint64_t disorder)
{
	struct fixture_random *random = &world.random;

	assert_true(world.count + count <= MOST_EVENTS);
	for (size_t i = 0; i < count; i++) {
		struct remembered *event = &world.events[world.count++];
		union {
			struct fixture_connection connection;
			struct fixture_misc misc;
		} record;

		world.clock += fixture_below(random, 3) * 10;
		event->stream = (uint16_t)fixture_below(random, STREAMS);
		event->timestamp = world.clock;
		if (disorder && !fixture_below(random, 5))
			event->timestamp -= fixture_below(random, disorder);
		if (event->stream == 1)
			event->length =
				fixture_misc_event(random, event->timestamp, 30, &record.misc);
		else
			event->length = fixture_connection_event(random, event->timestamp, 40,
								 &record.connection);
		memcpy(event->record, &record, event->length);
		event->index = world.appended[event->stream]++;
		store_append(world.store, event->stream, &record, event->length);
	}
	for (size_t i = 0; i < STREAMS; i++)
		store_publish(world.store, i);
}

/* Events go block by block, so what is held is told by the store itself: from this index on. */
static inline uint64_t world_first_held(size_t number)
{
	struct store_figures figures;

	store_figures(world.store, number, &figures);
	return figures.expired;
}

/* All streams, no filter, no window. */
static inline struct query world_question(size_t limit)
{
	struct query query = { .until = UINT64_MAX, .limit = limit, .stream_count = STREAMS };

	query.streams = calloc(STREAMS, sizeof(*query.streams));
	for (uint16_t i = 0; i < STREAMS; i++)
		query.streams[i].stream = i;
	return query;
}

static inline uint64_t world_random_time(void)
{
	return world.clock - fixture_below(&world.random, (world.clock - 999990) * 5 / 4);
}

/* Some streams, filters and limits of time at random. */
static inline void world_narrow(struct query *query)
{
	struct fixture_random *random = &world.random;

	while (query->stream_count > 1 && !fixture_below(random, 3))
		query->stream_count--;
	for (size_t i = 0; i < query->stream_count; i++) {
		const struct remembered *example = NULL;

		do {
			example = &world.events[fixture_below(random, world.count)];
		} while (example->stream != i);
		if (fixture_below(random, 3))
			query->streams[i].filter =
				model_random_filter(random, schemas[i], example->record);
	}
	if (!fixture_below(random, 3))
		query->since = world_random_time();
	if (!fixture_below(random, 3))
		query->until = world_random_time();
}

#endif
