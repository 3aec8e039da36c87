/* SPDX-License-Identifier: MIT */
/* The routes of lists and GET /apis, with the test as loader: shapes, messages, what is refused. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fixture.h"
#include "base/buffer.h"
#include "base/memory.h"
#include "loader/shared_list.h"

static void expect(const char *path, const char *body, const char *answer)
{
	REPLY reply = post(path, body);

	assert_status(&reply, 200);
	assert_string_equal(reply.body, answer);
}

/* The exact `error` of these routes, and words of the message. */
static void refused(const char *path, const char *body, const char *words)
{
	REPLY reply = post(path, body);

	if (reply.status != 400)
		fail_msg("%s %s: %d %s", path, body, reply.status, reply.body);
	assert_string_equal(reply_text(&reply, "error"), "Invalid JSON format");
	assert_non_null(strstr(reply_text(&reply, "message"), words));
	assert_int_equal(json_object_size(reply.json), 2);
}

static void clear(void)
{
	expect("/clear_ip_list", "{\"clear_ip_list\":true}",
	       "{\"message\":\"IP list cleared successfully\",\"total_ips\":0}");
}

/* ---- addresses ---- */

static void ips(void **state)
{
	(void)state;
	clear();
	expect("/print_all_ips", "{\"print_all_ips\":true}",
	       "{\"message\":\"All IPs retrieved successfully\",\"ips\":[],\"total_ips\":0}");
	expect("/add_ips", "{\"add_ips\":[1,\"10.0.0.0/8\",\"2001:db8::1\"]}",
	       "{\"message\":\"IPs added successfully\","
	       "\"added_ips\":[1,\"10.0.0.0/8\",\"2001:db8::1\"],\"total_ips\":3}");
	expect("/print_all_ips", "{\"print_all_ips\":true}",
	       "{\"message\":\"All IPs retrieved successfully\","
	       "\"ips\":[1,\"10.0.0.0/8\",\"2001:db8::1\"],\"total_ips\":3}");
	/* In the form of the list; what is there stays once, as it came first. */
	expect("/add_ips",
	       "{\"add_ips\":[\"10.9.8.7/8\",\"0.0.0.1\",4294967295,4294967295,"
	       "\"::ffff:192.0.2.7\"]}",
	       "{\"message\":\"IPs added successfully\","
	       "\"added_ips\":[\"10.0.0.0/8\",\"0.0.0.1\",4294967295,\"192.0.2.7\"],"
	       "\"total_ips\":5}");
	expect("/add_ips", "{\"add_ips\":[]}",
	       "{\"message\":\"IPs added successfully\",\"added_ips\":[],\"total_ips\":5}");
	expect("/print_all_ips", " {\"print_all_ips\" : true}\n",
	       "{\"message\":\"All IPs retrieved successfully\","
	       "\"ips\":[1,\"10.0.0.0/8\",\"2001:db8::1\",4294967295,\"192.0.2.7\"],"
	       "\"total_ips\":5}");
}

static void false_changes_nothing(void **state)
{
	unsigned int requests;

	(void)state;
	clear();
	expect("/add_ips", "{\"add_ips\":[7]}",
	       "{\"message\":\"IPs added successfully\",\"added_ips\":[7],\"total_ips\":1}");
	requests = loader_request_count();
	expect("/clear_ip_list", "{\"clear_ip_list\":false}",
	       "{\"message\":\"IP list not cleared\",\"total_ips\":1}");
	expect("/print_all_ips", "{\"print_all_ips\":false}",
	       "{\"message\":\"No IPs asked for\",\"ips\":[],\"total_ips\":1}");
	expect("/clear_pid_list", "{\"clear_pid_list\":false}",
	       "{\"message\":\"PID list not cleared\",\"total_pids\":0}");
	assert_int_equal(loader_request_count(), requests);
}

/* Bodies that are none, of every kind. */
static void bad_bodies(void **state)
{
	static const char *const bodies[] = {
		"{",
		"[]",
		"[1]",
		"1",
		"null",
		"true",
		"\"add_ips\"",
		"{}",
		"{\"other\":[1]}",
		"{\"add_ips\":[1],\"other\":1}",
		"{\"add_ips\":[1],\"add_ips\":[2]}",
		"{\"add_ips\":1}",
		"{\"add_ips\":null}",
		"{\"add_ips\":\"10.0.0.1\"}",
		"{\"add_ips\":{\"0\":1}}",
		"{\"add_ips\":true}",
		"{\"ADD_IPS\":[1]}",
		"{\"add_ips\":[1,]}",
		"{\"add_ips\":[18446744073709551616]}",
		"{\"add_ips\":[\"10.0.0.1\\u0000\"]}",
		"add_ips=1",
	};

	(void)state;
	clear();
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		refused("/add_ips", bodies[i], "{\"add_ips\":[…]}");
	refused("/add_ips", "", "Invalid JSON request body");
	refused("/add_ips", " \n", "Invalid JSON request body");
	for (size_t i = 0; i < 12; i++) {
		refused("/clear_ip_list", bodies[i], "{\"clear_ip_list\":true}");
		refused("/print_all_ips", bodies[i], "{\"print_all_ips\":true}");
		refused("/clear_pid_list", bodies[i], "{\"clear_pid_list\":true}");
		refused("/set_print_all", bodies[i], "{\"print_all\":true}");
		refused("/add_pids", bodies[i], "{\"pids\":[…]}");
	}
	refused("/clear_ip_list", "{\"clear_ip_list\":1}", "{\"clear_ip_list\":true}");
	refused("/clear_ip_list", "{\"clear_ip_list\":\"true\"}", "{\"clear_ip_list\":true}");
	refused("/clear_ip_list", "{\"clear_ip_list\":null}", "{\"clear_ip_list\":true}");
	refused("/set_print_all", "{\"print_all\":0}", "{\"print_all\":true}");
	refused("/set_print_all", "", "Invalid JSON request body");
	refused("/add_ips?add_ips=1", "{\"add_ips\":[1]}", "add_ips");
	expect("/print_all_ips", "{\"print_all_ips\":true}",
	       "{\"message\":\"All IPs retrieved successfully\",\"ips\":[],\"total_ips\":0}");
}

static void bad_entries(void **state)
{
	static const char *const items[] = {
		"-1",
		"4294967296",
		"1.5",
		"1.0",
		"1e3",
		"true",
		"null",
		"[]",
		"[1]",
		"{}",
		"\"\"",
		"\"10.0.0\"",
		"\"10.0.0.256\"",
		"\"10.0.0.0/33\"",
		"\"::1/129\"",
		"\"x\"",
		"\"10.0.0.1 \"",
		"\"1\"",
		"\"010.0.0.1\"",
		"\"fe80::1%lo\"",
		"\"[::1]\"",
		"\"10.0.0.1:80\"",
		"\"10.0.0.0/08\"",
		"9223372036854775807",
		"-9223372036854775808",
	};

	(void)state;
	clear();
	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		BUFFER body = BUFFER_INIT;
		FREE char *text = NULL;

		/* What is good beside it is not added. */
		buffer_printf(&body, "{\"add_ips\":[1,%s,2]}", items[i]);
		text = buffer_take_string(&body);
		refused("/add_ips", text, "add_ips[1]: ");
		refused("/add_ips", text,
			"allowed is an IPv4 or IPv6 address, a prefix such as "
			"\"10.0.0.0/8\", or an integer from 0 to 4294967295");
	}
	refused("/add_ips", "{\"add_ips\":[-1]}", "add_ips[0]: -1 is not allowed");
	refused("/add_ips", "{\"add_ips\":[\"a.b\"]}", "add_ips[0]: \"a.b\" is not allowed");
	refused("/add_pids", "{\"pids\":[1,0]}",
		"pids[1]: 0 is not allowed; allowed is an integer "
		"from 1 to 4194304");
	refused("/add_pids", "{\"pids\":[4194305]}", "pids[0]: 4194305");
	refused("/add_pids", "{\"pids\":[-1]}", "pids[0]: -1");
	refused("/add_pids", "{\"pids\":[\"1\"]}", "pids[0]: \"1\"");
	refused("/add_pids", "{\"pids\":[1.5]}", "pids[0]: ");
	expect("/print_all_ips", "{\"print_all_ips\":true}",
	       "{\"message\":\"All IPs retrieved successfully\",\"ips\":[],\"total_ips\":0}");
}

static void methods_and_types(void **state)
{
	static const char *const paths[] = { "/add_ips",  "/clear_ip_list",  "/print_all_ips",
					     "/add_pids", "/clear_pid_list", "/set_print_all" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		REPLY wrong = get(paths[i]);
		REPLY text = request("POST", paths[i], "Content-Type: text/plain\r\n", "{}");
		REPLY large = { 0 };
		FREE char *body = malloc(65538);

		assert_error(&wrong, 405, "Only POST method is allowed");
		assert_string_equal(reply_text(&wrong, "error"), "Method Not Allowed");
		assert_error(&text, 415, "Content-Type");
		memset(body, ' ', 65537);
		body[65537] = '\0';
		large = post(paths[i], body);
		assert_error(&large, 413, "65536");
	}
	{
		REPLY wrong = post("/target_pids", "{}");
		REPLY other = request("POST", "/add_ips", "Origin: http://example.org\r\n",
				      "{\"add_ips\":[1]}");

		assert_error(&wrong, 405, "Only GET method is allowed");
		assert_error(&other, 403, "example.org");
	}
}

/* 13,000 addresses in one request: as many as the limit of a body lets through. */
static void many_in_one_request(void **state)
{
	BUFFER body = BUFFER_INIT;
	FREE char *text = NULL;
	REPLY reply = { 0 };
	struct message message;

	(void)state;
	clear();
	buffer_append_string(&body, "{\"add_ips\":[0");
	for (unsigned int i = 1; i < 10007; i++)
		buffer_printf(&body, ",%u", i);
	buffer_append_string(&body, "]}");
	text = buffer_take_string(&body);
	reply = post("/add_ips", text);
	assert_status(&reply, 200);
	assert_int_equal(reply_integer(&reply, "total_ips"), 10007);
	assert_int_equal(json_array_size(reply_array(&reply, "added_ips")), 10007);
	message = loader_last_request();
	assert_int_equal(message.type, MESSAGE_SET_LIST);
	assert_int_equal(message.numbers[0], SHARED_IPS);
	assert_int_equal(message.numbers[1], 10007);
	clear();
	assert_int_equal(loader_last_request().numbers[1], 0);
}

static void full_lists(void **state)
{
	(void)state;
	for (unsigned int first = 0; first < SHARED_PROCESSES_MAX; first += 5120) {
		BUFFER body = BUFFER_INIT;
		FREE char *text = NULL;
		REPLY reply = { 0 };

		buffer_append_string(&body, "{\"pids\":[");
		for (unsigned int i = 1; i <= 5120; i++)
			buffer_printf(&body, "%s%u", i > 1 ? "," : "", first + i);
		buffer_append_string(&body, "]}");
		text = buffer_take_string(&body);
		reply = post("/add_pids", text);
		assert_status(&reply, 200);
	}
	{
		REPLY reply = post("/add_pids", "{\"pids\":[1,10241]}");

		assert_error(&reply, 400, "the list is full: it holds 10240 of at most 10240");
		/* The body was well formed. */
		assert_string_equal(reply_text(&reply, "error"), "Bad Request");
	}
	expect("/add_pids", "{\"pids\":[1]}",
	       "{\"message\":\"PIDs added successfully\",\"added_pids\":[1],"
	       "\"total_pids\":10240}");
	expect("/clear_pid_list", "",
	       "{\"message\":\"PID list cleared successfully\",\"total_pids\":0}");
}

/* ---- processes ---- */

static void pids(void **state)
{
	REPLY reply = { 0 };

	(void)state;
	expect("/clear_pid_list", "{\"clear_pid_list\":true}",
	       "{\"message\":\"PID list cleared successfully\",\"total_pids\":0}");
	expect("/add_pids", "{\"pids\":[4711,1,4711]}",
	       "{\"message\":\"PIDs added successfully\",\"added_pids\":[4711,1],"
	       "\"total_pids\":2}");
	assert_int_equal(loader_last_request().numbers[0], SHARED_PROCESSES);
	assert_int_equal(loader_last_request().numbers[2], 0);
	expect("/set_print_all", "{\"print_all\":true}",
	       "{\"message\":\"print_all set successfully\",\"print_all\":true}");
	assert_int_equal(loader_last_request().numbers[1], 2);
	assert_int_equal(loader_last_request().numbers[2], 1);
	reply = get("/target_pids");
	assert_status(&reply, 200);
	assert_string_equal(reply.body,
			    "{\"message\":\"All PIDs retrieved successfully\","
			    "\"target_pids\":[4711,1],\"pids\":[4711,1],\"total_pids\":2,"
			    "\"print_all\":true}");
	/* Emptied, it stays as to print_all. */
	expect("/clear_pid_list", "",
	       "{\"message\":\"PID list cleared successfully\",\"total_pids\":0}");
	assert_int_equal(loader_last_request().numbers[2], 1);
	expect("/set_print_all", "{\"print_all\":false}",
	       "{\"message\":\"print_all set successfully\",\"print_all\":false}");
}

/* ---- a loader that does not ---- */

static void refusals_of_the_loader(void **state)
{
	static const struct {
		int result, status;
	} cases[] = { { -ENOMEM, 500 }, { -EPIPE, 503 }, { -ETIMEDOUT, 503 } };

	(void)state;
	clear();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		REPLY reply = { 0 };

		loader_answers(cases[i].result, "not today");
		reply = post("/add_ips", "{\"add_ips\":[1]}");
		loader_answers(0, "");
		assert_error(&reply, cases[i].status, "not today");
		expect("/print_all_ips", "{\"print_all_ips\":true}",
		       "{\"message\":\"All IPs retrieved successfully\",\"ips\":[],"
		       "\"total_ips\":0}");
	}
}

static void *add_slowly(void *context)
{
	expect("/add_ips", "{\"add_ips\":[1]}",
	       "{\"message\":\"IPs added successfully\",\"added_ips\":[1],\"total_ips\":1}");
	return context;
}

static void one_change_at_a_time(void **state)
{
	pthread_t slow;
	REPLY reply = { 0 };

	(void)state;
	clear();
	loader_holds();
	assert_int_equal(pthread_create(&slow, NULL, add_slowly, NULL), 0);
	loader_await_held();
	reply = post("/add_ips", "{\"add_ips\":[2]}");
	assert_error(&reply, 429, "another change of a list is under way");
	assert_string_equal(reply_header(&reply, "Retry-After"), "1");
	/* Looking waits for nobody. */
	expect("/print_all_ips", "{\"print_all_ips\":true}",
	       "{\"message\":\"All IPs retrieved successfully\",\"ips\":[],\"total_ips\":0}");
	loader_release();
	pthread_join(slow, NULL);
	expect("/print_all_ips", "{\"print_all_ips\":true}",
	       "{\"message\":\"All IPs retrieved successfully\",\"ips\":[1],\"total_ips\":1}");
}

/* ---- /apis ---- */

static const char *line_at(const struct reply *reply, size_t index)
{
	return json_string_value(json_array_get(reply_array(reply, "available_apis"), index));
}

static bool has_line(const struct reply *reply, const char *begin)
{
	for (size_t i = 0; i < json_array_size(reply_array(reply, "available_apis")); i++)
		if (!strncmp(line_at(reply, i), begin, strlen(begin)))
			return true;
	return false;
}

static json_t *usage(const struct reply *reply, const char *name, const char *member)
{
	json_t *item = json_object_get(json_object_get(reply->json, "usage"), name);

	assert_non_null(item);
	assert_int_equal(json_object_size(item), 2);
	return json_object_get(item, member);
}

static void apis(void **state)
{
	REPLY reply = get("/apis");
	REPLY service = get("/");

	(void)state;
	assert_status(&reply, 200);
	assert_int_equal(json_object_size(reply.json), 2);
	/* Both lists come from the table of routes. */
	assert_int_equal(json_array_size(reply_array(&reply, "available_apis")),
			 json_array_size(reply_array(&service, "endpoints")));
	assert_true(has_line(&reply, "GET /apis - "));
	assert_true(has_line(&reply, "POST /add_ips - "));
	assert_true(has_line(&reply, "GET /target_pids - "));
	assert_true(has_line(&reply, "GET /api/list-connections - "));
	assert_true(has_line(&reply, "POST /api/list-connections - "));
	assert_string_equal(json_string_value(usage(&reply, "add_ips", "method")), "POST");
	assert_int_equal(
		json_array_size(json_object_get(usage(&reply, "add_ips", "body"), "add_ips")), 3);
	assert_true(json_is_true(
		json_object_get(usage(&reply, "clear_ip_list", "body"), "clear_ip_list")));
	assert_string_equal(json_string_value(usage(&reply, "target_pids", "method")), "GET");
	assert_true(json_is_null(usage(&reply, "target_pids", "body")));
	assert_string_equal(json_string_value(usage(&reply, "api/connection-summary", "method")),
			    "GET, POST");
	assert_non_null(json_object_get(usage(&reply, "api/connection-summary", "body"), "pid"));
	/* Two routes of one path. */
	assert_string_equal(json_string_value(usage(&reply, "api/programs/{name}", "method")),
			    "GET");
	assert_string_equal(json_string_value(usage(&reply, "PATCH api/programs/{name}", "method")),
			    "PATCH");
	assert_non_null(
		json_object_get(usage(&reply, "PATCH api/programs/{name}", "body"), "parameters"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ips),
		cmocka_unit_test(false_changes_nothing),
		cmocka_unit_test(bad_bodies),
		cmocka_unit_test(bad_entries),
		cmocka_unit_test(methods_and_types),
		cmocka_unit_test(many_in_one_request),
		cmocka_unit_test(full_lists),
		cmocka_unit_test(pids),
		cmocka_unit_test(refusals_of_the_loader),
		cmocka_unit_test(one_change_at_a_time),
		cmocka_unit_test(apis),
	};

	return cmocka_run_group_tests(tests, api_fixture_setup, api_fixture_teardown);
}
