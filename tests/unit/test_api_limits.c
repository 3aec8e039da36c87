/* SPDX-License-Identifier: MIT */
/* What an answer may cost: the time of a search, the size of headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fixture.h"

enum { CONNECTIONS = 101, DROPS = 53 };

#define MS 1000000ULL

/* The newest are drops, and each search is over after one block. */
static int setup(void **state)
{
	fixture_set_query_timeout(1);
	api_fixture_setup(state);
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		produce_connection(fixture_epoch() + i * MS, 100, "curl", 443);
	for (uint32_t i = 0; i < DROPS; i++)
		produce_drop(fixture_epoch() + (1000 + i) * MS, 100, "curl", 3);
	return 0;
}

/* What is there has no gap; `next` leads to the rest. */
static void check_partial(const char *order, const char *cursor, int64_t first, int64_t second)
{
	char target[256];
	REPLY part = { 0 }, rest = { 0 };

	snprintf(target, sizeof(target), "/api/events?limit=1000&pid=100&order=%s", order);
	part = get(target);
	assert_status(&part, 200);
	assert_int_equal(reply_integer(&part, "count"), first);
	assert_int_equal(reply_integer(&part, "total_count"), first);
	assert_true(reply_true(&part, "partial"));
	assert_false(reply_true(&part, "complete"));
	assert_non_null(strstr(reply_text(&part, "reason"), "--query-timeout"));
	snprintf(target, sizeof(target), "/api/events?limit=1000&pid=100&order=%s&%s=%s", order,
		 cursor, reply_text(&part, "next"));
	rest = get(target);
	assert_status(&rest, 200);
	assert_int_equal(reply_integer(&rest, "count"), second);
	assert_false(reply_true(&rest, "partial"));
	assert_true(reply_true(&rest, "complete"));
	assert_true(reply_is_null(&rest, "reason"));
	assert_true(reply_is_null(&rest, "next"));
}

static void test_partial_answers(void **state)
{
	(void)state;
	check_partial("desc", "before", DROPS, CONNECTIONS);
	check_partial("asc", "after", CONNECTIONS, DROPS);
}

static void test_partial_in_headers(void **state)
{
	REPLY part = get("/api/events?limit=1000&pid=100&format=ndjson");
	REPLY whole = get("/api/events?type=packet_drop&format=csv");

	(void)state;
	assert_status(&part, 200);
	assert_string_equal(reply_header(&part, "X-Partial"), "true");
	assert_string_equal(reply_header(&part, "X-Complete"), "false");
	assert_non_null(reply_header(&part, "X-Next"));
	assert_string_equal(reply_header(&whole, "X-Partial"), "false");
	assert_string_equal(reply_header(&whole, "X-Complete"), "true");
}

/* One block is looked at in any case, and these have no more. */
static void test_reports(void **state)
{
	REPLY list = get("/api/list-connections");
	REPLY summary = get("/api/packet-drop-summary?pid=100&duration=3600");

	(void)state;
	assert_status(&list, 200);
	assert_int_equal(reply_integer(&list, "total_events"), 100);
	assert_false(reply_true(&list, "partial"));
	assert_true(reply_is_null(&list, "reason"));
	assert_status(&summary, 200);
	assert_int_equal(reply_integer(&summary, "total_drops"), DROPS);
	assert_false(reply_true(&summary, "partial"));
}

/* Two streams, of which one is looked at. */
static void test_sums(void **state)
{
	REPLY part = get("/api/events/summary?by=type&pid=100");
	REPLY whole = get("/api/events/summary?by=type&type=connection");

	(void)state;
	assert_status(&part, 200);
	assert_true(reply_true(&part, "partial"));
	assert_false(reply_true(&part, "complete"));
	assert_non_null(strstr(reply_text(&part, "reason"), "--query-timeout"));
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(part.json, "total"), "count")),
		CONNECTIONS);
	assert_status(&whole, 200);
	assert_false(reply_true(&whole, "partial"));
	assert_true(reply_true(&whole, "complete"));
}

static void test_headers(void **state)
{
	static const struct {
		size_t length;
		bool good;
	} cases[] = { { 16000, true }, { 16500, false }, { 29000, false } };
	static char header[30000];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		REPLY reply = { 0 };

		memset(header, 'y', cases[i].length);
		memcpy(header, "X: ", 3);
		memcpy(header + cases[i].length, "\r\n", 3);
		reply = request("GET", "/health", header, NULL);
		if (cases[i].good)
			assert_status(&reply, 200);
		else
			assert_error(&reply, 431, "larger than 16384 bytes");
	}
	{
		/* Past the library's room for it, in the library's words. */
		static char long_header[80000];
		REPLY reply = { 0 };

		memset(long_header, 'y', sizeof(long_header) - 3);
		memcpy(long_header, "X: ", 3);
		memcpy(long_header + sizeof(long_header) - 3, "\r\n", 3);
		reply = request("GET", "/health", long_header, NULL);
		assert_status(&reply, 431);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_partial_answers), cmocka_unit_test(test_partial_in_headers),
		cmocka_unit_test(test_reports),		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_headers),
	};

	return cmocka_run_group_tests(tests, setup, api_fixture_teardown);
}
