/* SPDX-License-Identifier: MIT */
/* Which series are shown, what is in `other`, and when a series ends; on maps made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "metrics/series.h"

struct key {
	uint32_t pid;
};

struct value {
	char comm[16];
	uint64_t calls;
	uint64_t ended;
};

#define AT(type, member)                                                                           \
	.offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member)

static const struct field pid = { .name = "pid", .kind = FIELD_INTEGER, AT(key, pid), .count = 1 };
static const struct field comm = {
	.name = "comm", .kind = FIELD_STRING, AT(value, comm), .count = 1
};
static const struct metric_label labels[] = { { "comm", true, &comm }, { "pid", false, &pid } };
static const struct metric_family family = { .name = "calls",
					     .help = "",
					     .unit = "",
					     .type = METRIC_GAUGE,
					     .offset = offsetof(struct value, calls),
					     .slots = 1,
					     .sum = FIELD_NONE };
static const struct metric_map map = {
	.name = "map",
	.key_size = sizeof(struct key),
	.value_size = sizeof(struct value),
	.max_entries = 1024,
	.labels = labels,
	.label_count = 2,
	.families = &family,
	.family_count = 1,
	.ended = offsetof(struct value, ended),
	.stamp = FIELD_NONE,
};
/* The same without a label that tells entries apart. */
static const struct metric_map by_name = {
	.name = "map",
	.key_size = sizeof(struct key),
	.value_size = sizeof(struct value),
	.max_entries = 1024,
	.labels = labels,
	.label_count = 1,
	.families = &family,
	.family_count = 1,
	.ended = FIELD_NONE,
	.stamp = FIELD_NONE,
};

static void add(struct snapshot *snapshot, uint32_t number, const char *name, uint64_t calls,
		uint64_t ended)
{
	struct key key = { number };
	struct value value = { .calls = calls, .ended = ended };

	strncpy(value.comm, name, sizeof(value.comm) - 1);
	assert_int_equal(snapshot_add(snapshot, (uint8_t *)&key, (uint8_t *)&value, 1), 0);
}

/* What the program's sums say. */
static void set_total(struct snapshot *snapshot, uint64_t before, uint64_t after)
{
	struct value sums[2] = { { .calls = before }, { .calls = after } };

	snapshot->before = malloc(sizeof(sums[0]));
	snapshot->after = malloc(sizeof(sums[1]));
	memcpy(snapshot->before, &sums[0], sizeof(sums[0]));
	memcpy(snapshot->after, &sums[1], sizeof(sums[1]));
}

static void assert_shown(struct series_state *state, const struct snapshot *snapshot, size_t limit,
			 const char *expected)
{
	BUFFER out = BUFFER_INIT;
	SERIES series = { .rows = NULL };
	struct exposition exposition;
	FREE char *text = NULL;

	assert_int_equal(series_make(&series, state, snapshot, &family, limit, NULL), 0);
	exposition_begin(&exposition, EXPOSITION_TEXT, &out);
	series_write(&series, &family, &exposition);
	text = buffer_take_string(&out);
	assert_string_equal(text + strlen("# TYPE calls gauge\n"), expected);
}

static void the_largest_are_shown_and_the_rest_adds_up(void **state)
{
	struct series_state series;
	SNAPSHOT snapshot = { .map = &map };

	(void)state;
	assert_int_equal(series_state_init(&series, &map), 0);
	add(&snapshot, 1, "a", 5, 0);
	add(&snapshot, 2, "b", 50, 0);
	add(&snapshot, 3, "c", 500, 0);
	add(&snapshot, 4, "d", 7, 0);
	assert_shown(&series, &snapshot, 4,
		     "calls{comm=\"a\",pid=\"1\"} 5\ncalls{comm=\"b\",pid=\"2\"} 50\n"
		     "calls{comm=\"c\",pid=\"3\"} 500\ncalls{comm=\"d\",pid=\"4\"} 7\n");
	assert_shown(&series, &snapshot, 2,
		     "calls{comm=\"b\",pid=\"2\"} 50\ncalls{comm=\"c\",pid=\"3\"} 500\n"
		     "calls{comm=\"other\",pid=\"other\"} 12\n");
	/* Once there, it stays. */
	assert_shown(&series, &snapshot, 9,
		     "calls{comm=\"a\",pid=\"1\"} 5\ncalls{comm=\"b\",pid=\"2\"} 50\n"
		     "calls{comm=\"c\",pid=\"3\"} 500\ncalls{comm=\"d\",pid=\"4\"} 7\n"
		     "calls{comm=\"other\",pid=\"other\"} 0\n");
	series_state_fini(&series);
}

static void what_the_map_forgot_is_in_other(void **state)
{
	struct series_state series;
	SNAPSHOT snapshot = { .map = &map };

	(void)state;
	assert_int_equal(series_state_init(&series, &map), 0);
	add(&snapshot, 1, "a", 5, 0);
	set_total(&snapshot, 20003, 20003);
	assert_shown(&series, &snapshot, 10,
		     "calls{comm=\"a\",pid=\"1\"} 5\n"
		     "calls{comm=\"other\",pid=\"other\"} 19998\n");
	series_state_fini(&series);
}

/* While the map is read the kernel counts on: `other` stays where it was as long as that may be
 * true. */
static void other_does_not_tremble(void **state)
{
	static const struct {
		uint64_t calls, before, after, other;
	} steps[] = {
		{ 100, 150, 150, 50 }, { 110, 155, 170, 50 }, /* 45..60 */
		{ 120, 160, 171, 50 }, { 120, 175, 180, 55 }, /* 55..60: it is more by now */
		{ 130, 180, 181, 51 },			      /* a process came back out of it */
		{ 200, 190, 251, 51 }, /* entries read later than the sums: -10..51 */
		{ 201, 190, 200, 0 },  /* never below nothing */
	};
	struct series_state series;

	(void)state;
	assert_int_equal(series_state_init(&series, &map), 0);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		SNAPSHOT snapshot = { .map = &map };
		char expected[128];

		add(&snapshot, 1, "a", steps[i].calls, 0);
		set_total(&snapshot, steps[i].before, steps[i].after);
		snprintf(expected, sizeof(expected),
			 "calls{comm=\"a\",pid=\"1\"} %lu\n"
			 "calls{comm=\"other\",pid=\"other\"} %lu\n",
			 (unsigned long)steps[i].calls, (unsigned long)steps[i].other);
		assert_shown(&series, &snapshot, 10, expected);
	}
	series_state_fini(&series);
}

static void what_ended_is_seen_once(void **state)
{
	struct series_state series;
	SNAPSHOT first = { .map = &map };
	SNAPSHOT second = { .map = &map };

	(void)state;
	assert_int_equal(series_state_init(&series, &map), 0);
	add(&first, 1, "a", 5, 0);
	add(&first, 2, "b", 50, 1234);
	set_total(&first, 55, 55);
	/* Looking is not seeing. */
	for (int i = 0; i < 2; i++)
		assert_shown(&series, &first, 10,
			     "calls{comm=\"a\",pid=\"1\"} 5\ncalls{comm=\"b\",pid=\"2\"} 50\n");
	assert_int_equal(series_seen(&series, &first), 0);
	assert_shown(&series, &first, 10,
		     "calls{comm=\"a\",pid=\"1\"} 5\ncalls{comm=\"other\",pid=\"other\"} 50\n");

	/* Another process of that number has ended since, and was not seen. */
	add(&second, 1, "a", 5, 0);
	add(&second, 2, "new", 3, 1235);
	set_total(&second, 58, 58);
	assert_shown(&series, &second, 10,
		     "calls{comm=\"a\",pid=\"1\"} 5\ncalls{comm=\"new\",pid=\"2\"} 3\n"
		     "calls{comm=\"other\",pid=\"other\"} 50\n");
	series_state_fini(&series);
}

static void series_that_read_the_same_are_one(void **state)
{
	struct series_state series;
	SNAPSHOT snapshot = { .map = &by_name };

	(void)state;
	assert_int_equal(series_state_init(&series, &by_name), 0);
	add(&snapshot, 1, "\xff", 5, 0);
	add(&snapshot, 2, "x", 1, 0);
	add(&snapshot, 3, "\xfe", 7, 0);
	add(&snapshot, 4, "other", 3, 0);
	set_total(&snapshot, 100, 100);
	assert_shown(&series, &snapshot, 10,
		     "calls{comm=\"other\"} 87\ncalls{comm=\"x\"} 1\n"
		     "calls{comm=\"\xef\xbf\xbd\"} 12\n");
	series_state_fini(&series);
}

static void many_are_bounded(void **state)
{
	struct series_state series;
	SNAPSHOT snapshot = { .map = &map };
	SERIES made = { .rows = NULL };
	uint64_t sum = 0;

	(void)state;
	assert_int_equal(series_state_init(&series, &map), 0);
	for (uint32_t i = 0; i < 20003; i++)
		add(&snapshot, i, "many", 1 + i % 7, 0);
	assert_int_equal(series_make(&made, &series, &snapshot, &family, 1000, NULL), 0);
	assert_int_equal(made.count, 1001);
	for (size_t i = 0; i < made.count; i++)
		sum += made.rows[i].counts[0];
	/* 20,003 = 7 * 2857 + 4 */
	assert_int_equal(sum, 2857 * 28 + 1 + 2 + 3 + 4);
	series_state_fini(&series);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_largest_are_shown_and_the_rest_adds_up),
		cmocka_unit_test(what_the_map_forgot_is_in_other),
		cmocka_unit_test(other_does_not_tremble),
		cmocka_unit_test(what_ended_is_seen_once),
		cmocka_unit_test(series_that_read_the_same_are_one),
		cmocka_unit_test(many_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
