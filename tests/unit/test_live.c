/* SPDX-License-Identifier: MIT */
/* Clients that follow live: everything once and in order, or told how much not. The test plays the
 * kernel and the reader of the rings. */
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

static void wake(void *context)
{
	(void)context;
	pthread_mutex_lock(&lock);
	wakes++;
	pthread_cond_broadcast(&woken);
	pthread_mutex_unlock(&lock);
}

static int64_t boot_to_real(void *context)
{
	(void)context;
	return 0;
}

static int setup_live(void **state)
{
	setup(state);
	return 0;
}

static void begin(size_t memory)
{
	const struct live_options options = {
		.pipeline = pipeline,
		.boot_to_real = boot_to_real,
		.memory = memory,
	};

	assert_int_equal(live_new(&options, &live), 0);
	epoch = clock_boot_ns();
}

static int teardown_live(void **state)
{
	live_free(live);
	live = NULL;
	return teardown(state);
}

/* ---- readers ---- */

static struct reader *join(const char *types, const char *field, const char *expression,
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

static void leave(struct reader *reader)
{
	live_leave(reader->client);
	buffer_fini(&reader->text);
	free(reader);
}

static void take_frame(struct reader *reader, const char *frame)
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
static void take_frames(struct reader *reader)
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
static void read_now(struct reader *reader)
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
static void read_until(struct reader *reader, uint64_t count)
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
static struct live_figures await_encoded(uint64_t count)
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

static void produce_at(struct fake_ring *ring, uint64_t number, uint64_t timestamp)
{
	struct beat_record record = beat_record(number);

	record.timestamp = timestamp;
	beat_counts.produced += ring == &beat_ring;
	pulse_counts.produced += ring == &pulse_ring;
	assert_true(fake_ring_output(ring, &record, BEAT_SIZE));
}

/* `count` beats with these numbers, published in batches. */
static void publish_beats(uint64_t first, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		produce_at(&beat_ring, first + i, epoch + first + i);
		if (i % 997 == 996)
			pipeline_round(pipeline);
	}
	pipeline_round(pipeline);
}

/* ---- tests ---- */

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
	struct reader *quiet, *flooded[3];

	(void)state;
	load_beat();
	begin(256 << 10);
	quiet = join(NULL, "number", "3", NULL);
	for (size_t i = 0; i < 3; i++)
		flooded[i] = join(NULL, "pid", i == 0 ? "0..90" : i == 1 ? "0..95" : "..98", NULL);
	publish_beats(0, 10007);
	await_encoded(10007 - 100);
	for (size_t i = 0; i < 3; i++) {
		const uint64_t of_hundred = i == 0 ? 91 : i == 1 ? 96 : 99;

		read_until(flooded[i], 100 * of_hundred + 7);
		assert_true(flooded[i]->missed_filtered > 0);
		leave(flooded[i]);
	}
	read_until(quiet, 1);
	assert_int_equal(quiet->missed_filtered, 0);
	assert_int_equal(quiet->numbers[0], 3);
	leave(quiet);
}

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

#define LIVE_TEST(function) cmocka_unit_test_setup_teardown(function, setup_live, teardown_live)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE_TEST(test_everything_once),
		LIVE_TEST(test_the_same_question),
		LIVE_TEST(test_a_slow_reader),
		LIVE_TEST(test_what_was_told_is_not_given_again),
		LIVE_TEST(test_the_quiet_are_spared),
		LIVE_TEST(test_resuming_anywhere),
		LIVE_TEST(test_resuming_while_events_come),
		LIVE_TEST(test_what_has_expired),
		LIVE_TEST(test_ids_of_other_boots),
		LIVE_TEST(test_what_the_kernel_lost),
		LIVE_TEST(test_streams_that_come_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
