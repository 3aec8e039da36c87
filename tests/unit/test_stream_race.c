/* SPDX-License-Identifier: MIT */
/* Clients come, read, and go while events come in and the kernel loses some: nothing twice, and no
 * two threads at one thing. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "api_fixture.h"
#include "base/clock.h"

enum { FLEETING = 3, STAYING = 2, EVENTS = 3001 };

static atomic_bool over;

struct text {
	size_t length;
	char bytes[4 << 20];
};

static int dial(const char *query, const char *last_id)
{
	char request[512];
	int length = snprintf(request, sizeof(request),
			      "GET /api/events/stream%s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n",
			      query, last_id ? "Last-Event-ID: " : "", last_id ? last_id : "");
	int fd = api_client_dial();

	send(fd, request, (size_t)length, MSG_NOSIGNAL);
	return fd;
}

/* Comes again and again, reads a little, and leaves in the middle. */
static void *come_and_go(void *context)
{
	static const char *const queries[] = { "", "?pid=3", "?type=connection&command=c*" };
	size_t round = (size_t)(uintptr_t)context;
	char bytes[4096];

	while (!atomic_load(&over)) {
		int fd = dial(queries[round++ % 3], NULL);

		for (size_t i = 0; i < round % 5; i++) {
			if (recv(fd, bytes, sizeof(bytes), 0) <= 0)
				break;
		}
		close(fd);
	}
	return NULL;
}

/* Stays until it has the last event; is cut off now and then and comes back with the id it had. */
static void *stay(void *context)
{
	struct text *text = calloc(1, sizeof(*text));
	char id[40] = "";
	bool last = false;
	size_t round = 0, seen = 0;
	int fd = dial("?type=connection", NULL);

	*(size_t *)context = 0;
	while (!last) {
		ssize_t n = recv(fd, text->bytes + text->length,
				 sizeof(text->bytes) - 1 - text->length, 0);
		char *at, *next;

		if (n <= 0)
			break;
		text->length += (size_t)n;
		text->bytes[text->length] = '\0';
		for (at = text->bytes; (next = strstr(at, "\n\n")); at = next + 2) {
			*next = '\0';
			if (!strncmp(at, "id: ", 4)) {
				snprintf(id, sizeof(id), "%.35s\r\n", at + 4);
				seen += !strstr(at, "event: lost");
				last |= strstr(at, "\"last\"") != NULL;
			}
		}
		text->length -= (size_t)(at - text->bytes);
		memmove(text->bytes, at, text->length + 1);
		if (!last && id[0] && ++round % 7 == 0) {
			close(fd);
			text->length = 0;
			fd = dial("?type=connection", id);
		}
	}
	close(fd);
	free(text);
	*(size_t *)context = seen;
	return NULL;
}

static void test_everybody_at_once(void **state)
{
	pthread_t fleeting[FLEETING], staying[STAYING];
	size_t seen[STAYING];
	const uint64_t now = clock_boot_ns();
	REPLY metrics = { 0 };

	(void)state;
	for (size_t i = 0; i < STAYING; i++)
		assert_int_equal(pthread_create(&staying[i], NULL, stay, &seen[i]), 0);
	for (;;) { /* both are there before the first event */
		REPLY reply = get("/metrics");

		if (strstr(reply.body, "\nebpf_server_api_streams 2\n"))
			break;
	}
	for (size_t i = 0; i < FLEETING; i++)
		assert_int_equal(
			pthread_create(&fleeting[i], NULL, come_and_go, (void *)(uintptr_t)i), 0);
	for (uint32_t i = 0; i < EVENTS; i++) {
		REPLY health = { 0 };

		produce_connection(now + i - (i % 5 == 4 ? 3 : 0), i % 10,
				   i + 1 == EVENTS ? "last" : "curl", 443);
		if (i % 50 == 7) {
			produce_drop(now + i, i % 10, "nc", 3);
			lose_connections(1);
			health = get("/api/events?limit=1");
		}
	}
	for (size_t i = 0; i < STAYING; i++) {
		pthread_join(staying[i], NULL);
		assert_int_equal(seen[i], EVENTS);
	}
	atomic_store(&over, true);
	for (size_t i = 0; i < FLEETING; i++) {
		/* They may wait for an event, whatever they asked for. */
		while (pthread_tryjoin_np(fleeting[i], NULL)) {
			REPLY health = { 0 };

			produce_connection(now + EVENTS + i, 3, "curl", 443);
			health = get("/health");
		}
	}
	metrics = get("/metrics");
	assert_non_null(strstr(metrics.body, "\nebpf_server_api_stream_missed_events_total 0\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everybody_at_once),
	};

	return cmocka_run_group_tests(tests, api_fixture_setup, api_fixture_teardown);
}
