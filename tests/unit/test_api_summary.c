/* SPDX-License-Identifier: MIT */
/* GET /api/events/summary over a real socket. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fixture.h"
#include "base/memory.h"

enum { CONNECTIONS = 101, DROPS = 53, ALL = CONNECTIONS + DROPS };

#define MS 1000000ULL
#define CONNECTION_AT(i) (fixture_epoch() + (uint64_t)(i)*MS)
#define DROP_AT(i) (fixture_epoch() + 1000 * MS + (uint64_t)(i)*MS)

/* 50 connections of curl, 51 of sshd; 53 drops; a command that is none. */
static int setup(void **state)
{
	static const uint16_t ports[] = { 443, 80, 53 };

	api_fixture_setup(state);
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		produce_connection(CONNECTION_AT(i), 100 + i % 7, i % 2 ? "curl" : "sshd",
				   ports[i % 3]);
	for (uint32_t i = 0; i < DROPS; i++)
		produce_drop(DROP_AT(i), i % 5, i ? "=cmd|' /C" : "\xff<b>", i % 2 ? 3 : 5);
	return 0;
}

static struct reply ask(const char *query)
{
	char target[500];

	snprintf(target, sizeof(target), "/api/events/summary?%s", query);
	return get(target);
}

/* When connection `i` was, as the API shows it; freed by the caller. */
static char *time_of(size_t i)
{
	REPLY reply = get("/api/events?order=asc&limit=200&type=connection");
	json_t *event = json_array_get(json_object_get(reply.json, "events"), i);
	char *text = strdup(json_string_value(json_object_get(event, "time")));

	assert_non_null(text);
	return text;
}

/* A member by a path such as "groups/0/key/command". */
static json_t *at(const struct reply *reply, const char *path)
{
	char copy[200], *rest = copy, *name;
	json_t *value = reply->json;

	snprintf(copy, sizeof(copy), "%s", path);
	while ((name = strsep(&rest, "/")))
		value = json_is_array(value) ? json_array_get(value, (size_t)atoi(name))
					     : json_object_get(value, name);
	if (!value)
		fail_msg("no %s in %s", path, reply->body);
	return value;
}

static void assert_number(const struct reply *reply, const char *path, json_int_t number)
{
	if (!json_is_integer(at(reply, path)) || json_integer_value(at(reply, path)) != number)
		fail_msg("%s is not %" JSON_INTEGER_FORMAT " in %s", path, number, reply->body);
}

static void assert_string(const struct reply *reply, const char *path, const char *text)
{
	if (!json_is_string(at(reply, path)))
		fail_msg("%s is no text in %s", path, reply->body);
	assert_string_equal(json_string_value(at(reply, path)), text);
}

static json_int_t sum_of(const struct reply *reply, const char *path)
{
	json_int_t sum = 0;
	json_t *value;
	size_t i;

	json_array_foreach(at(reply, path), i, value) sum += json_integer_value(value);
	return sum;
}

/* Without anything asked: one group, sixty buckets, from the oldest event to now. */
static void test_default(void **state)
{
	REPLY reply = get("/api/events/summary");
	FREE char *oldest = time_of(0);

	(void)state;
	assert_status(&reply, 200);
	assert_int_equal(json_array_size(at(&reply, "groups")), 1);
	assert_int_equal(json_object_size(at(&reply, "groups/0/key")), 0);
	assert_number(&reply, "groups/0/count", ALL);
	assert_int_equal(json_array_size(at(&reply, "groups/0/counts")), 60);
	assert_int_equal(sum_of(&reply, "groups/0/counts"), ALL);
	assert_int_equal(json_object_size(at(&reply, "groups/0/values")), 0);
	assert_number(&reply, "other/count", 0);
	assert_number(&reply, "other/groups", 0);
	assert_number(&reply, "total/count", ALL);
	assert_number(&reply, "total/groups", 1);
	assert_int_equal(sum_of(&reply, "total/counts"), ALL);
	assert_string(&reply, "histogram/start", oldest);
	assert_number(&reply, "histogram/buckets", 60);
	/* The events are ten minutes old: all in the first of sixty. */
	assert_number(&reply, "total/counts/0", ALL);
	assert_true(json_is_true(at(&reply, "exact")));
	assert_true(reply_true(&reply, "complete"));
	assert_int_equal(reply_integer(&reply, "lost"), 0);
	assert_int_equal(json_array_size(at(&reply, "query/type")), 2);
	assert_number(&reply, "query/top", 10);
	assert_true(json_is_null(at(&reply, "query/since")));
}

static void test_groups(void **state)
{
	REPLY reply = ask("by=command,protocol&type=connection&top=3&buckets=0");

	(void)state;
	assert_status(&reply, 200);
	assert_int_equal(json_array_size(at(&reply, "groups")), 3);
	assert_string(&reply, "groups/0/key/command", "curl");
	assert_string(&reply, "groups/0/key/protocol", "TCP");
	assert_number(&reply, "groups/0/count", 34);
	assert_string(&reply, "groups/1/key/command", "sshd");
	assert_number(&reply, "groups/1/count", 34);
	assert_string(&reply, "groups/2/key/protocol", "UDP");
	assert_number(&reply, "groups/2/count", 17);
	assert_number(&reply, "other/count", 16);
	assert_number(&reply, "other/groups", 1);
	assert_number(&reply, "total/count", CONNECTIONS);
	assert_number(&reply, "total/groups", 4);
	assert_true(reply_is_null(&reply, "histogram"));
	assert_int_equal(json_array_size(at(&reply, "total/counts")), 0);
}

/* A stream without the field has null; `type` is a key like others; TCP is TCP in both streams. */
static void test_streams(void **state)
{
	REPLY type = ask("by=type");
	REPLY port = ask("by=destination_port&of=duration_ns,skb_length");
	REPLY protocol = ask("by=protocol");
	REPLY filtered = ask("by=type&destination_port=443");

	(void)state;
	assert_string(&type, "groups/0/key/type", "connection");
	assert_number(&type, "groups/0/count", CONNECTIONS);
	assert_string(&type, "groups/1/key/type", "packet_drop");
	assert_number(&type, "groups/1/count", DROPS);

	assert_true(json_is_null(at(&port, "groups/0/key/destination_port")));
	assert_number(&port, "groups/0/count", DROPS);
	assert_number(&port, "groups/0/values/duration_ns/count", 0);
	assert_number(&port, "groups/0/values/duration_ns/sum", 0);
	assert_true(json_is_null(at(&port, "groups/0/values/duration_ns/min")));
	assert_true(json_is_null(at(&port, "groups/0/values/duration_ns/mean")));
	assert_true(json_is_null(at(&port, "groups/0/values/duration_ns/p50")));
	assert_number(&port, "groups/0/values/skb_length/sum", 64 * DROPS);
	assert_number(&port, "total/values/skb_length/count", DROPS);
	assert_number(&port, "total/values/duration_ns/count", CONNECTIONS);

	assert_string(&protocol, "groups/0/key/protocol", "TCP");
	assert_number(&protocol, "groups/0/count", 68 + DROPS);
	assert_number(&protocol, "groups/1/count", 33);

	assert_number(&filtered, "total/groups", 1);
	assert_number(&filtered, "total/count", 34);
	assert_string(&filtered, "query/filters/destination_port", "443");
}

static void test_values(void **state)
{
	REPLY reply = ask("by=destination_port&of=duration_ns&type=connection&top=1");
	const char *const exact[] = { "min", "max", "p50", "p90", "p99" };
	char path[100];

	(void)state;
	assert_number(&reply, "groups/0/key/destination_port", 80);
	assert_number(&reply, "groups/0/values/duration_ns/count", 34);
	assert_number(&reply, "groups/0/values/duration_ns/sum", 34 * 80000);
	for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
		snprintf(path, sizeof(path), "groups/0/values/duration_ns/%s", exact[i]);
		assert_number(&reply, path, 80000);
	}
	assert_true(json_real_value(at(&reply, "groups/0/values/duration_ns/mean")) > 79999.9 ||
		    json_integer_value(at(&reply, "groups/0/values/duration_ns/mean")) == 80000);
	assert_number(&reply, "other/values/duration_ns/min", 53000);
	assert_number(&reply, "other/values/duration_ns/max", 443000);
	assert_number(&reply, "total/values/duration_ns/sum",
		      34 * 80000 + 34 * 443000 + 33 * 53000);
}

/* Half of the window in each bucket; the end belongs to the last one. */
static void test_buckets(void **state)
{
	FREE char *since = time_of(0), *until = time_of(100);
	REPLY reply = { 0 };
	char query[300];

	(void)state;
	snprintf(query, sizeof(query), "since=%s&until=%s&buckets=4&by=command", since, until);
	reply = ask(query);
	assert_status(&reply, 200);
	assert_string(&reply, "histogram/start", since);
	assert_string(&reply, "histogram/end", until);
	assert_number(&reply, "histogram/bucket_ns", 25 * MS);
	assert_number(&reply, "histogram/buckets", 4);
	assert_number(&reply, "total/counts/0", 25);
	assert_number(&reply, "total/counts/2", 25);
	assert_number(&reply, "total/counts/3", 26);
	assert_string(&reply, "query/since", since);
	assert_string(&reply, "groups/0/key/command", "sshd");
	assert_number(&reply, "groups/0/counts/0", 13);
	assert_number(&reply, "groups/1/counts/0", 12);
}

/* Windows without length, before all, after all, and of more buckets than ns. */
static void test_odd_windows(void **state)
{
	FREE char *since = time_of(50);
	char query[300];
	REPLY before = ask("until=1971-01-01T00:00:00Z&by=command");
	REPLY after = ask("since=2199-01-01T00:00:00Z&by=command");
	REPLY early = ask("since=1970-01-01T00:00:00Z&until=now&buckets=1");
	REPLY point = { 0 };

	(void)state;
	assert_number(&before, "total/count", 0);
	assert_number(&before, "total/groups", 0);
	assert_number(&before, "histogram/buckets", 1);
	assert_number(&after, "total/count", 0);
	assert_string(&after, "histogram/start", "2199-01-01T00:00:00.000000000Z");
	assert_number(&early, "total/counts/0", ALL);
	assert_string(&early, "histogram/start", "1970-01-01T00:00:00.000000000Z");
	snprintf(query, sizeof(query), "since=%s&until=%s", since, since);
	point = ask(query);
	assert_number(&point, "total/count", 1);
	assert_number(&point, "histogram/buckets", 1);
	assert_number(&point, "histogram/bucket_ns", 1);
	assert_number(&point, "total/counts/0", 1);
}

static void test_int64(void **state)
{
	REPLY numbers = ask("by=cgroup_id,pid&of=cgroup_id&type=connection&top=1");
	REPLY strings = ask("by=cgroup_id,pid&of=cgroup_id,pid&type=connection&top=1&int64=string");

	(void)state;
	/* A sum past 2^63 is more than the parser of this test takes. */
	assert_null(numbers.json);
	assert_non_null(strstr(numbers.body, "{\"cgroup_id\":1152921504606846977,\"pid\":100}"));
	assert_non_null(strstr(numbers.body, "\"sum\":116445071965291544677,"));
	assert_string(&strings, "groups/0/key/cgroup_id", "1152921504606846977");
	assert_number(&strings, "groups/0/key/pid", 100);
	assert_string(&strings, "total/values/cgroup_id/sum", "116445071965291544677");
	assert_string(&strings, "total/values/cgroup_id/max", "1152921504606846977");
	assert_number(&strings, "groups/0/values/pid/min", 100);
	assert_number(&strings, "groups/0/values/pid/max", 100);
	assert_number(&strings, "groups/0/values/pid/p50", 100);
	assert_string(&strings, "groups/0/values/pid/sum", "1500");
}

static void test_csv(void **state)
{
	REPLY reply = ask("by=command,destination_port&of=skb_length&format=csv&type=packet_drop,"
			  "connection&command=!sshd&top=2");

	(void)state;
	assert_status(&reply, 200);
	assert_string_equal(reply_header(&reply, "Content-Type"), "text/csv; charset=utf-8");
	assert_string_equal(reply_header(&reply, "X-Total-Count"), "103");
	assert_string_equal(reply_header(&reply, "X-Complete"), "true");
	assert_string_equal(reply_header(&reply, "X-Lost"), "0");
	assert_string_equal(reply.body,
			    "command,destination_port,count,skb_length_count,skb_length_sum,"
			    "skb_length_min,skb_length_max,skb_length_mean,skb_length_p50,"
			    "skb_length_p90,skb_length_p99\r\n"
			    "\"'=cmd|' /C\",,52,52,3328,64,64,64,64,64,64\r\n"
			    "curl,80,17,0,0,,,,,,\r\n");
}

/* Text of a process is escaped, and what is no UTF-8 is shown as such. */
static void test_text(void **state)
{
	REPLY reply = ask("by=command&pid=0&type=packet_drop");

	(void)state;
	assert_int_equal(json_array_size(at(&reply, "groups")), 2);
	assert_string(&reply, "groups/0/key/command", "=cmd|' /C");
	assert_string(&reply, "groups/1/key/command", "\xef\xbf\xbd<b>");
	assert_null(strstr(reply.body, "<b>"));
}

static void test_refused(void **state)
{
	static const struct {
		const char *query, *message;
	} cases[] = {
		{ "by=colour", "parameter \"by\": \"colour\" is no field of the events asked for" },
		{ "by=colour", "fields are: type, timestamp, pid" },
		{ "by=secret", "is no field" },
		{ "by=id", "is no field" },
		{ "by=", "parameter \"by\": an empty name" },
		{ "by=command,", "an empty name" },
		{ "by=command,command", "\"command\" is there twice" },
		{ "by=drop_reason&type=connection", "is no field of the events asked for" },
		{ "by=pid,tid,uid,command,cgroup_id,type,protocol,timestamp,destination_ip",
		  "parameter \"by\": at most 8 fields are allowed" },
		{ "by=pid&by=tid", "by=a,b" },
		{ "of=command", "parameter \"of\": \"command\" is no number of the events" },
		{ "of=command", "numbers are: timestamp, pid" },
		{ "of=protocol", "is no number" },
		{ "of=destination_ip", "is no number" },
		{ "of=type", "parameter \"of\": \"type\" is no field" },
		{ "of=colour", "parameter \"of\": \"colour\" is no field" },
		{ "of=skb_length&type=connection", "is no field" },
		{ "of=pid,pid", "twice" },
		{ "top=0", "an integer from 1 to 1000" },
		{ "top=1001", "from 1 to 1000" },
		{ "buckets=-1", "an integer from 0 to 1000" },
		{ "buckets=1001", "from 0 to 1000" },
		{ "format=ndjson", "json or csv" },
		{ "limit=5", "unknown parameter \"limit\"" },
		{ "after=00000001-000000000000000-0000000000", "unknown parameter \"after\"" },
		{ "since=-5m&until=-10m", "must not be later than" },
		{ "since=yesterday", "RFC 3339" },
		{ "type=nonsense", "known are: connection, packet_drop" },
		{ "colour=red", "unknown parameter \"colour\"" },
		{ "pid=-1", "parameter \"pid\":" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		REPLY reply = ask(cases[i].query);

		assert_error(&reply, 400, cases[i].message);
	}
}

static void test_methods(void **state)
{
	REPLY posted = request("POST", "/api/events/summary", "", "{}");
	REPLY head = request("HEAD", "/api/events/summary?by=command", "", NULL);
	REPLY options = request("OPTIONS", "/api/events/summary", "", NULL);

	(void)state;
	assert_int_equal(posted.status, 405);
	assert_string_equal(reply_header(&posted, "Allow"), "GET, HEAD, OPTIONS");
	assert_int_equal(head.status, 200);
	assert_int_equal(head.length, 0);
	assert_int_equal(options.status, 204);
}

/* Last: it changes what the others see. */
static void test_losses(void **state)
{
	REPLY reply = { 0 };

	(void)state;
	lose_connections(7);
	reply = ask("by=command");
	assert_status(&reply, 200);
	assert_false(reply_true(&reply, "complete"));
	assert_int_equal(reply_integer(&reply, "lost"), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default), cmocka_unit_test(test_groups),
		cmocka_unit_test(test_streams), cmocka_unit_test(test_values),
		cmocka_unit_test(test_buckets), cmocka_unit_test(test_odd_windows),
		cmocka_unit_test(test_int64),	cmocka_unit_test(test_csv),
		cmocka_unit_test(test_text),	cmocka_unit_test(test_refused),
		cmocka_unit_test(test_methods), cmocka_unit_test(test_losses),
	};

	return cmocka_run_group_tests(tests, setup, api_fixture_teardown);
}
