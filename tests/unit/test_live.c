/* SPDX-License-Identifier: MIT */
/* Clients that follow live: everything once and in order, or told how much not. */
#include "live_fixture.h"

static void test_everything_once(void **state)
{
	struct reader *all, *same, *some, *none;
	struct live_figures figures;

	(void)state;
	load_beat();
	begin(0);
	publish_beats(0, 101);
	all = join(NULL, NULL, NULL, NULL);
	same = join(NULL, NULL, NULL, NULL);
	some = join("beat", "number", "1000..1099", NULL);
	none = join(NULL, "number", "7", NULL);
	same->piece = 61; /* smaller than a frame */
	publish_beats(101, 5003);
	read_until(all, 5003);
	read_until(same, 5003);
	read_until(some, 100);
	await_encoded(5003);
	for (size_t i = 0; i < 5003; i++) {
		assert_int_equal(all->numbers[i], 101 + i);
		assert_int_equal(same->numbers[i], 101 + i);
	}
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(some->numbers[i], 1000 + i);
	read_now(none);
	assert_int_equal(none->count + none->missed + none->missed_filtered, 0);
	live_figures(live, &figures);
	assert_int_equal(figures.clients, 4);
	assert_int_equal(figures.channels, 3);
	leave(all);
	leave(some);
	leave(none);
	leave(same);
	live_figures(live, &figures);
	assert_int_equal(figures.clients + figures.channels + figures.bytes, 0);
}

/* Filters in another order, types named twice: the same question. */
static void test_the_same_question(void **state)
{
	const struct live_filter filters[] = { { "pid", "1" }, { "number", "2" }, { "pid", "1" } };
	struct live_question question = { .types = "beat,pulse",
					  .filters = filters,
					  .filter_count = 2 };
	struct live_client *clients[4];
	struct live_figures figures;

	(void)state;
	load_beat();
	load_pulse();
	begin(0);
	assert_int_equal(live_join(live, &question, NULL, wake, NULL, &clients[0]), 0);
	question.types = "pulse,beat,pulse";
	question.filters = filters + 1;
	assert_int_equal(live_join(live, &question, NULL, wake, NULL, &clients[1]), 0);
	live_figures(live, &figures);
	assert_int_equal(figures.channels, 1);
	question.integers_as_strings = true;
	assert_int_equal(live_join(live, &question, NULL, wake, NULL, &clients[2]), 0);
	question.types = NULL;
	assert_int_equal(live_join(live, &question, NULL, wake, NULL, &clients[3]), 0);
	live_figures(live, &figures);
	assert_int_equal(figures.channels, 3);
	for (size_t i = 0; i < 4; i++)
		live_leave(clients[i]);
}

/* Who reads too slowly is told to the event what it missed, and where. */
static void test_a_slow_reader(void **state)
{
	struct reader *slow, *again;
	struct live_figures figures;

	(void)state;
	load_beat();
	begin(256 << 10);
	slow = join(NULL, NULL, NULL, NULL);
	publish_beats(0, 20011);
	figures = await_encoded(20011);
	assert_true(figures.bytes <= 256 << 10);
	assert_true(figures.bytes > 32 << 10);
	read_until(slow, 20011);
	assert_true(slow->missed_filtered > 10000);
	assert_int_equal(slow->missed, 0);
	assert_string_equal(slow->reason, "slow_reader");
	for (size_t i = 0; i < slow->count; i++)
		assert_int_equal(slow->numbers[i], slow->missed_filtered + i);
	live_figures(live, &figures);
	assert_int_equal(figures.missed, slow->missed_filtered);

	/* From then on it is as good as any. */
	publish_beats(20011, 11);
	read_until(slow, 20022);
	assert_int_equal(slow->numbers[slow->count - 1], 20021);
	leave(slow);
	again = join(NULL, NULL, NULL, NULL);
	publish_beats(20022, 7);
	read_until(again, 7);
	leave(again);
}

/* The frame that tells it has the id of the last event that is missed: who is disconnected then
 * goes on behind it. */
static void test_what_was_told_is_not_given_again(void **state)
{
	struct reader *slow, *again;
	char piece[512];
	struct event_id id;
	ssize_t length;

	(void)state;
	load_beat();
	begin(128 << 10);
	slow = join(NULL, NULL, NULL, NULL);
	publish_beats(0, 10007);
	await_encoded(10007);
	do { /* no more than the frame itself */
		length = live_read(slow->client, piece, 80);
		assert_true(length > 0);
		buffer_append(&slow->text, piece, (size_t)length);
		buffer_append_char(&slow->text, '\0');
		slow->text.length--;
	} while (!strstr(slow->text.data, "\"filtered\""));
	snprintf(piece, sizeof(piece), "%.35s", strstr(slow->text.data, "id: ") + 4);
	assert_int_equal(event_id_parse(piece, &id), 0);
	again = join(NULL, NULL, NULL, &id);
	read_until(again, 10007 - id.index - 1);
	assert_int_equal(again->missed, 0);
	assert_int_equal(again->numbers[0], id.index + 1);
	assert_non_null(strstr(slow->text.data, "event: lost\n"));
	snprintf(piece, sizeof(piece), "\"missed\":%u,", id.index + 1);
	assert_non_null(strstr(slow->text.data, piece));
	leave(slow);
	leave(again);
}

/* A flood that one client does not read takes nothing from another's few events. */
static void test_the_quiet_are_spared(void **state)
{
	struct reader *quiet, *flooded[7];

	(void)state;
	load_beat();
	begin(256 << 10);
	quiet = join(NULL, "number", "3", NULL);
	/* More than there is memory for, though none has its share. */
	for (size_t i = 0; i < ARRAY_SIZE(flooded); i++) {
		char pids[16];

		snprintf(pids, sizeof(pids), "..%zu", 90 + i);
		flooded[i] = join(NULL, "pid", pids, NULL);
	}
	publish_beats(0, 10007);
	await_encoded(100 * 97 + 7);
	for (size_t i = 0; i < ARRAY_SIZE(flooded); i++) {
		read_until(flooded[i], 100 * (91 + i) + 7);
		assert_true(flooded[i]->missed_filtered > 0);
		leave(flooded[i]);
	}
	read_until(quiet, 1);
	assert_int_equal(quiet->missed_filtered, 0);
	assert_int_equal(quiet->numbers[0], 3);
	leave(quiet);
}

static void test_what_the_kernel_lost(void **state)
{
	struct reader *one, *other, *another;

	(void)state;
	load_beat();
	load_pulse();
	begin(0);
	beat_counts.produced += 5;
	beat_counts.lost += 5; /* before anybody came */
	one = join("beat", NULL, NULL, NULL);
	other = join("pulse", NULL, NULL, NULL);
	beat_counts.produced += 13;
	beat_counts.lost += 13;
	/* Looked at each second, and when somebody comes. */
	another = join(NULL, NULL, NULL, NULL);
	read_until(one, 13);
	assert_int_equal(one->missed, 13);
	assert_string_equal(one->reason, "ring_full");
	read_now(other);
	read_now(another);
	assert_int_equal(other->missed + another->missed, 0);
	leave(one);
	leave(other);
	leave(another);
}

static void test_streams_that_come_later(void **state)
{
	struct reader *all, *beats;

	(void)state;
	load_beat();
	begin(0);
	all = join(NULL, "number", "..1000", NULL);
	beats = join("beat", NULL, NULL, NULL);
	load_pulse();
	produce_at(&pulse_ring, 7, 5000);
	produce_at(&beat_ring, 8, 5001);
	pipeline_round(pipeline);
	read_until(all, 2);
	read_until(beats, 1);
	assert_int_equal(all->numbers[0], 7);
	leave(all);
	leave(beats);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE_TEST(test_everything_once),
		LIVE_TEST(test_the_same_question),
		LIVE_TEST(test_a_slow_reader),
		LIVE_TEST(test_what_was_told_is_not_given_again),
		LIVE_TEST(test_the_quiet_are_spared),
		LIVE_TEST(test_what_the_kernel_lost),
		LIVE_TEST(test_streams_that_come_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
