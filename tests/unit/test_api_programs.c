/* SPDX-License-Identifier: MIT */
/* /api/programs and what changes programs, with the test as loader. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fixture.h"
#include "loader/interface_link.h"

#define JSON "Content-Type: application/json\r\n"

static json_t *program(const struct reply *reply, size_t index)
{
	json_t *value = json_array_get(reply_array(reply, "programs"), index);

	assert_non_null(value);
	return value;
}

static const char *text_of(json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	assert_non_null(text);
	return text;
}

static json_int_t number_of(json_t *object, const char *name)
{
	assert_true(json_is_integer(json_object_get(object, name)));
	return json_integer_value(json_object_get(object, name));
}

static void test_list(void **state)
{
	REPLY reply = { 0 };
	json_t *first, *broken, *stream, *parameter;

	(void)state;
	for (uint32_t i = 0; i < 15; i++)
		produce_connection(fixture_epoch() + i, 1, "x", 80);
	lose_connections(5);
	reply = get("/api/programs");
	assert_status(&reply, 200);
	assert_int_equal(reply_integer(&reply, "total_programs"), 3);
	assert_int_equal(reply_integer(&reply, "running_programs"), 2);
	first = program(&reply, 0);
	assert_string_equal(text_of(first, "name"), "connection");
	assert_string_equal(text_of(first, "status"), "running");
	assert_string_equal(text_of(first, "hook"), "tp_btf/connection");
	assert_true(json_is_true(json_object_get(first, "loaded")));
	assert_true(json_is_true(json_object_get(first, "attached")));
	assert_true(json_is_null(json_object_get(first, "fallback_reason")));
	assert_true(json_is_null(json_object_get(first, "ns_per_run")));
	assert_int_equal(number_of(first, "event_count"), 15);
	assert_int_equal(number_of(first, "dropped_count"), 5);
	assert_true(json_number_value(json_object_get(first, "drop_rate")) > 0.249);
	assert_true(json_number_value(json_object_get(first, "drop_rate")) < 0.251);

	stream = json_array_get(json_object_get(first, "streams"), 0);
	assert_string_equal(text_of(stream, "name"), "connection");
	assert_true(json_is_true(json_object_get(stream, "active")));
	assert_int_equal(number_of(json_object_get(stream, "ledger"), "produced"), 20);
	assert_int_equal(number_of(json_object_get(stream, "ledger"), "stored"), 15);

	assert_int_equal(json_array_size(json_object_get(first, "parameters")), 3);
	parameter = json_array_get(json_object_get(first, "parameters"), 0);
	assert_string_equal(text_of(parameter, "name"), "pid");
	assert_string_equal(text_of(parameter, "type"), "integer");
	assert_int_equal(number_of(parameter, "value"), 0);

	broken = program(&reply, 2);
	assert_string_equal(text_of(broken, "status"), "failed");
	assert_string_equal(text_of(broken, "error"), "no such hook");
	assert_true(json_is_null(json_object_get(broken, "hook")));
}

static void test_interfaces(void **state)
{
	struct message message = { .type = MESSAGE_INTERFACE,
				   .program = 1,
				   .name = "eth0",
				   .hook = "xdp native",
				   .numbers = { 0, 2 } };
	REPLY before = get("/api/programs/packet_drop");
	REPLY reply = { 0 };
	json_t *list, *entry;

	(void)state;
	assert_int_equal(json_array_size(reply_array(&before, "interfaces")), 0);
	tell_interface(&message);
	message = (struct message){ .type = MESSAGE_INTERFACE,
				    .program = 1,
				    .status = INTERFACE_EGRESS,
				    .name = "eth0",
				    .reason = "there is no such interface now",
				    .numbers = { 1, 2 } };
	tell_interface(&message);
	reply = get("/api/programs/packet_drop");
	list = reply_array(&reply, "interfaces");
	assert_int_equal(json_array_size(list), 2);
	entry = json_array_get(list, 0);
	assert_string_equal(text_of(entry, "name"), "eth0");
	assert_string_equal(text_of(entry, "direction"), "ingress");
	assert_string_equal(text_of(entry, "mode"), "xdp native");
	assert_true(json_is_null(json_object_get(entry, "reason")));
	entry = json_array_get(list, 1);
	assert_string_equal(text_of(entry, "direction"), "egress");
	assert_true(json_is_null(json_object_get(entry, "mode")));
	assert_string_equal(text_of(entry, "reason"), "there is no such interface now");
}

static void test_get(void **state)
{
	REPLY reply = get("/api/programs/packet_drop");
	REPLY escaped = get("/api/programs/packet%5Fdrop");
	REPLY missing = get("/api/programs/nonsense");
	REPLY slash = get("/api/programs/a%2Fb");
	REPLY empty = get("/api/programs/");

	(void)state;
	assert_string_equal(reply_text(&reply, "name"), "packet_drop");
	assert_string_equal(reply_text(&escaped, "name"), "packet_drop");
	assert_error(&missing, 404, "there is no program \"nonsense\"");
	assert_error(&slash, 404, "there is no program \"a/b\"");
	assert_error(&empty, 404, "there is nothing at /api/programs/");
}

static void test_enable_and_disable(void **state)
{
	REPLY disabled = request("POST", "/api/programs/packet_drop/disable", "", NULL);
	struct message asked = loader_last_request();
	REPLY enabled = { 0 }, missing = { 0 }, method = { 0 };

	(void)state;
	assert_status(&disabled, 200);
	assert_string_equal(reply_text(&disabled, "name"), "packet_drop");
	assert_int_equal(asked.type, MESSAGE_DISABLE);
	assert_int_equal(asked.program, PROGRAM_DROPS);

	enabled = post("/api/programs/packet_drop/enable", "{}");
	assert_status(&enabled, 200);
	assert_int_equal(loader_last_request().type, MESSAGE_ENABLE);

	missing = post("/api/programs/nonsense/enable", "");
	assert_error(&missing, 404, "nonsense");
	method = get("/api/programs/packet_drop/enable");
	assert_error(&method, 405, "Only POST method is allowed");
	assert_string_equal(reply_header(&method, "Allow"), "POST, OPTIONS");
}

static void test_loader_refuses(void **state)
{
	REPLY failed = { 0 }, invalid = { 0 }, wordless = { 0 };

	(void)state;
	loader_answers(-ENOSPC, "no room for \"maps\"");
	failed = post("/api/programs/connection/enable", "");
	loader_answers(-EINVAL, "not like this");
	invalid = post("/api/programs/connection/enable", "");
	loader_answers(-EPERM, "");
	wordless = post("/api/programs/connection/enable", "");
	loader_answers(0, "");
	assert_error(&failed, 500, "program connection: no room for \"maps\"");
	assert_error(&invalid, 400, "program connection: not like this");
	assert_error(&wordless, 500, "program connection: Operation not permitted");
}

static void test_set_parameters(void **state)
{
	unsigned int before = loader_request_count();
	REPLY reply = request("PATCH", "/api/programs/connection", JSON,
			      "{\"parameters\":{\"command\":\"curl\",\"failed_only\":true,"
			      "\"pid\":1234}}");
	struct message asked = loader_last_request();
	uint32_t pid;

	(void)state;
	assert_status(&reply, 200);
	assert_string_equal(reply_text(&reply, "name"), "connection");
	assert_int_equal(loader_request_count(), before + 3);
	assert_int_equal(asked.type, MESSAGE_SET_PARAMETER);
	assert_int_equal(asked.program, PROGRAM_CONNECTION);
	assert_string_equal(asked.name, "pid");
	assert_int_equal(asked.value_size, 4);
	memcpy(&pid, asked.value, sizeof(pid));
	assert_int_equal(pid, 1234);
}

/* Whatever is wrong with any of them: none is sent. */
static void test_set_parameters_refused(void **state)
{
	static const struct {
		const char *body, *message;
	} cases[] = {
		{ "", "Invalid JSON request body" },
		{ "{\"pid\":1}", "{\"parameters\":{\"name\":value}}" },
		{ "{\"parameters\":[]}", "{\"parameters\":{\"name\":value}}" },
		{ "{\"parameters\":{},\"more\":1}", "{\"parameters\":{\"name\":value}}" },
		{ "{\"parameters\":{}}", "sets no parameter" },
		{ "{\"parameters\":{\"pid\":null}}", "sets no parameter" },
		{ "{\"parameters\":{\"pid\":1,\"colour\":1}}",
		  "unknown parameter \"colour\"; known are: pid, command, failed_only" },
		{ "{\"parameters\":{\"command\":\"x\",\"pid\":-1}}", "parameter \"pid\":" },
		{ "{\"parameters\":{\"pid\":4294967296}}", "parameter \"pid\":" },
		{ "{\"parameters\":{\"pid\":1.5}}", "parameter \"pid\": must be an integer" },
		{ "{\"parameters\":{\"pid\":true}}", "parameter \"pid\": must be an integer" },
		{ "{\"parameters\":{\"pid\":{}}}", "parameter \"pid\": must be an integer" },
		{ "{\"parameters\":{\"command\":5}}", "parameter \"command\": must be a string" },
		{ "{\"parameters\":{\"command\":\"0123456789abcdef0123\"}}",
		  "parameter \"command\":" },
		{ "{\"parameters\":{\"failed_only\":\"perhaps\"}}", "parameter \"failed_only\":" },
	};
	unsigned int before = loader_request_count();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		REPLY reply = request("PATCH", "/api/programs/connection", JSON, cases[i].body);

		assert_error(&reply, 400, cases[i].message);
	}
	{
		REPLY unread = request("PATCH", "/api/programs/broken", JSON,
				       "{\"parameters\":{\"pid\":1}}");
		REPLY query = request("PATCH", "/api/programs/connection?pid=1", JSON,
				      "{\"parameters\":{\"pid\":1}}");
		REPLY body = post("/api/programs/connection/enable", "{\"now\":true}");

		assert_error(&unread, 400, "unknown parameter \"pid\"; known are: none");
		assert_error(&query, 400, "unknown parameter \"pid\": none is taken here");
		assert_error(&body, 400, "unknown parameter \"now\": none is taken here");
	}
	assert_int_equal(loader_request_count(), before);
}

static void *enable_in_thread(void *context)
{
	*(struct reply *)context = post("/api/programs/connection/enable", "");
	return context;
}

/* While one change waits for the loader, another is told to come back, and questions are
 * answered. */
static void test_one_change_at_a_time(void **state)
{
	REPLY first = { 0 }, second = { 0 }, question = { 0 };
	pthread_t thread;

	(void)state;
	loader_holds();
	assert_int_equal(pthread_create(&thread, NULL, enable_in_thread, &first), 0);
	loader_await_held();
	second = post("/api/programs/packet_drop/enable", "");
	question = get("/health");
	loader_release();
	pthread_join(thread, NULL);
	assert_error(&second, 429, "another change of a program is under way");
	assert_string_equal(reply_header(&second, "Retry-After"), "1");
	assert_status(&question, 200);
	assert_status(&first, 200);
}

/* A page from elsewhere may ask, but change nothing. */
static void test_origins(void **state)
{
	static const char *const targets[] = {
		"/api/programs/connection/enable",
		"/api/programs/connection/disable",
	};
	unsigned int before = loader_request_count();
	REPLY patch = request("PATCH", "/api/programs/connection",
			      JSON "Origin: http://localhost:1\r\n",
			      "{\"parameters\":{\"pid\":1}}");
	REPLY read = request("GET", "/api/programs", "Origin: http://evil.example\r\n", NULL);

	(void)state;
	assert_error(&patch, 403, "http://localhost:1");
	assert_status(&read, 200);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		REPLY foreign =
			request("POST", targets[i], "Origin: http://evil.example\r\n", NULL);
		REPLY sandbox = request("POST", targets[i], "Origin: null\r\n", NULL);

		assert_error(&foreign, 403, "a page of origin \"http://evil.example\"");
		assert_error(&sandbox, 403, "a page of origin \"null\"");
	}
	assert_int_equal(loader_request_count(), before);
	{
		static const char own[] = "POST /api/programs/connection/enable HTTP/1.1\r\n"
					  "Host: localhost:8080\r\nConnection: close\r\n"
					  "Origin: http://LOCALHOST:8080\r\n\r\n";
		REPLY same = send_raw(own, sizeof(own) - 1);

		assert_status(&same, 200);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_enable_and_disable),
		cmocka_unit_test(test_loader_refuses),
		cmocka_unit_test(test_set_parameters),
		cmocka_unit_test(test_set_parameters_refused),
		cmocka_unit_test(test_one_change_at_a_time),
		cmocka_unit_test(test_origins),
	};

	return cmocka_run_group_tests(tests, api_fixture_setup, api_fixture_teardown);
}
