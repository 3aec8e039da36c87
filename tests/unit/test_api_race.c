/* SPDX-License-Identifier: MIT */
/* Several clients ask for everything at once while events come in and programs change. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api_fixture.h"

enum { CLIENTS = 3, ROUNDS = 30, EVENTS = 2003 };

static const char *const targets[] = {
	"/api/events?limit=20&command=c*",
	"/api/events?order=asc&limit=7&format=csv",
	"/api/programs",
	"/api/programs/connection",
	"/api/schema",
	"/openapi.json",
	"/api/list-connections?limit=3",
	"/api/packet-drop-summary",
	"/api/connection-summary?pid=5",
	"/health",
	"/readiness",
};

static void *ask(void *context)
{
	size_t failures = 0;

	for (size_t i = 0; i < ROUNDS; i++) {
		for (size_t j = 0; j < sizeof(targets) / sizeof(targets[0]); j++) {
			struct reply reply = get(targets[j]);

			failures += reply.status != 200;
			reply_fini(&reply);
		}
	}
	*(size_t *)context = failures;
	return context;
}

static void *change(void *context)
{
	size_t failures = 0;

	for (size_t i = 0; i < ROUNDS; i++) {
		struct reply reply = post("/api/programs/connection/enable", "");

		failures += reply.status != 200 && reply.status != 429;
		reply_fini(&reply);
	}
	*(size_t *)context = failures;
	return context;
}

static void test_everybody_at_once(void **state)
{
	pthread_t threads[CLIENTS + 1];
	size_t failures[CLIENTS + 1];
	REPLY events = { 0 };

	(void)state;
	for (size_t i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, &failures[i]), 0);
	assert_int_equal(pthread_create(&threads[CLIENTS], NULL, change, &failures[CLIENTS]), 0);
	for (uint32_t i = 0; i < EVENTS; i++) {
		produce_connection(fixture_epoch() + i, i % 10, i % 2 ? "curl" : "sshd", 443);
		if (i % 3 == 0)
			produce_drop(fixture_epoch() + i, i % 10, "nc", 3);
		tell_program(PROGRAM_FAILED_ONE, "broken", PROGRAM_FAILED, i % 2 ? "one" : "other");
	}
	for (size_t i = 0; i <= CLIENTS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(failures[i], 0);
	}
	events = get("/api/events?type=connection");
	assert_int_equal(reply_integer(&events, "total_count"), EVENTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everybody_at_once),
	};

	return cmocka_run_group_tests(tests, api_fixture_setup, api_fixture_teardown);
}
