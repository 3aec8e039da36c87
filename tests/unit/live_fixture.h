/* SPDX-License-Identifier: MIT */
/* Clients of the live layer, read as fast as a test likes; the test plays the kernel and the reader
 * of the rings. Each test file has its own. */
#ifndef TESTS_LIVE_FIXTURE_H
#define TESTS_LIVE_FIXTURE_H

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "live/live.h"
#include "pipeline_fixture.h"

enum { PATIENCE_SECONDS = 20, MOST = 100000 };

/* A client and what it was given. */
struct reader {
	struct live_client *client;
	struct buffer text; /* not yet a whole frame */
	size_t piece;	    /* bytes read at once */
	struct event_id ids[MOST];
	uint64_t numbers[MOST];
	size_t count;
	uint64_t missed, missed_filtered, unknown;
	char reason[32];	 /* of the last that was lost */
	struct event_id lost_id; /* with it */
};

static struct live *live;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static uint64_t wakes;
static uint64_t epoch; /* boot ns; events are after the server began */

static inline void wake(void *context)
{
	(void)context;
	pthread_mutex_lock(&lock);
	wakes++;
	pthread_cond_broadcast(&woken);
	pthread_mutex_unlock(&lock);
}

static inline int64_t boot_to_real(void *context)
{
	(void)context;
	return 0;
}

static inline int setup_live(void **state)
{
	setup(state);
	return 0;
}

static inline void begin(size_t memory)
{
	const struct live_options options = {
		.pipeline = pipeline,
		.boot_to_real = boot_to_real,
		.memory = memory,
	};

	assert_int_equal(live_new(&options, &live), 0);
	epoch = clock_boot_ns();
}

static inline int teardown_live(void **state)
{
	live_free(live);
	live = NULL;
	return teardown(state);
}

/* ---- readers ---- */

static inline struct reader *join(const char *types, const char *field, const char *expression,
				  const struct event_id *after)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	const struct live_filter filter = { field, expression };
	const struct live_question question = {
		.types = types,
		.filters = &filter,
		.filter_count = field ? 1 : 0,
	};

	assert_non_null(reader);
	reader->piece = 65536;
	assert_int_equal(live_join(live, &question, after, wake, NULL, &reader->client), 0);
	return reader;
}

static inline void leave(struct reader *reader)
{
	live_leave(reader->client);
	buffer_fini(&reader->text);
	free(reader);
}

static inline void take_frame(struct reader *reader, const char *frame)
{
	const char *number = strstr(frame, "\"number\":"), *id = strstr(frame, "id: ");
	char text[EVENT_ID_SIZE] = "";

	if (!strncmp(frame, "retry: ", 7))
		return;
	if (id == frame) {
		snprintf(text, sizeof(text), "%.35s", id + 4);
		assert_int_equal(event_id_parse(text, &reader->lost_id), 0);
	}
	if (strstr(frame, "event: lost\n")) {
		const char *missed = strstr(frame, "\"missed\":") + 9;
		uint64_t count = strtoull(missed, NULL, 10);
		bool filtered = strstr(frame, "\"filtered\":true");

		sscanf(strstr(frame, "\"reason\":\""), "\"reason\":\"%31[^\"]", reader->reason);
		reader->unknown += !strncmp(missed, "null", 4);
		reader->missed += filtered ? 0 : count;
		reader->missed_filtered += filtered ? count : 0;
		return;
	}
	assert_non_null(number);
	assert_true(reader->count < MOST);
	assert_ptr_equal(id, frame);
	reader->ids[reader->count] = reader->lost_id;
	reader->numbers[reader->count++] = strtoull(number + 9, NULL, 10);
}

/* Takes whole frames out of the text. */
static inline void take_frames(struct reader *reader)
{
	char *begin = reader->text.data, *end;
	size_t left = reader->text.length;

	while (left && (end = memmem(begin, left, "\n\n", 2))) {
		end[1] = '\0';
		take_frame(reader, begin);
		left -= (size_t)(end + 2 - begin);
		begin = end + 2;
	}
	if (left)
		memmove(reader->text.data, begin, left);
	reader->text.length = left;
}

/* Reads what there is now. */
static inline void read_now(struct reader *reader)
{
	static char piece[65536];
	ssize_t length;

	do {
		length = live_read(reader->client, piece, reader->piece);
		assert_true(length >= 0);
		buffer_append(&reader->text, piece, (size_t)length);
		take_frames(reader);
	} while (length);
	assert_int_equal(reader->text.length, 0); /* frames are whole */
}

/* Reads until so many events were given or lost. */
static inline void read_until(struct reader *reader, uint64_t count)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += PATIENCE_SECONDS;
	for (;;) {
		uint64_t before, have;
		bool late;

		pthread_mutex_lock(&lock);
		before = wakes;
		pthread_mutex_unlock(&lock);
		read_now(reader);
		have = reader->count + reader->missed + reader->missed_filtered;
		if (have > count)
			fail_msg("%lu instead of %lu", (unsigned long)have, (unsigned long)count);
		if (have == count)
			return;
		pthread_mutex_lock(&lock);
		late = false;
		while (wakes == before && !late)
			late = pthread_cond_timedwait(&woken, &lock, &deadline);
		pthread_mutex_unlock(&lock);
		if (late)
			fail_msg("%lu of %lu after %d s, missed %lu and %lu: %s",
				 (unsigned long)have, (unsigned long)count, PATIENCE_SECONDS,
				 (unsigned long)reader->missed,
				 (unsigned long)reader->missed_filtered, reader->reason);
	}
}

/* Until the thread has come to all that was published. */
static inline struct live_figures await_encoded(uint64_t count)
{
	struct live_figures figures;
	const uint64_t deadline = clock_boot_ns() + PATIENCE_SECONDS * NS_PER_SECOND;

	do {
		live_figures(live, &figures);
		assert_true(clock_boot_ns() < deadline);
	} while (figures.encoded < count);
	assert_int_equal(figures.encoded, count);
	return figures;
}

/* ---- the kernel ---- */

static inline void produce_at(struct fake_ring *ring, uint64_t number, uint64_t timestamp)
{
	struct beat_record record = beat_record(number);

	record.timestamp = timestamp;
	beat_counts.produced += ring == &beat_ring;
	pulse_counts.produced += ring == &pulse_ring;
	assert_true(fake_ring_output(ring, &record, BEAT_SIZE));
}

/* `count` beats with these numbers, published in batches. */
static inline void publish_beats(uint64_t first, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		produce_at(&beat_ring, first + i, epoch + first + i);
		if (i % 997 == 996)
			pipeline_round(pipeline);
	}
	pipeline_round(pipeline);
}

#define LIVE_TEST(function) cmocka_unit_test_setup_teardown(function, setup_live, teardown_live)

#endif
