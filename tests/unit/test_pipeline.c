/* SPDX-License-Identifier: MIT */
/* From rings to the store and the ledger, round by round, against the real store; the test plays
 * the kernel and the loader. What several threads do to each other is in test_pipeline_race.c. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "pipeline_fixture.h"
#include "store/query.h"

/* ---- rings to store ---- */

static void check_number(void *context, const struct event *event)
{
	uint64_t *next = context;
	struct beat_record wanted = beat_record((*next)++);

	assert_string_equal(event->schema->name, "beat");
	assert_int_equal(event->length, BEAT_SIZE);
	assert_memory_equal(event->record, &wanted, BEAT_SIZE);
}

static void test_events_reach_the_store(void **state)
{
	CLEANUP(follower) struct follower *follower = NULL;
	uint64_t next = 0, missed = 0;

	(void)state;
	load_beat();
	follower = follower_new(store, false);
	produce_beats(0, 1009);
	assert_int_equal(ledger_of(0).bytes_waiting, 1009 * 64);
	assert_int_equal(follower_read(follower, 5000, check_number, &next, &missed), 0);

	assert_int_equal(pipeline_round(pipeline), 1009);
	assert_int_equal(follower_read(follower, 5000, check_number, &next, &missed), 1009);
	assert_int_equal(next, 1009);
	assert_int_equal(missed, 0);
	assert_int_equal(settled(0).stored, 1009);
	assert_int_equal(accounts[0].stored, 1009);
	assert_string_equal(accounts[0].name, "beat");
	assert_int_equal(pipeline_round(pipeline), 0);
}

static void test_rings_share_a_round(void **state)
{
	(void)state;
	load_beat();
	load_pulse();
	produce_beats(0, 12007);
	for (uint64_t i = 0; i < 11; i++)
		produce(&pulse_ring, &pulse_counts, i, BEAT_SIZE);
	assert_int_equal(pipeline_round(pipeline), 8192 + 11);
	assert_int_equal(settled(1).stored, 11);
	assert_int_equal(ledger_of(0).stored, 8192);
	assert_int_equal(pipeline_round(pipeline), 12007 - 8192);
	assert_int_equal(settled(0).stored, 12007);
}

static void test_malformed_records_are_lost_and_counted(void **state)
{
	struct ledger ledger;
	unsigned long broken;

	(void)state;
	load_beat();
	produce(&beat_ring, &beat_counts, 1, BEAT_SIZE);
	produce(&beat_ring, &beat_counts, 2, BEAT_HEADER_SIZE - 1);
	produce(&beat_ring, &beat_counts, 3, 0);
	produce(&beat_ring, &beat_counts, 4, BEAT_SIZE + 1);
	produce(&beat_ring, &beat_counts, 5, BEAT_HEADER_SIZE); /* short is no fault */
	fake_ring_discard(&beat_ring, fake_ring_reserve(&beat_ring, BEAT_SIZE));
	assert_int_equal(pipeline_round(pipeline), 6);
	/* A length that would do, but leads past what was written. */
	beat_counts.produced++;
	broken = fake_ring_reserve(&beat_ring, 0);
	fake_ring_set_header(&beat_ring, broken, BEAT_SIZE);
	assert_int_equal(pipeline_round(pipeline), 1);

	ledger = settled(0);
	assert_int_equal(ledger.stored, 2);
	assert_int_equal(ledger.malformed, 4);
	assert_int_equal(ledger.lost, 4);
	assert_int_equal(accounts[0].malformed, 4);
}

/* ---- the ledger ---- */

static void test_ledger_adds_up(void **state)
{
	struct ledger ledger;

	(void)state;
	load_beat();
	for (int round = 0; round < 7; round++) {
		produce_beats((uint64_t)round * 20011, 20011); /* more than the ring holds */
		beat_counts.produced += 17;
		beat_counts.filtered += 13;
		beat_counts.sampled_out += 4;
		while (pipeline_round(pipeline))
			ledger_of(0);
		settled(0);
	}
	ledger = settled(0);
	assert_int_equal(ledger.produced, 7 * (20011 + 17));
	assert_int_equal(ledger.filtered, 7 * 13);
	assert_int_equal(ledger.sampled_out, 7 * 4);
	assert_true(ledger.lost > 0);
	assert_int_equal(ledger.lost, beat_counts.lost);
}

static void test_expired_events_stay_in_the_ledger(void **state)
{
	struct ledger ledger;

	(void)state;
	/* The smallest store, and numbers that no column makes small. */
	server_ends();
	server_begins(STORE_MIN_MEMORY);
	load_beat();
	for (uint64_t i = 0; i < 20; i++) {
		for (uint64_t n = 0; n < 10007; n++)
			produce(&beat_ring, &beat_counts, (i * 10007 + n) * 0x9e3779b97f4a7c15ULL,
				BEAT_SIZE);
		while (pipeline_round(pipeline))
			;
	}
	ledger = settled(0);
	assert_int_equal(ledger.stored, 20 * 10007);
	assert_true(ledger.expired > 0);
	assert_true(ledger.held > 0);
}

static void test_counts_outlive_the_server(void **state)
{
	struct ledger ledger;

	(void)state;
	load_beat();
	produce_beats(0, 101);
	produce(&beat_ring, &beat_counts, 0, 8);
	pipeline_round(pipeline);
	server_ends();

	/* The kernel goes on counting into the same maps; nobody reads. */
	server_begins(4 << 20);
	beat_counts.produced += 7;
	beat_counts.lost += 7;
	load_beat();
	ledger = settled(0);
	assert_int_equal(ledger.stored, 101);
	assert_int_equal(ledger.expired, 101);
	assert_int_equal(ledger.held, 0);
	assert_int_equal(ledger.malformed, 1);
	assert_int_equal(ledger.lost, 8);
	/* A loss of a time when nobody looked may belong to any window. */
	assert_int_equal(pipeline_lost_between(pipeline, 0, 0, 1), 8);

	produce_beats(0, 11);
	pipeline_round(pipeline);
	ledger = settled(0);
	assert_int_equal(ledger.stored, 112);
	assert_int_equal(ledger.held, 11);
	assert_int_equal(accounts[0].stored, 112);
	assert_int_equal(accounts[0].forgotten, 101);
}

static void test_unload_drains_and_keeps_counts(void **state)
{
	struct stream_view view;
	struct ledger before, after;

	(void)state;
	load_beat();
	produce_beats(0, 9001);
	beat_counts.produced += 5;
	beat_counts.filtered += 5;
	pipeline_unload(pipeline, BEAT); /* no round before it: it drains */
	beat_counts.produced += 1000;	 /* of nobody any more */
	before = settled(0);
	assert_int_equal(before.stored, 9001);
	assert_int_equal(before.filtered, 5);
	assert_int_equal(accounts[0].past_produced, 9006);
	assert_int_equal(pipeline_stream_view(pipeline, 0, &view), 0);
	assert_false(view.active);

	beat_counts = (struct kernel_counts){ 0 };
	load_beat();
	assert_int_equal(pipeline_stream_count(pipeline), 1);
	produce_beats(0, 3);
	pipeline_round(pipeline);
	after = settled(0);
	assert_int_equal(after.stored, 9004);
	assert_int_equal(after.produced, 9009);
	assert_int_equal(pipeline_stream_view(pipeline, 0, &view), 0);
	assert_true(view.active);
	assert_int_equal(view.program, BEAT);
}

/* A loader that starts over sends the maps again without a word of farewell. */
static void test_maps_replaced_without_unload(void **state)
{
	struct kernel_counts later = { 0 };

	(void)state;
	load_beat();
	produce_beats(0, 5);
	give_ring(BEAT, "beat", &beat_ring, BEAT_SIZE);
	give_ledger(BEAT, "beat", &later);
	assert_int_equal(settled(0).stored, 5);
	produce(&beat_ring, &later, 1, BEAT_SIZE);
	pipeline_round(pipeline);
	assert_int_equal(settled(0).produced, 6);
}

/* ---- losses in time ---- */

static void test_losses_lie_between_looks(void **state)
{
	uint64_t before, between, after;

	(void)state;
	load_beat();
	before = clock_boot_ns();
	assert_int_equal(pipeline_lost_between(pipeline, 0, 0, UINT64_MAX), 0);
	beat_counts.lost += 3;
	between = clock_boot_ns();
	assert_int_equal(pipeline_lost_between(pipeline, 0, before, UINT64_MAX), 3);
	beat_counts.lost += 5;
	assert_int_equal(ledger_of(0).lost, 8); /* a question looks, too */
	after = clock_boot_ns();

	assert_int_equal(pipeline_lost_between(pipeline, 0, 0, UINT64_MAX), 8);
	assert_int_equal(pipeline_lost_between(pipeline, 0, 0, before - 1), 0);
	assert_int_equal(pipeline_lost_between(pipeline, 0, 0, between), 3);
	assert_int_equal(pipeline_lost_between(pipeline, 0, after, UINT64_MAX), 0);
	assert_int_equal(pipeline_lost_between(pipeline, 7, 0, UINT64_MAX), 0);

	/* Malformed ones are losses of the reader's, with a time as well. */
	produce(&beat_ring, &beat_counts, 1, 8);
	pipeline_round(pipeline);
	assert_int_equal(pipeline_lost_between(pipeline, 0, after, UINT64_MAX), 1);
}

static void test_loss_log_is_bounded(void **state)
{
	struct loss_log log = { 0 };
	uint64_t total = 0;

	(void)state;
	for (uint64_t i = 0; i < 5003; i++) {
		loss_log_add(&log, i * 10, i * 10 + 10, i + 1);
		total += i + 1;
		assert_true(log.count <= LOSS_LOG_ENTRIES);
		assert_true(log.capacity <= LOSS_LOG_ENTRIES);
	}
	assert_int_equal(log.unplaced, 0);
	assert_int_equal(loss_log_between(&log, 0, UINT64_MAX), total);
	/* The newest are as they came, the old ones belong to wider windows, none is lost. */
	assert_int_equal(loss_log_between(&log, 50021, UINT64_MAX), 5003);
	assert_int_equal(loss_log_between(&log, 50015, 50017), 5002);
	assert_true(loss_log_between(&log, 105, 106) >= 11);
	for (size_t i = 1; i < log.count; i++)
		assert_true(log.entries[i].from == log.entries[i - 1].to);
	free(log.entries);
}

/* ---- who waits ---- */

static bool readable(int fd)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };

	return poll(&polled, 1, 0) == 1;
}

static void test_subscribers_hear_of_news(void **state)
{
	uint64_t count;
	int fd, other;

	(void)state;
	load_beat();
	fd = pipeline_subscribe(pipeline);
	other = pipeline_subscribe(pipeline);
	assert_true(fd >= 0 && other >= 0);
	pipeline_round(pipeline);
	assert_false(readable(fd));

	produce_beats(0, 3);
	pipeline_round(pipeline);
	assert_true(readable(fd));
	assert_true(readable(other));
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1); /* once a round, not once an event */
	produce(&beat_ring, &beat_counts, 1, 8);
	pipeline_round(pipeline);
	assert_false(readable(fd)); /* what is malformed is no news */

	pipeline_unsubscribe(pipeline, fd);
	produce_beats(0, 1);
	pipeline_round(pipeline);
	assert_false(readable(fd));
	pipeline_unsubscribe(pipeline, other);
	pipeline_unsubscribe(pipeline, other);
	close(fd);
	close(other);
}

static void test_sync(void **state)
{
	unsigned long busy;

	(void)state;
	load_beat();
	assert_false(pipeline_alive(pipeline));
	assert_int_equal(pipeline_sync(pipeline, 0), 0); /* nothing waits: no reader is needed */
	produce_beats(0, 101);
	assert_int_equal(pipeline_sync(pipeline, 0), -ETIMEDOUT);

	assert_int_equal(pipeline_start(pipeline), 0);
	assert_true(pipeline_alive(pipeline));
	assert_int_equal(pipeline_sync(pipeline, 5000), 0);
	assert_int_equal(settled(0).stored, 101);

	/* A record that is being written holds up what comes after it, but not for ever. */
	beat_counts.produced++;
	busy = fake_ring_reserve(&beat_ring, BEAT_SIZE);
	produce_beats(0, 2);
	assert_int_equal(pipeline_sync(pipeline, 20), -ETIMEDOUT);
	assert_int_equal(ledger_of(0).stored, 101);
	fake_ring_submit(&beat_ring, busy);
	assert_int_equal(pipeline_sync(pipeline, 5000), 0);
	assert_int_equal(settled(0).stored, 104);

	/* Nor does it hold up the end of its program for ever. */
	fake_ring_reserve(&beat_ring, BEAT_SIZE);
	pipeline_unload(pipeline, BEAT);
	assert_int_equal(ledger_of(0).bytes_waiting, 0);

	pipeline_stop(pipeline);
	assert_false(pipeline_alive(pipeline));
	pipeline_stop(pipeline);
}

static void test_stop_drains(void **state)
{
	(void)state;
	load_beat();
	assert_int_equal(pipeline_start(pipeline), 0);
	produce_beats(0, 12011);
	pipeline_stop(pipeline);
	assert_int_equal(settled(0).stored, 12011);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_events_reach_the_store),
		TEST(test_rings_share_a_round),
		TEST(test_malformed_records_are_lost_and_counted),
		TEST(test_ledger_adds_up),
		TEST(test_expired_events_stay_in_the_ledger),
		TEST(test_counts_outlive_the_server),
		TEST(test_unload_drains_and_keeps_counts),
		TEST(test_maps_replaced_without_unload),
		TEST(test_losses_lie_between_looks),
		TEST(test_loss_log_is_bounded),
		TEST(test_subscribers_hear_of_news),
		TEST(test_sync),
		TEST(test_stop_drains),
	};

	return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
