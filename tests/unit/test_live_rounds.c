/* SPDX-License-Identifier: MIT */
/* Which round a place was given in, and where rounds begin, against a list of all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "live/rounds.h"

enum { STREAMS = 3, MOST = 3 * ROUNDS_KEPT };

static struct rounds rounds;
static uint64_t begins[MOST + 2][STREAMS]; /* of each round */

static int setup(void **state)
{
	(void)state;
	rounds_init(&rounds);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rounds_fini(&rounds);
	return 0;
}

/* Rounds in which streams have news now and then, one always. */
static void run(uint64_t count)
{
	uint64_t *now = begins[rounds.number];

	for (uint64_t i = 0; i < count; i++) {
		const uint64_t number = rounds.number;

		for (size_t s = 0; s < STREAMS; s++) {
			uint64_t events = s == 0		  ? 1 + number % 3
					  : number % (7 * s) == 0 ? 5 * s
								  : 0;

			begins[number + 1][s] = now[s] + events;
			if (events)
				rounds_note(&rounds, s, now[s]);
		}
		rounds.number++;
		now = begins[rounds.number];
	}
}

static void assert_like_the_list(void)
{
	const uint64_t *now = begins[rounds.number];

	for (uint64_t number = rounds.first; number <= rounds.number; number++) {
		for (size_t s = 0; s < STREAMS; s++)
			assert_int_equal(rounds_begin(&rounds, s, number, now[s]),
					 begins[number][s]);
	}
	for (size_t s = 0; s < STREAMS; s++) {
		uint64_t number = 1;

		for (uint64_t index = 0; index < now[s]; index++) {
			while (index >= begins[number + 1][s])
				number++;
			assert_int_equal(rounds_find(&rounds, s, index),
					 number < rounds.first ? 0 : number);
		}
		assert_int_equal(rounds_begin(&rounds, s, 0, now[s]), 0);
	}
}

static void test_all_are_kept(void **state)
{
	(void)state;
	run(1009);
	assert_int_equal(rounds.first, 1);
	assert_like_the_list();
}

static void test_the_oldest_are_one(void **state)
{
	(void)state;
	run(ROUNDS_KEPT + 1009);
	assert_int_equal(rounds.first, 1010);
	assert_like_the_list();
	run(ROUNDS_KEPT);
	assert_like_the_list();
}

static void test_before_the_first(void **state)
{
	(void)state;
	/* Who follows comes to a store that holds events. */
	rounds_note(&rounds, 1, 500);
	rounds.number++;
	assert_int_equal(rounds_find(&rounds, 1, 499), 0);
	assert_int_equal(rounds_find(&rounds, 1, 500), 1);
	assert_int_equal(rounds_find(&rounds, 0, 3), 0);
	assert_int_equal(rounds_find(&rounds, 7, 3), 0);
	assert_int_equal(rounds_begin(&rounds, 7, 1, 9), 9);
	assert_int_equal(rounds_begin(&rounds, 1, 1, 600), 500);
	assert_int_equal(rounds_begin(&rounds, 1, 2, 600), 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_oldest_are_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_before_the_first, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
