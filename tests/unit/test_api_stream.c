/* SPDX-License-Identifier: MIT */
/* GET /api/events/stream over sockets: heads, refusals, clients that come and go. */
#include <poll.h>
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

/* A stream that is being read. */
struct stream {
	int fd;
	size_t length;
	char text[1 << 20];
};

static struct stream streams[3];

static void open_stream(struct stream *stream, const char *query, const char *headers)
{
	char text[1024];
	int length = snprintf(text, sizeof(text),
			      "GET /api/events/stream%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
			      query, headers);

	stream->length = 0;
	stream->text[0] = '\0';
	stream->fd = api_client_dial();
	assert_int_equal(send(stream->fd, text, (size_t)length, MSG_NOSIGNAL), length);
}

/* Reads until the text is there; false at the end of the stream. */
static bool read_until(struct stream *stream, const char *text)
{
	while (!strstr(stream->text, text)) {
		ssize_t n;

		assert_true(stream->length + 1 < sizeof(stream->text));
		n = recv(stream->fd, stream->text + stream->length,
			 sizeof(stream->text) - 1 - stream->length, 0);
		if (n < 0)
			fail_msg("no \"%s\" in %s", text, stream->text);
		if (!n)
			return false;
		stream->length += (size_t)n;
		stream->text[stream->length] = '\0';
	}
	return true;
}

static void assert_has(const struct stream *stream, const char *text)
{
	if (!strstr(stream->text, text))
		fail_msg("no \"%s\" in %s", text, stream->text);
}

static size_t count_events(const struct stream *stream)
{
	size_t count = 0;

	for (const char *at = stream->text; (at = strstr(at, "\ndata: {\"id\"")); at++)
		count++;
	return count;
}

static uint64_t open_streams(void)
{
	REPLY metrics = get("/metrics");
	const char *line = strstr(metrics.body, "\nebpf_server_api_streams ");

	assert_non_null(line);
	return strtoull(strchr(line + 1, ' '), NULL, 10);
}

static void await_open_streams(uint64_t count)
{
	const uint64_t deadline = clock_boot_ns() + 10 * NS_PER_SECOND;

	while (open_streams() != count)
		assert_true(clock_boot_ns() < deadline);
}

static void test_heads(void **state)
{
	static const char *const headers[] = {
		"HTTP/1.1 200 OK\r\n",
		"\r\nContent-Type: text/event-stream\r\n",
		"\r\nCache-Control: no-store\r\n",
		"\r\nX-Accel-Buffering: no\r\n",
		"\r\nX-Content-Type-Options: nosniff\r\n",
		"\r\nConnection: close\r\n",
		"\r\nDate: ",
	};
	REPLY head = { 0 };

	(void)state;
	open_stream(&streams[0], "", "Accept-Encoding: gzip\r\n");
	assert_true(read_until(&streams[0], "\r\n\r\nretry: 1000\n\n"));
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		assert_has(&streams[0], headers[i]);
	assert_null(strstr(streams[0].text, "Content-Encoding"));
	close(streams[0].fd);
	head = request("HEAD", "/api/events/stream", "", NULL);
	assert_status(&head, 200);
	assert_string_equal(reply_header(&head, "Content-Type"), "text/event-stream");
	assert_string_equal(reply_header(&head, "X-Accel-Buffering"), "no");
	assert_int_equal(head.length, 0);
	await_open_streams(0);
}

static void test_events(void **state)
{
	const uint64_t now = clock_boot_ns();
	char again[256];

	(void)state;
	produce_connection(now, 1, "before", 1);
	open_stream(&streams[0], "", "");
	open_stream(&streams[1], "?destination_port=440..449&command=c*", "");
	open_stream(&streams[2], "?type=packet_drop&int64=string", "");
	for (size_t i = 0; i < 3; i++)
		assert_true(read_until(&streams[i], "retry: 1000\n\n"));
	for (uint32_t i = 0; i < 31; i++)
		produce_connection(now + 1 + i, 7, i % 2 ? "curl" : "sshd", (uint16_t)(430 + i));
	produce_drop(now + 100, 7, "nc", 3);
	produce_connection(now + 101, 8, "last", 445);
	produce_connection(now + 102, 8, "c-last", 445);
	assert_true(read_until(&streams[0], "c-last"));
	assert_true(read_until(&streams[1], "c-last"));
	assert_true(read_until(&streams[2], "packet_drop"));
	assert_int_equal(count_events(&streams[0]), 31 + 3);
	assert_int_equal(count_events(&streams[1]), 5 + 1);
	assert_int_equal(count_events(&streams[2]), 1);
	assert_has(&streams[2], "\"cgroup_id\":\"1\"");
	assert_null(strstr(streams[0].text, "\"before\""));

	/* Back with the id of the fifth but last, in a header that goes before the parameter. */
	snprintf(again, sizeof(again), "%.35s", strstr(streams[1].text, "id: ") + 4);
	close(streams[1].fd);
	char header[300];
	snprintf(header, sizeof(header), "last-event-id: %s\r\n", again);
	open_stream(
		&streams[1],
		"?destination_port=440..449&command=c*&after=00000001-000000000000000-0000000000",
		header);
	assert_true(read_until(&streams[1], "c-last"));
	assert_int_equal(count_events(&streams[1]), 5);
	assert_null(strstr(streams[1].text, again));
	for (size_t i = 0; i < 3; i++)
		close(streams[i].fd);
	await_open_streams(0);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *target, *headers;
		int status;
		const char *message;
	} cases[] = {
		{ "?nosuch=1", "", 400, "nosuch" },
		{ "?limit=1", "", 400, "limit" },
		{ "?since=-5m", "", 400, "since" },
		{ "?type=nosuch", "", 400, "nosuch" },
		{ "?int64=yes", "", 400, "int64" },
		{ "?pid=x", "", 400, "pid" },
		{ "?pid=1&pid=2", "", 400, "pid" },
		{ "?after=1", "", 400, "after" },
		{ "", "Last-Event-ID: 1\r\n", 400, "Last-Event-ID" },
		{ "", "Last-Event-ID: 00000001-000000000000000-0000000000x\r\n", 400,
		  "Last-Event-ID" },
		{ "", "Host: elsewhere\r\n", 400, NULL },
	};

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(cases) / sizeof(cases[0]); i++) {
		char target[128];
		REPLY reply = { 0 };

		snprintf(target, sizeof(target), "/api/events/stream%s", cases[i].target);
		reply = request("GET", target, cases[i].headers, NULL);
		assert_error(&reply, cases[i].status, cases[i].message);
	}
	REPLY posted = post("/api/events/stream", "{}");
	assert_error(&posted, 405, "Only GET");
	await_open_streams(0);
}

/* An empty id is none. */
static void test_an_empty_id(void **state)
{
	(void)state;
	open_stream(&streams[0], "?command=empty", "Last-Event-ID: \r\n");
	assert_true(read_until(&streams[0], "retry: 1000\n\n"));
	produce_connection(clock_boot_ns(), 9, "empty", 9);
	assert_true(read_until(&streams[0], "\"empty\""));
	assert_int_equal(count_events(&streams[0]), 1);
	close(streams[0].fd);
	await_open_streams(0);
}

/* A client that will say nothing more still listens. */
static void test_half_closed(void **state)
{
	(void)state;
	open_stream(&streams[0], "", "");
	assert_true(read_until(&streams[0], "retry: 1000\n\n"));
	assert_int_equal(shutdown(streams[0].fd, SHUT_WR), 0);
	assert_true(read_until(&streams[0], ": keep-alive\n\n"));
	produce_connection(clock_boot_ns(), 9, "listening", 9);
	assert_true(read_until(&streams[0], "\"listening\""));
	assert_int_equal(open_streams(), 1);
	/* It cannot say that it goes; what is sent to it then is refused. */
	close(streams[0].fd);
	produce_connection(clock_boot_ns(), 9, "gone", 9);
	await_open_streams(0);
}

/* It is noticed without an event. */
static void test_gone(void **state)
{
	(void)state;
	open_stream(&streams[0], "", "");
	assert_true(read_until(&streams[0], "retry: 1000\n\n"));
	close(streams[0].fd);
	await_open_streams(0);
}

/* HTTP/1.0, and a request that comes behind: the stream is the connection's last answer. */
static void test_other_clients(void **state)
{
	static const char text[] = "GET /api/events/stream?command=old HTTP/1.0\r\n\r\n";
	static const char two[] =
		"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
		"GET /api/events/stream?command=old HTTP/1.1\r\nHost: localhost\r\n\r\n"
		"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

	(void)state;
	open_stream(&streams[0], "", "");
	close(streams[0].fd);
	for (size_t i = 0; i < 2; i++) {
		streams[i].length = 0;
		streams[i].text[0] = '\0';
		streams[i].fd = api_client_dial();
		send(streams[i].fd, i ? two : text, strlen(i ? two : text), MSG_NOSIGNAL);
		assert_true(read_until(&streams[i], "retry: 1000\n\n"));
	}
	produce_connection(clock_boot_ns(), 9, "old", 9);
	for (size_t i = 0; i < 2; i++) {
		assert_true(read_until(&streams[i], "\"old\""));
		assert_int_equal(count_events(&streams[i]), 1);
		close(streams[i].fd);
	}
	await_open_streams(0);
}

/* A client that reads nothing costs nobody else a thing, and does not hold up the end. */
static void test_the_end(void **state)
{
	const uint64_t now = clock_boot_ns();
	uint64_t begin;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		open_stream(&streams[i], "", "");
	assert_true(read_until(&streams[0], "retry: 1000\n\n"));
	for (uint32_t i = 0; i < 1009; i++)
		produce_connection(now + i, 7, i == 1008 ? "final" : "curl", 80);
	assert_true(read_until(&streams[0], "\"final\""));
	assert_int_equal(count_events(&streams[0]), 1009);
	begin = clock_boot_ns();
	api_fixture_teardown(NULL);
	assert_true(clock_boot_ns() - begin < 5 * NS_PER_SECOND);
	assert_false(read_until(&streams[0], "never"));
	for (size_t i = 0; i < 3; i++)
		close(streams[i].fd);
	api_fixture_setup(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),	      cmocka_unit_test(test_events),
		cmocka_unit_test(test_refusals),      cmocka_unit_test(test_an_empty_id),
		cmocka_unit_test(test_half_closed),   cmocka_unit_test(test_gone),
		cmocka_unit_test(test_other_clients), cmocka_unit_test(test_the_end),
	};

	return cmocka_run_group_tests(tests, api_fixture_setup, api_fixture_teardown);
}
