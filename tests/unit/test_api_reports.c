/* SPDX-License-Identifier: MIT */
/* The two summaries and the two lists, over a real socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fixture.h"
#include "base/clock.h"

#define SECOND NS_PER_SECOND

/* Events of the last minute: 11 of pid 100, 7 of pid 200; older ones of both. A name may hold
 * what filters would take for something else. */
static int setup(void **state)
{
	uint64_t now;

	api_fixture_setup(state);
	now = clock_boot_ns();
	for (uint32_t i = 0; i < 5; i++)
		produce_connection(now - 600 * SECOND + i, 100, "curl", 443);
	for (uint32_t i = 0; i < 11; i++)
		produce_connection(now - 20 * SECOND + i, 100, "curl", (uint16_t)(1000 + i));
	for (uint32_t i = 0; i < 7; i++)
		produce_connection(now - 10 * SECOND + i, 200, "a*b,!c", 80);
	for (uint32_t i = 0; i < 13; i++)
		produce_drop(now - 10 * SECOND + i, 0, "swapper/0", 3);
	for (uint32_t i = 0; i < 3; i++)
		produce_drop(now - 9 * SECOND + i, 300, "nc", 5);
	/* A reason without a name. */
	produce_drop(now - 8 * SECOND, 300, "nc", 99);
	return 0;
}

static void test_connection_summary_by_pid(void **state)
{
	REPLY reply = post("/api/connection-summary", "{\"pid\":100,\"duration\":60}");

	(void)state;
	assert_status(&reply, 200);
	assert_int_equal(reply_integer(&reply, "total_attempts"), 11);
	assert_int_equal(reply_integer(&reply, "count"), 11);
	assert_int_equal(reply_integer(&reply, "pid"), 100);
	assert_true(reply_is_null(&reply, "command"));
	assert_int_equal(reply_integer(&reply, "duration"), 60);
	assert_int_equal(reply_integer(&reply, "duration_seconds"), 60);
	assert_string_equal(reply_text(&reply, "message"),
			    "Found 11 connection attempts from PID 100 over 60 seconds");
	assert_true(reply_true(&reply, "complete"));
	assert_non_null(reply_text(&reply, "query_time"));
}

static void test_connection_summary_by_command(void **state)
{
	REPLY reply = post("/api/connection-summary",
			   "{\"process_name\":\"curl\",\"duration_seconds\":3600}");
	REPLY odd = post("/api/connection-summary",
			 " {\"command\":\"a*b,!c\",\"pid\":null,\"duration\":30}\n");
	REPLY glob = post("/api/connection-summary", "{\"command\":\"c*\",\"duration\":30}");

	(void)state;
	assert_int_equal(reply_integer(&reply, "count"), 16);
	assert_true(reply_is_null(&reply, "pid"));
	assert_string_equal(reply_text(&reply, "message"),
			    "Found 16 connection attempts from command 'curl' over 3600 seconds");
	assert_int_equal(reply_integer(&odd, "count"), 7);
	assert_string_equal(reply_text(&odd, "command"), "a*b,!c");
	assert_int_equal(reply_integer(&glob, "count"), 0);
}

static void test_connection_summary_by_query(void **state)
{
	REPLY by_default = get("/api/connection-summary?pid=100");
	REPLY shorter = get("/api/connection-summary?command=curl&duration=15");
	REPLY posted = request("POST", "/api/connection-summary?process_name=curl", "", NULL);

	(void)state;
	assert_int_equal(reply_integer(&by_default, "count"), 11);
	assert_int_equal(reply_integer(&by_default, "duration"), 60);
	assert_int_equal(reply_integer(&shorter, "count"), 0);
	assert_int_equal(reply_integer(&posted, "count"), 11);
}

static void test_connection_summary_refused(void **state)
{
	static const struct {
		const char *body, *message;
	} cases[] = {
		{ "{\"pid\":1}", "duration must be positive" },
		{ "{\"pid\":1,\"duration\":0}", "duration must be positive" },
		{ "{\"pid\":1,\"duration\":-5}", "duration must be positive" },
		{ "{\"pid\":1,\"duration\":3601}", "duration cannot exceed 3600 seconds" },
		{ "{\"pid\":1,\"command\":\"x\",\"duration\":5}",
		  "cannot specify both PID and command" },
		{ "{\"duration\":5}", "must specify either PID or command" },
		{ "{\"pid\":0,\"command\":\"\",\"duration\":5}",
		  "must specify either PID or command" },
		{ "", "Invalid JSON request body" },
		{ " ", "Invalid JSON request body" },
		{ "{", "Invalid JSON request body" },
		{ "[]", "Invalid JSON request body" },
		{ "null", "Invalid JSON request body" },
		{ "{\"pid\":1,\"duration\":5}x", "Invalid JSON request body" },
		{ "{\"pid\":1,\"pid\":2,\"duration\":5}", "Invalid JSON request body" },
		{ "{\"pid\":\"1\",\"duration\":5}", "Invalid JSON request body" },
		{ "{\"pid\":1.5,\"duration\":5}", "Invalid JSON request body" },
		{ "{\"pid\":1,\"duration\":\"5\"}", "Invalid JSON request body" },
		{ "{\"command\":5,\"duration\":5}", "Invalid JSON request body" },
		{ "{\"command\":\"a\\u0000b\",\"duration\":5}", "Invalid JSON request body" },
		{ "{\"command\":\"\xff\",\"duration\":5}", "Invalid JSON request body" },
		{ "{\"pid\":99999999999999999999,\"duration\":5}", "Invalid JSON request body" },
		{ "{\"pid\":-1,\"duration\":5}", "Invalid PID parameter" },
		{ "{\"pid\":4294967296,\"duration\":5}", "Invalid PID parameter" },
		{ "{\"command\":\"a\",\"process_name\":\"a\",\"duration\":5}",
		  "\"command\" and \"process_name\" are the same" },
		{ "{\"colour\":1,\"duration\":5}", "unknown parameter \"colour\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		REPLY reply = post("/api/connection-summary", cases[i].body);

		assert_error(&reply, 400, cases[i].message);
	}
}

static void test_connection_summary_query_refused(void **state)
{
	static const struct {
		const char *query, *message;
	} cases[] = {
		{ "?duration=5", "must specify either PID or command" },
		{ "", "must specify either PID or command" },
		{ "?pid=abc", "Invalid PID parameter" },
		{ "?pid=-1", "Invalid PID parameter" },
		{ "?pid=1&duration=abc", "Invalid duration parameter" },
		{ "?pid=1&duration=-1", "duration must be positive" },
		{ "?pid=1&duration=0", "duration must be positive" },
		{ "?pid=1&duration=99999999999999999999", "duration cannot exceed 3600 seconds" },
		{ "?pid=1&command=a", "cannot specify both PID and command" },
		{ "?pid=1&colour=red", "unknown parameter" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char target[200];
		REPLY reply = { 0 };

		snprintf(target, sizeof(target), "/api/connection-summary%s", cases[i].query);
		reply = get(target);
		assert_error(&reply, 400, cases[i].message);
	}
	{
		REPLY both = post("/api/connection-summary?pid=1", "{\"pid\":1,\"duration\":5}");
		REPLY method = request("DELETE", "/api/connection-summary", "", NULL);

		assert_error(&both, 400, "not in both");
		assert_error(&method, 405, "Only POST method is allowed");
		assert_string_equal(reply_header(&method, "Allow"), "GET, HEAD, POST, OPTIONS");
	}
}

static int64_t reason(const struct reply *reply, const char *name)
{
	json_t *reasons = json_object_get(reply->json, "by_reason");

	assert_true(json_is_object(reasons));
	return json_integer_value(json_object_get(reasons, name));
}

static void test_packet_drop_summary(void **state)
{
	REPLY all = get("/api/packet-drop-summary");
	REPLY process = post("/api/packet-drop-summary", "{\"pid\":300,\"duration\":60}");
	REPLY softirq = get("/api/packet-drop-summary?pid=0");
	REPLY none = get("/api/packet-drop-summary?command=nobody");
	REPLY empty = post("/api/packet-drop-summary", "");

	(void)state;
	assert_status(&all, 200);
	assert_int_equal(reply_integer(&all, "total_drops"), 17);
	assert_int_equal(reply_integer(&all, "count"), 17);
	assert_int_equal(reason(&all, "NO_SOCKET"), 13);
	assert_int_equal(reason(&all, "TCP_CSUM"), 3);
	assert_int_equal(reason(&all, "99"), 1);
	assert_int_equal(json_object_size(json_object_get(all.json, "by_reason")), 3);
	assert_string_equal(reply_text(&all, "message"), "Found 17 packet drops over 60 seconds");
	assert_int_equal(reason(&process, "TCP_CSUM"), 3);
	assert_int_equal(reason(&process, "NO_SOCKET"), 0);
	assert_string_equal(reply_text(&process, "message"),
			    "Found 4 packet drops from PID 300 over 60 seconds");
	assert_int_equal(reply_integer(&softirq, "count"), 13);
	assert_int_equal(reply_integer(&softirq, "pid"), 0);
	assert_int_equal(reply_integer(&none, "count"), 0);
	assert_int_equal(json_object_size(json_object_get(none.json, "by_reason")), 0);
	assert_string_equal(reply_text(&none, "message"),
			    "Found 0 packet drops from command 'nobody' over 60 seconds");
	assert_error(&empty, 400, "Invalid JSON request body");
}

static json_t *list_of(const struct reply *reply, const char *name, const char *pid)
{
	json_t *list = json_object_get(json_object_get(reply->json, name), pid);

	assert_true(json_is_array(list));
	return list;
}

static void test_list_connections(void **state)
{
	REPLY all = get("/api/list-connections");
	REPLY one = get("/api/list-connections?pid=200");
	REPLY nobody = post("/api/list-connections", "{\"pid\":7}");
	json_t *item, *list;

	(void)state;
	assert_status(&all, 200);
	assert_int_equal(reply_integer(&all, "total_pids"), 2);
	assert_int_equal(reply_integer(&all, "total_events"), 23);
	assert_false(reply_true(&all, "truncated"));
	assert_string_equal(reply_text(&all, "message"),
			    "Found 23 total connections across 2 processes");
	list = list_of(&all, "connections", "100");
	assert_int_equal(json_array_size(list), 16);
	assert_true(json_equal(list, list_of(&all, "events_by_pid", "100")));
	/* Newest first. */
	for (size_t i = 0; i < 11; i++) {
		item = json_array_get(list, i);
		assert_int_equal(json_integer_value(json_object_get(item, "destination_port")),
				 1010 - i);
	}
	item = json_array_get(list, 0);
	assert_true(json_is_string(json_object_get(item, "timestamp")));
	assert_true(
		json_equal(json_object_get(item, "timestamp"), json_object_get(item, "wall_time")));
	assert_true(json_is_integer(json_object_get(item, "timestamp_ns")));

	assert_int_equal(reply_integer(&one, "total_pids"), 1);
	assert_string_equal(reply_text(&one, "message"), "Found 7 connections for PID 200");
	assert_int_equal(reply_integer(&nobody, "total_pids"), 0);
	assert_int_equal(json_object_size(json_object_get(nobody.json, "connections")), 0);
	assert_string_equal(reply_text(&nobody, "message"), "Found 0 connections for PID 7");
}

static void test_list_limit(void **state)
{
	REPLY each = post("/api/list-connections", "{\"limit\":7}");
	REPLY one = get("/api/list-connections?pid=100&limit=5");
	REPLY exact = get("/api/list-connections?pid=100&limit=16");

	(void)state;
	assert_int_equal(json_array_size(list_of(&each, "connections", "100")), 7);
	assert_int_equal(json_array_size(list_of(&each, "connections", "200")), 7);
	assert_true(reply_true(&each, "truncated"));
	assert_string_equal(
		reply_text(&each, "message"),
		"Found 14 total connections across 2 processes (results truncated due to limit)");
	assert_int_equal(reply_integer(&one, "total_events"), 5);
	assert_true(reply_true(&one, "truncated"));
	assert_false(reply_true(&exact, "truncated"));
}

static void test_list_packet_drops(void **state)
{
	REPLY all = request("POST", "/api/list-packet-drops", "", NULL);

	(void)state;
	assert_status(&all, 200);
	assert_int_equal(json_array_size(list_of(&all, "drops", "0")), 13);
	assert_int_equal(json_array_size(list_of(&all, "events_by_pid", "300")), 4);
	assert_string_equal(reply_text(&all, "message"),
			    "Found 17 total packet drops across 2 processes");
}

static void test_list_refused(void **state)
{
	static const struct {
		const char *query, *message;
	} cases[] = {
		{ "pid=abc", "Invalid PID parameter" },
		{ "pid=", "Invalid PID parameter" },
		{ "pid=-5", "Invalid PID parameter" },
		{ "limit=abc", "Invalid limit parameter" },
		{ "limit=0", "Invalid limit parameter" },
		{ "limit=-1", "Invalid limit parameter" },
		{ "limit=1001", "limit cannot exceed 1000" },
		{ "limit=99999999999999999999", "limit cannot exceed 1000" },
		{ "duration=5", "unknown parameter" },
	};
	REPLY body = post("/api/list-packet-drops", "{\"limit\":\"5\"}");
	REPLY broken = post("/api/list-packet-drops", "{]");

	(void)state;
	assert_error(&body, 400, "Invalid limit parameter");
	assert_error(&broken, 400, "Invalid JSON request body");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char target[200];
		REPLY connections = { 0 }, drops = { 0 };

		snprintf(target, sizeof(target), "/api/list-connections?%s", cases[i].query);
		connections = get(target);
		assert_error(&connections, 400, cases[i].message);
		snprintf(target, sizeof(target), "/api/list-packet-drops?%s", cases[i].query);
		drops = get(target);
		assert_error(&drops, 400, cases[i].message);
	}
}

/* More processes, and more events, than one answer holds. */
static void test_list_bounds(void **state)
{
	const uint64_t now = clock_boot_ns();
	REPLY reply = { 0 }, sync = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 3001; i++) {
		produce_connection(now + i, 10000 + i % 1500, "many", 80);
		if (i % 1000 == 0) {
			reply_fini(&sync);
			sync = get("/api/events?limit=1");
		}
	}
	reply = get("/api/list-connections?limit=1000");
	assert_int_equal(reply_integer(&reply, "total_pids"), 1000);
	assert_true(reply_true(&reply, "truncated"));
	assert_int_equal(json_object_size(json_object_get(reply.json, "connections")), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection_summary_by_pid),
		cmocka_unit_test(test_connection_summary_by_command),
		cmocka_unit_test(test_connection_summary_by_query),
		cmocka_unit_test(test_connection_summary_refused),
		cmocka_unit_test(test_connection_summary_query_refused),
		cmocka_unit_test(test_packet_drop_summary),
		cmocka_unit_test(test_list_connections),
		cmocka_unit_test(test_list_limit),
		cmocka_unit_test(test_list_packet_drops),
		cmocka_unit_test(test_list_refused),
		cmocka_unit_test(test_list_bounds),
	};

	return cmocka_run_group_tests(tests, setup, api_fixture_teardown);
}
