/* SPDX-License-Identifier: MIT */
/* What clients do wrong: answered or refused, and the server lives on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fixture.h"

static void test_broken_requests(void **state)
{
	static const char *const texts[] = {
		"",
		"\r\n\r\n",
		"GET\r\n\r\n",
		"GET \r\n\r\n",
		"GET / HTTP/9.9\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET /health HTTP/1.1\r\nHost\r\n\r\n",
		"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
		"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1x\r\n\r\n",
		"POST /api/list-connections HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
		"99999999999999999999999999\r\n\r\n",
		"POST /api/list-connections HTTP/1.1\r\nHost: localhost\r\n"
		"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		"POST /api/list-connections HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"\x16\x03\x01\x02\x01\x01\xfc\x03\x03",
		"GET /\x01\x02 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *text;
		REPLY reply = { 0 };

		/* The end of the request is the end of what is sent. */
		assert_true(asprintf(&text, "%s%s", texts[i],
				     "GET /liveness HTTP/1.1\r\nHost: localhost\r\n"
				     "Connection: close\r\n\r\n\r\n") > 0);
		reply = send_raw(text, strlen(text));
		free(text);
	}
	{
		REPLY alive = get("/liveness");

		assert_text(&alive, 200, "OK");
	}
}

static void test_long_requests(void **state)
{
	static const size_t lengths[] = { 600, 5000, 30000, 70000 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char *target = malloc(lengths[i] + 32);
		REPLY path = { 0 }, query = { 0 }, many = { 0 };
		size_t end;

		assert_non_null(target);
		memset(target, 'a', lengths[i]);
		target[0] = '/';
		target[lengths[i]] = '\0';
		path = get(target);
		assert_true(path.status == 404 || path.status == 414 || path.status == 431);
		memcpy(target, "/api/events?command=", 20);
		query = get(target);
		assert_true(query.status == 200 || query.status == 414 || query.status == 431);
		end = (size_t)sprintf(target, "/api/events?");
		for (size_t n = 0; end < lengths[i]; n++)
			end += (size_t)sprintf(target + end, "p%zu=1&", n);
		many = get(target);
		assert_true(many.status == 400 || many.status == 414 || many.status == 431);
		free(target);
	}
}

/* More headers, or cookies, than the library has room for. */
static void test_many_headers(void **state)
{
	static const char *const lines[] = { "H%d: 1\r\n", "Cookie: a=%d;b;c;d;e;f;g;h;i;j;k\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		for (int count = 10; count < 5000; count *= 5) {
			char *text = malloc(200000);
			size_t end;
			REPLY reply = { 0 };

			assert_non_null(text);
			end = (size_t)sprintf(text,
					      "GET /liveness?x HTTP/1.1\r\nHost: localhost\r\n"
					      "Connection: close\r\n");
			for (int n = 0; n < count; n++)
				end += (size_t)sprintf(text + end, lines[i], n);
			end += (size_t)sprintf(text + end, "\r\n");
			reply = send_raw(text, end);
			free(text);
			assert_true(reply.status == 400 || reply.status == 431 ||
				    reply.status == 0);
		}
	}
}

/* Any byte in any place of a request line: answered or refused, never the end. */
static void test_random_targets(void **state)
{
	uint32_t random = 12345;

	(void)state;
	for (int round = 0; round < 500; round++) {
		char text[256] = "GET /api/events?";
		size_t end = strlen(text);
		REPLY reply = { 0 };

		for (int i = 0; i < 40; i++) {
			static const char alphabet[] =
				"%%%&&==?+,.!*\\/0123abcdefpidtype\x80\xff\x01;";

			random = random * 1664525 + 1013904223;
			text[end++] = alphabet[(random >> 16) % (sizeof(alphabet) - 1)];
		}
		strcpy(text + end, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
		reply = raw(text);
		if (reply.status)
			assert_true(reply.status == 200 || reply.status == 400);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_broken_requests),
		cmocka_unit_test(test_long_requests),
		cmocka_unit_test(test_many_headers),
		cmocka_unit_test(test_random_targets),
	};

	return cmocka_run_group_tests(tests, api_fixture_setup, api_fixture_teardown);
}
