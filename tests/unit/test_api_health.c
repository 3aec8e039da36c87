/* SPDX-License-Identifier: MIT */
/* Health and probes, with programs and without any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "api_fixture.h"

static const char *failing_part(const struct reply *reply, size_t index)
{
	json_t *part = json_array_get(reply_array(reply, "failing"), index);

	return json_string_value(json_object_get(part, "part"));
}

static void test_healthy(void **state)
{
	REPLY health = get("/health");
	REPLY ready = get("/readiness");
	REPLY live = get("/liveness");

	(void)state;
	assert_status(&health, 200);
	assert_string_equal(reply_text(&health, "status"), "healthy");
	assert_string_equal(reply_text(&health, "service"), "ebpf-server");
	assert_string_equal(reply_text(&health, "version"), "1.2.3");
	assert_true(reply_true(&health, "running"));
	assert_true(reply_true(&health, "ready"));
	assert_true(reply_true(&health, "alive"));
	assert_true(reply_integer(&health, "timestamp") > 1600000000);
	assert_int_equal(json_array_size(reply_array(&health, "failing")), 0);
	assert_text(&ready, 200, "Ready");
	assert_text(&live, 200, "OK");
}

static void test_metrics_listener(void **state)
{
	REPLY health =
		raw_metrics("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	REPLY live = raw_metrics(
		"GET /liveness HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	REPLY api = raw_metrics(
		"GET /api/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");

	(void)state;
	assert_status(&health, 200);
	assert_string_equal(reply_text(&health, "status"), "healthy");
	assert_text(&live, 200, "OK");
	assert_error(&api, 404, "the API has its own port");
}

/* From the start of shutdown the server is alive and healthy, but not ready. */
static void test_stopping(void **state)
{
	REPLY ready = { 0 }, live = { 0 };

	(void)state;
	atomic_store(fixture_stopping(), true);
	ready = get("/readiness");
	live = get("/liveness");
	atomic_store(fixture_stopping(), false);
	assert_text(&ready, 503, "Not ready");
	assert_text(&live, 200, "OK");
}

static void test_no_program_runs(void **state)
{
	REPLY health = { 0 }, ready = { 0 }, partly = { 0 };

	(void)state;
	tell_program(PROGRAM_CONNECTION, "connection", PROGRAM_FAILED, "gone");
	partly = get("/readiness");
	tell_program(PROGRAM_DROPS, "packet_drop", PROGRAM_FAILED, "gone");
	health = get("/health");
	ready = get("/readiness");
	tell_program(PROGRAM_CONNECTION, "connection", PROGRAM_RUNNING, "");
	tell_program(PROGRAM_DROPS, "packet_drop", PROGRAM_RUNNING, "");
	assert_text(&partly, 200, "Ready");
	assert_status(&health, 503);
	assert_string_equal(reply_text(&health, "status"), "unhealthy");
	assert_string_equal(failing_part(&health, 0), "programs");
	assert_false(reply_true(&health, "running"));
	assert_text(&ready, 503, "Not ready");
}

static void test_not_yet_ready(void **state)
{
	REPLY ready = { 0 }, unknown = { 0 };

	(void)state;
	tell_ready(false);
	ready = get("/readiness");
	unknown = get("/api/events?type=nonsense");
	tell_ready(true);
	assert_text(&ready, 503, "Not ready");
	assert_error(&unknown, 503, "programs are still being loaded");
}

/* A server that knows no program yet answers everything. */
static void test_empty(void **state)
{
	REPLY health = get("/health");
	REPLY events = get("/api/events");
	REPLY programs = get("/api/programs");
	REPLY schema = get("/api/schema");
	REPLY document = get("/openapi.json");
	REPLY summary = get("/api/connection-summary?pid=1");
	REPLY list = get("/api/list-packet-drops");
	REPLY csv = get("/api/events?format=csv");

	(void)state;
	assert_status(&health, 503);
	assert_string_equal(failing_part(&health, 0), "programs");
	assert_int_equal(reply_integer(&events, "count"), 0);
	assert_true(json_is_array(json_object_get(events.json, "events")));
	assert_int_equal(reply_integer(&programs, "total_programs"), 0);
	assert_status(&schema, 200);
	assert_status(&document, 200);
	assert_error(&summary, 503, "there is no program \"connection\"");
	assert_error(&list, 503, "there is no program \"packet_drop\"");
	assert_status(&csv, 200);
}

static void test_program_without_events(void **state)
{
	REPLY list = { 0 };

	(void)state;
	tell_program(5, "packet_drop", PROGRAM_FAILED, "the kernel said no");
	list = get("/api/list-packet-drops");
	assert_error(
		&list, 503,
		"\"packet_drop\" is failed, and there are no events of it: the kernel said no");
}

int main(void)
{
	const struct CMUnitTest full[] = {
		cmocka_unit_test(test_healthy),	      cmocka_unit_test(test_metrics_listener),
		cmocka_unit_test(test_stopping),      cmocka_unit_test(test_no_program_runs),
		cmocka_unit_test(test_not_yet_ready),
	};
	const struct CMUnitTest empty[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_program_without_events),
	};
	int failed = cmocka_run_group_tests(full, api_fixture_setup, api_fixture_teardown);

	return failed +
	       cmocka_run_group_tests(empty, api_fixture_setup_empty, api_fixture_teardown);
}
