/* SPDX-License-Identifier: MIT */
/* GET /api/events over a real socket. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fixture.h"

/* Prime numbers of events make double counting visible. */
enum { CONNECTIONS = 101, DROPS = 53, ALL = CONNECTIONS + DROPS };

#define MS 1000000ULL
/* Connections come 1 ms apart from the epoch on; drops likewise, a second later. */
#define CONNECTION_AT(i) (fixture_epoch() + (uint64_t)(i)*MS)
#define DROP_AT(i) (fixture_epoch() + 1000 * MS + (uint64_t)(i)*MS)

static int setup(void **state)
{
	static const uint16_t ports[] = { 443, 80, 53 };

	api_fixture_setup(state);
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		produce_connection(CONNECTION_AT(i), 100 + i % 7, i % 2 ? "curl" : "sshd",
				   ports[i % 3]);
	for (uint32_t i = 0; i < DROPS; i++)
		produce_drop(DROP_AT(i), i % 5, "ksoftirqd/0", i % 2 ? 3 : 5);
	return 0;
}

static json_t *event(const struct reply *reply, size_t index)
{
	json_t *value = json_array_get(reply_array(reply, "events"), index);

	assert_non_null(value);
	return value;
}

static const char *text_of(const struct reply *reply, size_t index, const char *name)
{
	const char *text = json_string_value(json_object_get(event(reply, index), name));

	assert_non_null(text);
	return text;
}

static uint64_t number_of(const struct reply *reply, size_t index, const char *name)
{
	json_t *value = json_object_get(event(reply, index), name);

	assert_true(json_is_integer(value));
	return (uint64_t)json_integer_value(value);
}

/* Newest first, the newest hundred, and what is said around them. */
static void test_default(void **state)
{
	REPLY reply = get("/api/events");
	json_t *query;

	(void)state;
	assert_status(&reply, 200);
	assert_string_equal(reply_header(&reply, "Content-Type"), "application/json");
	assert_string_equal(reply_header(&reply, "X-Content-Type-Options"), "nosniff");
	assert_string_equal(reply_header(&reply, "Cache-Control"), "no-store");
	assert_int_equal(json_array_size(reply_array(&reply, "events")), 100);
	assert_int_equal(reply_integer(&reply, "count"), 100);
	assert_int_equal(reply_integer(&reply, "total_count"), ALL);
	assert_true(reply_true(&reply, "complete"));
	assert_int_equal(reply_integer(&reply, "lost"), 0);
	assert_string_equal(text_of(&reply, 0, "type"), "packet_drop");
	for (size_t i = 0; i < DROPS; i++)
		assert_int_equal(number_of(&reply, i, "timestamp"), DROP_AT(DROPS - 1 - i));
	for (size_t i = DROPS; i < 100; i++)
		assert_int_equal(number_of(&reply, i, "timestamp"),
				 CONNECTION_AT(CONNECTIONS - 1 - (i - DROPS)));
	assert_string_equal(reply_text(&reply, "next"), text_of(&reply, 99, "id"));

	query = json_object_get(reply.json, "query");
	assert_int_equal(json_array_size(json_object_get(query, "type")), 2);
	assert_true(json_is_null(json_object_get(query, "since")));
	assert_int_equal(json_integer_value(json_object_get(query, "limit")), 100);
	assert_string_equal(json_string_value(json_object_get(query, "order")), "desc");
	assert_string_equal(json_string_value(json_object_get(query, "format")), "json");
	assert_int_equal(json_object_size(json_object_get(query, "filters")), 0);
}

/* Every event once, whichever way one pages. */
static void page_through(const char *order, const char *cursor)
{
	char target[200], next[64] = "";
	size_t seen = 0;
	uint64_t last = 0;

	for (;;) {
		REPLY reply = { 0 };

		snprintf(target, sizeof(target), "/api/events?order=%s&limit=13%s%s%s%s", order,
			 next[0] ? "&" : "", next[0] ? cursor : "", next[0] ? "=" : "", next);
		reply = get(target);
		assert_status(&reply, 200);
		assert_int_equal(reply_integer(&reply, "total_count"), ALL);
		for (size_t i = 0; i < json_array_size(reply_array(&reply, "events")); i++) {
			uint64_t timestamp = number_of(&reply, i, "timestamp");

			if (seen)
				assert_true(!strcmp(order, "asc") ? timestamp > last
								  : timestamp < last);
			last = timestamp;
			seen++;
		}
		if (reply_is_null(&reply, "next"))
			break;
		snprintf(next, sizeof(next), "%s", reply_text(&reply, "next"));
	}
	assert_int_equal(seen, ALL);
}

static void test_paging(void **state)
{
	(void)state;
	page_through("desc", "before");
	page_through("asc", "after");
}

static void assert_total(const char *query, int64_t total)
{
	char target[400];
	REPLY reply = { 0 };

	snprintf(target, sizeof(target), "/api/events?limit=1&%s", query);
	reply = get(target);
	assert_status(&reply, 200);
	if (reply_integer(&reply, "total_count") != total)
		fail_msg("%s: %" JSON_INTEGER_FORMAT " instead of %" PRId64, query,
			 (json_int_t)reply_integer(&reply, "total_count"), total);
}

static void test_filters(void **state)
{
	(void)state;
	assert_total("type=connection", CONNECTIONS);
	assert_total("type=packet_drop", DROPS);
	assert_total("type=connection,packet_drop", ALL);
	assert_total("command=curl", 50);
	assert_total("command=c*", 50);
	assert_total("command=curl,sshd", CONNECTIONS);
	assert_total("command=!curl", ALL - 50);
	assert_total("type=connection&command=!curl", 51);
	assert_total("destination_port=443", 34);
	assert_total("destination_port=53..80", 67);
	assert_total("destination_port=443&command=curl", 17);
	assert_total("destination_ip=10.0.0.0/8", CONNECTIONS);
	assert_total("destination_ip=10.1.0.0%2F16", 0);
	assert_total("protocol=UDP", 33);
	assert_total("protocol=tcp", 68 + DROPS);
	assert_total("protocol=ICMP", 0);
	assert_total("drop_reason=NO_SOCKET", 26);
	assert_total("drop_reason=!NO_SOCKET", 27);
	assert_total("drop_reason=NO_SOCKET&destination_port=443", 0);
	assert_total("duration_ns=443us", 34);
	assert_total("duration_ns=100us..", 34);
	assert_total("pid=0", 11);
	assert_total("command=ksoftirqd%2f0", DROPS);
	assert_total("command=nobody", 0);
}

/* Both ends belong to the window, and the time that an event shows finds it again. */
static void test_window(void **state)
{
	char target[300], from[64], to[64];
	REPLY ends = get("/api/events?order=asc&limit=10");
	REPLY reply = { 0 };

	(void)state;
	snprintf(from, sizeof(from), "%s", text_of(&ends, 3, "time"));
	snprintf(to, sizeof(to), "%s", text_of(&ends, 7, "time"));
	snprintf(target, sizeof(target), "/api/events?since=%s&until=%s", from, to);
	reply = get(target);
	assert_status(&reply, 200);
	assert_int_equal(reply_integer(&reply, "count"), 5);
	assert_string_equal(text_of(&reply, 0, "time"), to);
	assert_string_equal(text_of(&reply, 4, "time"), from);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(reply.json, "query"), "since")),
		from);

	assert_total("since=-1h", ALL);
	assert_total("since=-5m", 0);
	assert_total("until=-5m", ALL);
	assert_total("until=-1h", 0);
	/* An offset whose '+' nobody escaped. */
	assert_total("since=1970-01-02T00:00:00+00:00", ALL);
}

static void test_places_of_other_boots(void **state)
{
	(void)state;
	assert_total("after=00000001-000000000000000-0000000000&order=asc", ALL);
	{
		REPLY old = get("/api/events?before=00000001-000000000000000-0000000000");
		REPLY later = get("/api/events?before=ffffffff-000000000000000-0000000000");

		assert_status(&old, 200);
		assert_int_equal(reply_integer(&old, "count"), 0);
		assert_true(reply_is_null(&old, "next"));
		assert_int_equal(reply_integer(&later, "count"), 100);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *query, *message;
	} cases[] = {
		{ "limit=0",
		  "parameter \"limit\": \"0\" is not allowed; allowed is an integer from "
		  "1 to 10000" },
		{ "limit=-1", "from 1 to 10000" },
		{ "limit=10001", "from 1 to 10000" },
		{ "limit=99999999999999999999999", "from 1 to 10000" },
		{ "limit=ten", "from 1 to 10000" },
		{ "limit=1.5", "from 1 to 10000" },
		{ "limit=", "from 1 to 10000" },
		{ "limit", "parameter \"limit\" has no value" },
		{ "limit=1&limit=2", "parameter \"limit\" is given more than once" },
		{ "command=a&command=b", "give a list instead: command=a,b" },
		{ "order=up", "desc or asc" },
		{ "format=xml", "json, ndjson or csv" },
		{ "int64=octal", "number or string" },
		{ "since=yesterday", "RFC 3339" },
		{ "since=2026-01-01", "RFC 3339" },
		{ "until=", "RFC 3339" },
		{ "since=-5m&until=-10m", "must not be later than" },
		{ "after=1234", "the id of an event" },
		{ "before=zzzzzzzz-000000000000000-0000000000", "the id of an event" },
		{ "type=nonsense", "known are: connection, packet_drop" },
		{ "type=connection,", "\"\" is no type" },
		{ "type=", "\"\" is no type" },
		{ "colour=red", "unknown parameter \"colour\"" },
		{ "colour=red", "destination_port" },
		{ "secret=42", "unknown parameter \"secret\"" },
		{ "type=connection&drop_reason=NO_SOCKET", "unknown parameter \"drop_reason\"" },
		{ "drop_reason=BOREDOM", "known are: NO_SOCKET, TCP_CSUM, QUEUE_FULL" },
		{ "protocol=SMOKE", "known are: TCP, UDP, ICMP" },
		{ "destination_port=http", "parameter \"destination_port\":" },
		{ "destination_port=1,,2", "parameter \"destination_port\":" },
		{ "destination_ip=10.0.0.0/33", "parameter \"destination_ip\":" },
		{ "pid=-1", "parameter \"pid\":" },
		{ "pid=", "parameter \"pid\":" },
		{ "command=%", "parameter \"command\": a '%' must begin an escape" },
		{ "command=%4", "escape" },
		{ "command=%zz", "escape" },
		{ "command=a%00b", "escape" },
		{ "command=%ff", "parameter \"command\": the value must be UTF-8" },
		{ "command=\xc3\x28", "must be UTF-8" },
		{ "%ff=1", "name of a parameter" },
		{ "=1", "without a name" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char target[300];
		REPLY reply = { 0 };

		snprintf(target, sizeof(target), "/api/events?%s", cases[i].query);
		reply = get(target);
		assert_error(&reply, 400, cases[i].message);
	}
}

static void test_harmless_forms(void **state)
{
	(void)state;
	assert_total("&&type=connection&&", CONNECTIONS);
	assert_total("%74ype=%63onnection", CONNECTIONS);
	assert_total("comm%61nd=cur%6C", 50);
}

static void test_ndjson(void **state)
{
	REPLY reply = get("/api/events?format=ndjson&limit=7&type=connection");
	size_t lines = 0;

	(void)state;
	assert_status(&reply, 200);
	assert_string_equal(reply_header(&reply, "Content-Type"), "application/x-ndjson");
	assert_string_equal(reply_header(&reply, "X-Total-Count"), "101");
	assert_string_equal(reply_header(&reply, "X-Complete"), "true");
	assert_string_equal(reply_header(&reply, "X-Lost"), "0");
	assert_non_null(reply_header(&reply, "X-Next"));
	for (char *line = strtok(reply.body, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *value = json_loads(line, 0, NULL);

		assert_string_equal(json_string_value(json_object_get(value, "type")),
				    "connection");
		json_decref(value);
		lines++;
	}
	assert_int_equal(lines, 7);
}

static void test_csv(void **state)
{
	REPLY reply = get("/api/events?format=csv&limit=3&type=connection&order=asc");
	REPLY none = get("/api/events?format=csv&command=nobody&type=packet_drop");

	(void)state;
	assert_status(&reply, 200);
	assert_string_equal(reply_header(&reply, "Content-Type"), "text/csv; charset=utf-8");
	assert_int_equal(strncmp(reply.body, "id,type,time,", 13), 0);
	assert_non_null(strstr(reply.body, ",sshd,"));
	assert_non_null(strstr(reply.body, "10.0.0.1"));
	assert_int_equal(reply.body[reply.length - 1], '\n');
	assert_non_null(strstr(none.body, "drop_reason"));
	assert_null(strstr(none.body, "secret"));
	assert_null(reply_header(&none, "X-Next"));
}

/* 2^60 + 1 is no double. */
static void test_int64(void **state)
{
	REPLY number = get("/api/events?limit=1&type=connection");
	REPLY string = get("/api/events?limit=1&type=connection&int64=string");

	(void)state;
	assert_int_equal(number_of(&number, 0, "cgroup_id"), (1ULL << 60) + 1);
	assert_string_equal(text_of(&string, 0, "cgroup_id"), "1152921504606846977");
}

static void test_losses(void **state)
{
	REPLY before = { 0 };
	REPLY now = { 0 }, earlier = { 0 };

	(void)state;
	lose_connections(17);
	now = get("/api/events?limit=1");
	assert_int_equal(reply_integer(&now, "lost"), 17);
	assert_false(reply_true(&now, "complete"));
	/* They were lost just now. */
	earlier = get("/api/events?limit=1&until=-5m");
	assert_int_equal(reply_integer(&earlier, "lost"), 0);
	assert_true(reply_true(&earlier, "complete"));
	/* Another stream lost nothing. */
	before = get("/api/events?limit=1&type=packet_drop");
	assert_int_equal(reply_integer(&before, "lost"), 0);
}

/* The store holds the newest of a storm, and the answer says that it is not all. */
static void test_expiry(void **state)
{
	REPLY reply = { 0 }, recent = { 0 };
	const uint64_t begin = fixture_epoch() + 10000 * MS;
	char target[200], since[64];
	uint64_t stored = 0;

	(void)state;
	do {
		for (int i = 0; i < 5000; i++, stored++)
			produce_connection(begin + stored * 1000, (uint32_t)(stored * 2654435761u),
					   "storm", (uint16_t)(stored * 40503));
		reply_fini(&reply);
		reply = get("/api/events?limit=1");
		assert_status(&reply, 200);
		assert_true(stored < 2000000);
	} while (reply_integer(&reply, "total_count") == (int64_t)(ALL + stored));
	assert_false(reply_true(&reply, "complete"));

	snprintf(since, sizeof(since), "%s", fixture_time(begin + (stored - 2) * 1000));
	snprintf(target, sizeof(target), "/api/events?limit=1&type=connection&since=%s&until=%s",
		 since, fixture_time(begin + stored * 1000));
	recent = get(target);
	assert_status(&recent, 200);
	assert_true(reply_true(&recent, "complete"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_paging),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_places_of_other_boots),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_harmless_forms),
		cmocka_unit_test(test_ndjson),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_int64),
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_expiry),
	};

	return cmocka_run_group_tests(tests, setup, api_fixture_teardown);
}
