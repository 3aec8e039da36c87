/* SPDX-License-Identifier: MIT */
/* Sums and percentiles against sorted lists, and what happens without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "schema_fixture.h"
#include "store/distribution.h"

#define MOST 5003

static int compare(const void *a, const void *b)
{
	const __int128 x = *(const __int128 *)a, y = *(const __int128 *)b;

	return (x > y) - (x < y);
}

/* One number, in its ordered form. */
static void add(struct distribution *distribution, uint64_t ordered, bool is_signed, size_t *budget)
{
	const struct tally tally = { 1, ordered, ordered, ordered };

	distribution_place(distribution, ordered, is_signed, budget);
	distribution_add(distribution, &tally, is_signed);
}

static __int128 number_of(uint64_t ordered, bool is_signed)
{
	return is_signed ? (__int128)(int64_t)(ordered ^ 1ULL << 63) : (__int128)ordered;
}

static void check_percentiles(const struct distribution *distribution, __int128 *sorted,
			      size_t count)
{
	qsort(sorted, count, sizeof(*sorted), compare);
	assert_true(distribution->minimum == sorted[0]);
	assert_true(distribution->maximum == sorted[count - 1]);
	for (unsigned int percent = 0; percent <= 100; percent++) {
		const size_t rank = (count * percent + 99) / 100;
		const __int128 exact = sorted[rank ? rank - 1 : 0];
		const __int128 size = exact < 0 ? -exact : exact;
		__int128 shown, off;

		assert_true(distribution_percentile(distribution, percent, &shown));
		off = shown > exact ? shown - exact : exact - shown;
		assert_true(off * 1000 <= size * 8);
		assert_true(size >= 128 || !off);
	}
}

/* Numbers of all sizes, in one distribution and in parts that are merged. */
static void test_numbers_of_all_sizes(void **state)
{
	FREE __int128 *sorted = calloc(MOST, sizeof(*sorted));
	struct fixture_random random = { 11 };
	size_t budget = 1 << 20;

	(void)state;
	for (int round = 0; round < 40; round++) {
		struct distribution whole = { 0 }, parts[3] = { { 0 } }, merged = { 0 };
		const size_t count = 1 + fixture_below(&random, MOST);
		const bool is_signed = round % 2;
		__int128 sum = 0;

		for (size_t i = 0; i < count; i++) {
			uint64_t ordered = fixture_next(&random) >>
					   fixture_below(&random, round % 3 ? 64 : 2);

			/* Around zero, where a signed one's ordered form has its top bit. */
			if (is_signed)
				ordered = fixture_below(&random, 2) ? ordered ^ 1ULL << 63
								    : ~ordered ^ 1ULL << 63;
			sorted[i] = number_of(ordered, is_signed);
			sum += sorted[i];
			add(&whole, ordered, is_signed, &budget);
			add(&parts[i % 3], ordered, is_signed, &budget);
		}
		for (size_t i = 0; i < 3; i++)
			distribution_merge(&merged, &parts[i], &budget);
		assert_int_equal(whole.count, count);
		assert_true(whole.sum == sum);
		assert_int_equal(merged.count, count);
		assert_true(merged.sum == sum);
		check_percentiles(&whole, sorted, count);
		check_percentiles(&merged, sorted, count);
		distribution_fini(&whole, &budget);
		distribution_fini(&merged, &budget);
		for (size_t i = 0; i < 3; i++)
			distribution_fini(&parts[i], &budget);
		assert_int_equal(budget, 1 << 20);
	}
}

static void test_ends_of_numbers(void **state)
{
	static const uint64_t ends[] = { 0, 1, 63, 64, 127, 128, 129, UINT64_MAX - 1, UINT64_MAX };
	size_t budget = 1 << 20;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		for (int is_signed = 0; is_signed < 2; is_signed++) {
			struct distribution one = { 0 };
			__int128 median = 0;

			add(&one, ends[i], is_signed, &budget);
			add(&one, ends[i], is_signed, &budget);
			assert_true(one.sum == 2 * number_of(ends[i], is_signed));
			assert_true(distribution_percentile(&one, 50, &median));
			assert_true(median == number_of(ends[i], is_signed));
			distribution_fini(&one, &budget);
		}
	}
}

static void test_nothing(void **state)
{
	struct distribution none = { 0 }, other = { 0 };
	size_t budget = 0;
	__int128 value;

	(void)state;
	distribution_merge(&none, &other, &budget);
	assert_int_equal(none.count, 0);
	assert_false(distribution_percentile(&none, 50, &value));
	distribution_fini(&none, &budget);
}

/* Without room for slots all is known but percentiles; also of what is merged with it. */
static void test_no_room(void **state)
{
	struct distribution tight = { 0 }, merged = { 0 };
	size_t budget = 1600, plenty = 1 << 20;
	__int128 value;

	(void)state;
	add(&tight, 5, false, &budget);
	assert_false(tight.rough);
	add(&tight, 500, false, &budget);
	assert_true(tight.rough);
	assert_int_equal(tight.count, 2);
	assert_true(tight.sum == 505 && tight.minimum == 5 && tight.maximum == 500);
	assert_false(distribution_percentile(&tight, 50, &value));
	add(&merged, 7, false, &plenty);
	distribution_merge(&merged, &tight, &plenty);
	assert_int_equal(merged.count, 3);
	assert_false(distribution_percentile(&merged, 50, &value));
	distribution_fini(&tight, &budget);
	distribution_fini(&merged, &plenty);
	assert_int_equal(budget, 1600);
	assert_int_equal(plenty, 1 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_of_all_sizes),
		cmocka_unit_test(test_ends_of_numbers),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
