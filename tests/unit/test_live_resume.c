/* SPDX-License-Identifier: MIT */
/* Clients that come back: what followed the event that they had last, no more and no less. */
#include "live_fixture.h"

/* Records overtake each other, within a stream and between two; rounds are of any size, and for a
 * time nobody follows. From wherever a client comes back, it gets just what it had not. */
static void test_resuming_anywhere(void **state)
{
	struct reader *all;
	uint64_t number = 0;

	(void)state;
	load_beat();
	load_pulse();
	begin(0);
	all = join(NULL, NULL, NULL, NULL);
	for (uint64_t round = 0; round < 23; round++) {
		if (round == 11) { /* the rest is followed by another, who comes back */
			const struct event_id last = all->ids[all->count - 1];
			struct reader *next;

			live_leave(all->client);
			for (uint64_t i = 0; i < 31; i++, number++)
				produce_at(i % 3 ? &beat_ring : &pulse_ring, number,
					   100000 + round * 50 - 7 * (i % 5) + i);
			pipeline_round(pipeline);
			next = join(NULL, NULL, NULL, &last);
			all->client = next->client;
			free(next);
			read_until(all, number);
		}
		for (uint64_t i = 0; i < 1 + round * 5 % 7; i++, number++)
			produce_at(number % 3 == 1 ? &pulse_ring : &beat_ring, number,
				   100000 + round * 50 - (number % 4 == 2 ? 60 : 0) + i);
		pipeline_round(pipeline);
		read_until(all, number);
	}
	for (size_t from = 0; from < all->count; from++) {
		struct reader *again = join(NULL, NULL, NULL, &all->ids[from]);

		read_until(again, all->count - from - 1);
		assert_memory_equal(again->numbers, all->numbers + from + 1,
				    again->count * sizeof(again->numbers[0]));
		assert_int_equal(again->count, all->count - from - 1);
		leave(again);
	}
	assert_int_equal(all->missed + all->missed_filtered, 0);
	leave(all);
}

/* A client that is given the past goes over to the present while events come in. */
static void test_resuming_while_events_come(void **state)
{
	struct reader *first, *again;

	(void)state;
	load_beat();
	begin(0);
	first = join(NULL, NULL, NULL, NULL);
	publish_beats(0, 5003);
	read_until(first, 5003);
	again = join(NULL, "pid", "0..49", &first->ids[0]);
	again->piece = 2048;
	for (uint64_t i = 0; i < 30; i++) {
		publish_beats(5003 + i * 167, 167);
		/* A piece at a time. */
		char piece[2048];
		ssize_t length = live_read(again->client, piece, sizeof(piece));

		assert_true(length >= 0);
		buffer_append(&again->text, piece, (size_t)length);
	}
	read_until(again, 5012);
	for (size_t i = 1; i < again->count; i++)
		assert_int_equal(again->numbers[i], again->numbers[i - 1] % 100 == 49
							    ? again->numbers[i - 1] + 51
							    : again->numbers[i - 1] + 1);
	assert_int_equal(again->numbers[0], 1);
	leave(first);
	leave(again);
}

static void test_what_has_expired(void **state)
{
	struct reader *first, *again, *other;
	struct event_id id;
	struct store_figures figures;

	(void)state;
	server_ends();
	server_begins(1 << 20);
	load_beat();
	begin(0);
	first = join(NULL, NULL, NULL, NULL);
	publish_beats(0, 5);
	read_until(first, 5);
	id = first->ids[4];
	for (uint64_t i = 0; i < 3; i++) {
		publish_beats(5 + i * 30011, 30011);
		read_until(first, 5 + (i + 1) * 30011);
	}
	store_figures(store, 0, &figures);
	assert_true(figures.expired > 5);
	again = join("beat", "number", "5..", &id);
	read_until(again, 3 * 30011);
	assert_int_equal(again->missed, figures.expired - 5);
	assert_string_equal(again->reason, "expired");
	assert_int_equal(again->numbers[0], figures.expired);

	/* Of an earlier server, or made up: something is gone, and nobody knows how much. */
	id.timestamp = epoch - NS_PER_SECOND;
	other = join(NULL, NULL, NULL, &id);
	read_until(other, 5 + 3 * 30011 - figures.expired);
	assert_int_equal(other->unknown, 1);
	leave(other);

	/* Nothing is gone behind an event that is held. */
	other = join(NULL, NULL, NULL, &first->ids[first->count - 3]);
	read_until(other, 2);
	assert_int_equal(other->missed, 0);
	leave(first);
	leave(again);
	leave(other);
}

static void test_ids_of_other_boots(void **state)
{
	struct event_id id = { .boot = clock_boot_epoch_seconds() - 1000, .timestamp = UINT64_MAX };
	struct reader *reader;

	(void)state;
	load_beat();
	begin(0);
	publish_beats(0, 61);
	reader = join(NULL, NULL, NULL, &id);
	read_until(reader, 61);
	leave(reader);
	id.boot += 2000;
	id.timestamp = 0;
	reader = join(NULL, NULL, NULL, &id);
	publish_beats(61, 3);
	read_until(reader, 3);
	assert_int_equal(reader->numbers[0], 61);
	leave(reader);
	/* Of this boot, but of no event that is known: by time. */
	id = (struct event_id){ .boot = clock_boot_epoch_seconds(),
				.timestamp = epoch + 30,
				.stream = 9 };
	reader = join(NULL, NULL, NULL, &id);
	read_until(reader, 33);
	assert_int_equal(reader->numbers[0], 31);
	leave(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE_TEST(test_resuming_anywhere),
		LIVE_TEST(test_resuming_while_events_come),
		LIVE_TEST(test_what_has_expired),
		LIVE_TEST(test_ids_of_other_boots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
