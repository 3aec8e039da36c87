/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"

static void assert_formats(uint64_t ns, const char *expected)
{
	char text[CLOCK_RFC3339_SIZE];

	memset(text, 'x', sizeof(text));
	assert_int_equal(clock_format_rfc3339(ns, text), strlen(expected));
	assert_string_equal(text, expected);
}

static void test_format(void **state)
{
	(void)state;
	assert_formats(0, "1970-01-01T00:00:00.000000000Z");
	assert_formats(1, "1970-01-01T00:00:00.000000001Z");
	assert_formats(951782399999999999ULL, "2000-02-28T23:59:59.999999999Z");
	assert_formats(951782400000000000ULL, "2000-02-29T00:00:00.000000000Z");
	assert_formats(951868800000000000ULL, "2000-03-01T00:00:00.000000000Z");
	assert_formats(1795232728123456789ULL, "2026-11-21T03:45:28.123456789Z");
	/* The same second again, and another one: what is kept from the last call must not show. */
	assert_formats(1795232728000000007ULL, "2026-11-21T03:45:28.000000007Z");
	assert_formats(1795232729000000007ULL, "2026-11-21T03:45:29.000000007Z");
	assert_formats(UINT64_MAX, "2554-07-21T23:34:33.709551615Z");
}

/* Every day of two centuries and more: as the C library says, and back through the parser. */
static void test_every_day(void **state)
{
	(void)state;
	for (uint64_t day = 0; day < 84371; day++) { /* to 2200-12-31 */
		uint64_t second = day * 86400 + day % 86400, back;
		time_t time = (time_t)second;
		char expected[40], text[CLOCK_RFC3339_SIZE];
		struct tm parts;

		gmtime_r(&time, &parts);
		strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000000003Z", &parts);
		clock_format_rfc3339(second * NS_PER_SECOND + 3, text);
		assert_string_equal(text, expected);
		assert_int_equal(clock_parse_time(text, 0, &back), 0);
		assert_int_equal(back, second * NS_PER_SECOND + 3);
	}
}

static void test_parse_time(void **state)
{
	static const struct {
		const char *text, *same; /* `same`: the canonical form */
	} cases[] = {
		{ "2026-11-21T03:45:28Z", "2026-11-21T03:45:28.000000000Z" },
		{ "2026-11-21t03:45:28z", "2026-11-21T03:45:28.000000000Z" },
		{ "2026-11-21 03:45:28Z", "2026-11-21T03:45:28.000000000Z" },
		{ "2026-11-21T03:45:28.5Z", "2026-11-21T03:45:28.500000000Z" },
		{ "2026-11-21T03:45:28.123456789Z", "2026-11-21T03:45:28.123456789Z" },
		{ "2026-11-21T03:45:28+00:00", "2026-11-21T03:45:28.000000000Z" },
		{ "2026-11-21T03:45:28 00:00", "2026-11-21T03:45:28.000000000Z" },
		{ "2026-11-21T03:45:28-00:00", "2026-11-21T03:45:28.000000000Z" },
		{ "2026-11-21T03:45:28.25+05:30", "2026-11-20T22:15:28.250000000Z" },
		{ "2026-11-21T03:45:28 05:30", "2026-11-20T22:15:28.000000000Z" },
		{ "2026-11-21T03:45:28-08:00", "2026-11-21T11:45:28.000000000Z" },
		{ "2026-12-31T23:59:60Z", "2027-01-01T00:00:00.000000000Z" },
		{ "2016-12-31T23:59:60.75Z", "2017-01-01T00:00:00.750000000Z" },
		{ "2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000000Z" },
		{ "2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000000Z" },
		{ "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z" },
		{ "1970-01-01T00:00:00-01:00", "1970-01-01T01:00:00.000000000Z" },
		{ "2200-12-31T23:59:59.999999999Z", "2200-12-31T23:59:59.999999999Z" },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[CLOCK_RFC3339_SIZE];
		uint64_t ns;

		assert_int_equal(clock_parse_time(cases[i].text, 0, &ns), 0);
		clock_format_rfc3339(ns, text);
		assert_string_equal(text, cases[i].same);
	}
}

static void test_refused_times(void **state)
{
	static const char *const bad[] = {
		"",
		"2026",
		"2026-11-21",
		"2026-11-21T03:45:28", /* whose time? */
		"2026-11-21T03:45Z",
		"2026-11-21T03:45:28.Z",
		"2026-11-21T03:45:28.1234567890Z",
		"2026-11-21T03:45:28,5Z",
		"2026-11-21T03:45:28ZZ",
		"2026-11-21T03:45:28Z ",
		" 2026-11-21T03:45:28Z",
		"2026-11-21_03:45:28Z",
		"2026-11-21T3:45:28Z",
		"2026-11-21T24:00:00Z",
		"2026-11-21T03:60:28Z",
		"2026-11-21T03:45:61Z",
		"2026-11-21T03:45:28+24:00",
		"2026-11-21T03:45:28+05:60",
		"2026-11-21T03:45:28+0530",
		"2026-11-21T03:45:28+05",
		"2026-00-21T03:45:28Z",
		"2026-13-21T03:45:28Z",
		"2026-11-00T03:45:28Z",
		"2026-11-31T03:45:28Z",
		"2026-04-31T03:45:28Z",
		"2026-02-29T03:45:28Z",
		"2100-02-29T03:45:28Z",
		"2024-02-30T03:45:28Z",
		"1969-12-31T23:59:59Z",
		"2201-01-01T00:00:00Z",
		"1970-01-01T00:00:00+01:00", /* before the epoch */
		"+026-11-21T03:45:28Z",
		"now ",
		"NOW",
		"-",
		"-5",
		"-m",
		"--5m",
		"5m",
		"+5m",
		"-5x",
	};
	uint64_t ns = 4711;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(clock_parse_time(bad[i], 1000, &ns), -EINVAL);
	assert_int_equal(ns, 4711);
}

static void test_relative_times(void **state)
{
	uint64_t now = 1795232728123456789ULL, ns;
	(void)state;

	assert_int_equal(clock_parse_time("now", now, &ns), 0);
	assert_int_equal(ns, now);
	assert_int_equal(clock_parse_time("-5m", now, &ns), 0);
	assert_int_equal(ns, now - 300 * NS_PER_SECOND);
	assert_int_equal(clock_parse_time("-1h30m", now, &ns), 0);
	assert_int_equal(ns, now - 5400 * NS_PER_SECOND);
	assert_int_equal(clock_parse_time("-90s", now, &ns), 0);
	assert_int_equal(ns, now - 90 * NS_PER_SECOND);
	assert_int_equal(clock_parse_time("-99999d", now, &ns), 0);
	assert_int_equal(ns, 0);
	assert_int_equal(clock_parse_time("-99999999999999d", now, &ns), 0);
	assert_int_equal(ns, 0);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t ns;
	} cases[] = {
		{ "250ns", 0, 250 },
		{ "10us", 0, 10000 },
		{ "10\xc2\xb5s", 0, 10000 },
		{ "10\xce\xbcs", 0, 10000 },
		{ "1ms", 0, NS_PER_MS },
		{ "1.5s", 0, 1500 * NS_PER_MS },
		{ "0.000000001s", 0, 1 },
		{ "2m", 0, 120 * NS_PER_SECOND },
		{ "1h", 0, 3600 * NS_PER_SECOND },
		{ "1h30m", 0, 5400 * NS_PER_SECOND },
		{ "1d2h3m4s5ms6us7ns", 0, 93784005006007ULL },
		{ "0.5h", 0, 1800 * NS_PER_SECOND },
		{ "1.000s", 0, NS_PER_SECOND },
		{ "0", 0, 0 },
		{ "60", 0, 60 * NS_PER_SECOND },
		{ "2.5", 0, 2500 * NS_PER_MS },
		{ "18446744073709551615ns", 0, UINT64_MAX },
		{ "18446744073709551616ns", -ERANGE, 0 },
		{ "18446744073s", 0, 18446744073ULL * NS_PER_SECOND },
		{ "18446744074s", -ERANGE, 0 },
		{ "18446744073s709551616ns", -ERANGE, 0 },
		{ "99999999999999999999", -ERANGE, 0 },
		{ "99999999999999999999x", -EINVAL, 0 },
		{ "99999999999999999999sx", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },
		{ ".5s", -EINVAL, 0 },
		{ "5.s", -EINVAL, 0 },
		{ "-5s", -EINVAL, 0 },
		{ "+5s", -EINVAL, 0 },
		{ "5 s", -EINVAL, 0 },
		{ "5s ", -EINVAL, 0 },
		{ "1h30", -EINVAL, 0 },
		{ "30m1h", -EINVAL, 0 },
		{ "1m1m", -EINVAL, 0 },
		{ "1.5ns", -EINVAL, 0 },
		{ "0.0000000001s", -EINVAL, 0 },
		{ "0.00000000000000000000001d", -EINVAL, 0 },
		{ "1w", -EINVAL, 0 },
		{ "1e3s", -EINVAL, 0 },
	};
	uint64_t ns;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ns = 4711;
		assert_int_equal(clock_parse_duration(cases[i].text, NS_PER_SECOND, &ns),
				 cases[i].result);
		assert_int_equal(ns, cases[i].result ? 4711 : cases[i].ns);
	}
	assert_int_equal(clock_parse_duration("5", 1, &ns), 0);
	assert_int_equal(ns, 5);
	assert_int_equal(clock_parse_duration("1.5", 1, &ns), -EINVAL);
	assert_int_equal(clock_parse_duration("5", 0, &ns), -EINVAL);
	assert_int_equal(clock_parse_duration("5s", 0, &ns), 0);
}

static void test_clocks_agree(void **state)
{
	uint64_t boot = clock_boot_ns(), real = clock_real_ns();
	int64_t offset = clock_boot_to_real_offset();
	int64_t apart = (int64_t)(real - boot) - offset;
	(void)state;

	assert_true(clock_boot_ns() >= boot);
	/* The clocks were read within moments; a second allows for any pause between. */
	assert_true(llabs(apart) < (int64_t)NS_PER_SECOND);
	/* btime is made of the same two clocks, in whole seconds. */
	assert_true(llabs((int64_t)clock_boot_epoch_seconds() - offset / (int64_t)NS_PER_SECOND) <=
		    2);
	assert_int_equal(clock_boot_epoch_seconds(), clock_boot_epoch_seconds());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),	       cmocka_unit_test(test_every_day),
		cmocka_unit_test(test_parse_time),     cmocka_unit_test(test_refused_times),
		cmocka_unit_test(test_relative_times), cmocka_unit_test(test_durations),
		cmocka_unit_test(test_clocks_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
