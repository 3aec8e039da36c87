/* SPDX-License-Identifier: MIT */
/* The reader thread among others: producers, questions, followers, and a control thread that takes
 * rings away and brings them back. Run under TSan too. Each event is accounted for. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "beat.h"
#include "fake_ring.h"
#include "pipeline/internal.h"
#include "store/query.h"

enum { BEAT = 1, PULSE = 2, BEATS = 100003, PULSES_A_LOAD = 1009, LOADS = 11 };

static struct stream_account accounts[STREAM_ACCOUNTS];
static struct store *store;
static struct pipeline *pipeline;
static struct fake_ring beat_ring;
static struct kernel_counts beat_counts;
static atomic_bool done;

static void tell(uint32_t number, const struct program_schema *schema)
{
	struct message message = { .type = MESSAGE_PROGRAM, .program = number };
	char error[200];

	message_set_text(message.name, "%s", schema->name);
	assert_int_equal(pipeline_program(pipeline, &message), 0);
	assert_int_equal(pipeline_register_schema(pipeline, number, schema, error, sizeof(error)),
			 0);
}

static void attach(uint32_t number, const char *name, struct fake_ring *fake, size_t bytes,
		   struct kernel_counts *counts)
{
	struct ring ring;

	fake_ring_open(fake, &ring, bytes, BEAT_SIZE, 0);
	assert_int_equal(pipeline_attach_ring(pipeline, number, name, &ring), 0);
	assert_int_equal(
		pipeline_attach_ledger(pipeline, number, name,
				       (struct ledger_source){ .fd = -1, .memory = counts }),
		0);
}

static void add(uint64_t *count)
{
	__atomic_store_n(count, *count + 1, __ATOMIC_RELAXED);
}

/* Every thousandth record is malformed, every seventh filtered out, and a small ring loses some. */
static void *produce_beats(void *context)
{
	for (uint64_t i = 0; i < BEATS; i++) {
		struct beat_record record = beat_record(i);

		add(&beat_counts.produced);
		if (i % 7 == 0)
			add(&beat_counts.filtered);
		else if (!fake_ring_output(&beat_ring, &record,
					   i % 1000 ? BEAT_SIZE : BEAT_SIZE + 8))
			add(&beat_counts.lost);
		if (i % 4096 == 0)
			sched_yield();
	}
	return context;
}

/* What is produced before a sync is there after it. */
static void *ask(void *context)
{
	while (!atomic_load(&done)) {
		struct program_view program;
		struct stream_view stream;
		struct ledger before, after;

		assert_int_equal(pipeline_ledger(pipeline, 0, &before), 0);
		assert_int_equal(pipeline_sync(pipeline, 60000), 0);
		assert_int_equal(pipeline_ledger(pipeline, 0, &after), 0);
		assert_int_equal(after.stored, after.held + after.expired);
		assert_true(after.expired >= before.expired);
		assert_true(after.produced >=
			    after.stored + after.filtered + after.lost - after.malformed);
		assert_true(after.stored + after.filtered + after.lost + after.malformed >=
			    before.stored);
		pipeline_lost_between(pipeline, 0, 0, UINT64_MAX);
		assert_int_equal(pipeline_program_view(pipeline, PULSE, &program), 0);
		assert_int_equal(pipeline_stream_view(pipeline, 1, &stream), 0);
		assert_int_equal(pipeline_find_program(pipeline, "pulse"), PULSE);
		assert_true(pipeline_alive(pipeline));
	}
	return context;
}

struct following {
	uint64_t beats, missed;
};

static void count_beat(void *context, const struct event *event)
{
	struct following *following = context;

	if (event->stream == 0)
		following->beats++;
}

static void *follow(void *context)
{
	struct following *following = context;
	CLEANUP(follower) struct follower *follower = follower_new(store, false);
	CLOSE int fd = pipeline_subscribe(pipeline);
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	bool last;

	assert_non_null(follower);
	assert_true(fd >= 0);
	do {
		uint64_t news;

		last = atomic_load(&done);
		if (poll(&polled, 1, 10) == 1)
			assert_int_equal(read(fd, &news, sizeof(news)), sizeof(news));
		while (follower_read(follower, 1000, count_beat, following, &following->missed))
			;
	} while (!last);
	pipeline_unsubscribe(pipeline, fd);
	return context;
}

/* Loads and unloads the other program; each time all that it produced is stored. */
static void reload_pulse(void)
{
	for (uint64_t load = 0; load < LOADS; load++) {
		struct kernel_counts counts = { 0 };
		struct fake_ring ring;
		struct ledger ledger;

		tell(PULSE, &pulse_schema);
		attach(PULSE, "pulse", &ring, 1 << 17, &counts);
		for (uint64_t i = 0; i < PULSES_A_LOAD; i++) {
			struct beat_record record = beat_record(i);

			add(&counts.produced);
			assert_true(fake_ring_output(&ring, &record, BEAT_SIZE));
		}
		pipeline_unload(pipeline, PULSE);
		assert_int_equal(pipeline_ledger(pipeline, 1, &ledger), 0);
		assert_int_equal(ledger.stored, (load + 1) * PULSES_A_LOAD);
		assert_int_equal(ledger.produced, ledger.stored);
	}
}

static void test_threads(void **state)
{
	struct following following = { 0 };
	pthread_t producer, asking[2], follower;
	struct ledger ledger;

	(void)state;
	store = store_new(16 << 20);
	pipeline = pipeline_new(store, accounts, 1);
	assert_non_null(pipeline);
	tell(BEAT, &beat_schema);
	tell(PULSE, &pulse_schema);
	attach(BEAT, "beat", &beat_ring, 1 << 16, &beat_counts);
	assert_int_equal(pipeline_start(pipeline), 0);

	assert_int_equal(pthread_create(&follower, NULL, follow, &following), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&asking[i], NULL, ask, NULL), 0);
	assert_int_equal(pthread_create(&producer, NULL, produce_beats, NULL), 0);
	reload_pulse();
	pthread_join(producer, NULL);
	assert_int_equal(pipeline_sync(pipeline, 60000), 0);
	atomic_store(&done, true);
	pthread_join(follower, NULL);
	for (size_t i = 0; i < 2; i++)
		pthread_join(asking[i], NULL);

	assert_int_equal(pipeline_ledger(pipeline, 0, &ledger), 0);
	assert_int_equal(ledger.produced, BEATS);
	assert_int_equal(ledger.produced, ledger.stored + ledger.filtered + ledger.lost);
	assert_int_equal(ledger.filtered, (BEATS + 6) / 7);
	assert_int_equal(ledger.lost, beat_counts.lost + ledger.malformed);
	assert_int_equal(accounts[0].stored, ledger.stored);
	assert_int_equal(pipeline_lost_between(pipeline, 0, 0, UINT64_MAX), ledger.lost);
	/* The store holds them all, so the follower saw each once. */
	assert_int_equal(ledger.expired, 0);
	assert_int_equal(following.missed, 0);
	assert_int_equal(following.beats, ledger.stored);
	pipeline_free(pipeline);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_threads) };

	return cmocka_run_group_tests_name("pipeline_race", tests, NULL, NULL);
}
