/* SPDX-License-Identifier: MIT */
/* HTTP itself: methods, paths, hosts, bodies, compression. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "api_fixture.h"

#define JSON "Content-Type: application/json\r\n"

static void test_information(void **state)
{
	REPLY reply = get("/");

	(void)state;
	assert_status(&reply, 200);
	assert_string_equal(reply_text(&reply, "service"), "ebpf-server");
	assert_string_equal(reply_text(&reply, "version"), "1.2.3");
	assert_true(json_array_size(reply_array(&reply, "endpoints")) > 15);
}

static void test_methods(void **state)
{
	static const struct {
		const char *method, *target, *allow, *message;
	} cases[] = {
		{ "POST", "/api/events", "GET, HEAD, OPTIONS", "Only GET method is allowed" },
		{ "DELETE", "/api/events", "GET, HEAD, OPTIONS", "Only GET method is allowed" },
		{ "TRACE", "/health", "GET, HEAD, OPTIONS", "Only GET method is allowed" },
		{ "BREW", "/", "GET, HEAD, OPTIONS", "Only GET method is allowed" },
		{ "get", "/", "GET, HEAD, OPTIONS", "Only GET method is allowed" },
		{ "PUT", "/api/programs/x", "GET, HEAD, PATCH, OPTIONS",
		  "Only GET and PATCH methods are allowed" },
		{ "GET", "/api/programs/x/disable", "POST, OPTIONS",
		  "Only POST method is allowed" },
		{ "HEAD", "/api/programs/x/disable", "POST, OPTIONS", NULL },
		{ "PUT", "/api/list-connections", "GET, HEAD, POST, OPTIONS",
		  "Only GET and POST methods are allowed" },
		{ "PUT", "/api/packet-drop-summary", "GET, HEAD, POST, OPTIONS",
		  "Only POST method is allowed" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		REPLY reply = request(cases[i].method, cases[i].target, "", NULL);
		REPLY options = request("OPTIONS", cases[i].target, "", NULL);

		if (cases[i].message)
			assert_error(&reply, 405, cases[i].message);
		assert_status(&reply, 405);
		assert_string_equal(reply_header(&reply, "Allow"), cases[i].allow);
		assert_status(&options, 204);
		assert_int_equal(options.length, 0);
		assert_string_equal(reply_header(&options, "Allow"), cases[i].allow);
	}
}

static void test_options_of_everything(void **state)
{
	REPLY reply = request("OPTIONS", "*", "", NULL);
	REPLY missing = request("OPTIONS", "/nothing", "", NULL);

	(void)state;
	assert_status(&reply, 204);
	assert_string_equal(reply_header(&reply, "Allow"), "GET, HEAD, POST, PATCH, OPTIONS");
	assert_error(&missing, 404, "/nothing");
}

static void test_head(void **state)
{
	static const char *const targets[] = { "/api/schema", "/api/programs?x=1", "/nothing" };

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		REPLY whole = get(targets[i]);
		REPLY head = request("HEAD", targets[i], "", NULL);
		char length[32];

		assert_status(&head, whole.status);
		assert_int_equal(head.length, 0);
		snprintf(length, sizeof(length), "%zu", whole.length);
		/* query_time's width does not vary. */
		assert_string_equal(reply_header(&head, "Content-Length"), length);
		assert_string_equal(reply_header(&head, "Content-Type"), "application/json");
	}
}

static void test_paths(void **state)
{
	static const struct {
		const char *target;
		int status;
	} cases[] = {
		{ "/api/%65vents", 200 },
		{ "/api%2Fevents", 404 },
		{ "/api/events/", 404 },
		{ "//api/events", 404 },
		{ "/api/./events", 404 },
		{ "/API/events", 404 },
		{ "/a/b/c/d/e/f/g/h/i/j", 404 },
		{ "/metrics", 200 },
		{ "/metrics/", 404 },
		{ "/api/%", 400 },
		{ "/api/%0", 400 },
		{ "/api/%00", 400 },
		{ "/api/%zz", 400 },
		{ "/api/\xff", 404 },
		{ "/api/programs/%ff%fe", 404 },
		{ "http://localhost/health", 200 },
		{ "http://localhost", 200 },
		{ "http://localhost?x=1", 400 },
		{ "health", 404 },
		{ "health?http://x/health", 404 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		REPLY reply = get(cases[i].target);

		if (reply.status != cases[i].status)
			fail_msg("%s: %d instead of %d", cases[i].target, reply.status,
				 cases[i].status);
		if (reply.status >= 400)
			assert_error(&reply, cases[i].status, "");
	}
}

static void test_nothing_is_ignored(void **state)
{
	static const char *const targets[] = { "/health?x=1",	    "/?x",
					       "/api/programs?a=b", "/openapi.json?v=3",
					       "/liveness?x=1",	    "/api/schema?type=x" };
	REPLY body = request("GET", "/api/events", JSON, "{\"limit\":1}");
	REPLY blank = request("GET", "/api/events", "", " \r\n");

	(void)state;
	assert_error(&body, 400, "takes no body");
	assert_status(&blank, 200);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		REPLY reply = get(targets[i]);

		assert_error(&reply, 400, "parameter");
	}
}

static void test_hosts(void **state)
{
	static const struct {
		const char *host;
		int status;
	} cases[] = {
		{ "localhost", 200 },
		{ "LOCALHOST:8080", 200 },
		{ "localhost.", 200 },
		{ "dev.localhost:1", 200 },
		{ "127.0.0.1", 200 },
		{ "127.1.2.3:80", 200 },
		{ "[::1]", 200 },
		{ "[::1]:8080", 200 },
		{ "[::ffff:127.0.0.1]", 200 },
		{ "evil.example", 403 },
		{ "localhost.evil.example", 403 },
		{ "evillocalhost", 403 },
		{ "10.0.0.1", 403 },
		{ "127.0.0.1.evil.example", 403 },
		{ "[::2]", 403 },
		{ "[::1", 403 },
		{ "[::1]x", 403 },
		{ "127.0.0.1@evil.example", 403 },
		{ "\xff\xfe", 403 },
		{ "\"<script>", 403 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[300];
		REPLY api = { 0 }, metrics = { 0 };

		snprintf(text, sizeof(text),
			 "GET /health HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
			 cases[i].host);
		api = raw(text);
		metrics = raw_metrics(text);
		if (api.status != cases[i].status)
			fail_msg("%s: %d", cases[i].host, api.status);
		assert_status(&metrics, cases[i].status);
		if (api.status == 403)
			assert_error(&api, 403, "is not this machine's loopback");
	}
	{
		/* HTTP/1.0 needs no Host. */
		REPLY old = raw("GET /health HTTP/1.0\r\n\r\n");

		assert_status(&old, 200);
	}
}

static void test_media_types(void **state)
{
	static const struct {
		const char *header;
		int status;
	} cases[] = {
		{ "", 200 },
		{ "Content-Type: application/json\r\n", 200 },
		{ "Content-Type: Application/JSON; charset=utf-8\r\n", 200 },
		{ "Content-Type: application/vnd.x+json\r\n", 200 },
		{ "Content-Type: text/json\r\n", 200 },
		{ "Content-Type: text/plain\r\n", 415 },
		{ "Content-Type: application/x-www-form-urlencoded\r\n", 200 },
		{ "Content-Type: application/x-www-form-urlencode\r\n", 415 },
		{ "Content-Type: multipart/form-data; boundary=x\r\n", 415 },
		{ "Content-Type: application/jsonp\r\n", 415 },
		{ "Content-Type: json\r\n", 415 },
		{ "Content-Type: +json\r\n", 415 },
		{ "Content-Type: ;\r\n", 415 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		REPLY reply = request("POST", "/api/list-connections", cases[i].header, "{}");

		if (reply.status != cases[i].status)
			fail_msg("%s: %d", cases[i].header, reply.status);
		if (reply.status == 415)
			assert_error(&reply, 415, "application/json");
	}
}

static char *body_of(size_t length)
{
	char *body = malloc(length + 1);

	assert_non_null(body);
	memset(body, ' ', length);
	memcpy(body, "{}", 2);
	body[length] = '\0';
	return body;
}

static void test_large_bodies(void **state)
{
	static const struct {
		size_t length;
		int status;
	} cases[] = {
		{ 65536, 200 },
		{ 65537, 413 },
		{ 1 << 20, 413 },
	};
	REPLY declared = raw("POST /api/list-connections HTTP/1.1\r\nHost: localhost\r\n"
			     "Content-Length: 99999999999\r\n\r\n{}");
	REPLY expected = raw("POST /api/list-connections HTTP/1.1\r\nHost: localhost\r\n"
			     "Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n");

	(void)state;
	assert_error(&declared, 413, "the body is larger than 65536 bytes");
	assert_error(&expected, 413, "the body is larger than 65536 bytes");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *body = body_of(cases[i].length);
		REPLY reply = request("POST", "/api/list-connections", JSON, body);

		free(body);
		assert_status(&reply, cases[i].status);
	}
}

static void test_chunked_body(void **state)
{
	REPLY reply = raw("POST /api/list-connections HTTP/1.1\r\nHost: localhost\r\n"
			  "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
			  "4\r\n{\"pi\r\n6\r\nd\":42}\r\n0\r\n\r\n");

	(void)state;
	assert_status(&reply, 200);
	assert_string_equal(reply_text(&reply, "message"), "Found 0 connections for PID 42");
}

/* Two questions on one connection, sent at once. */
static void test_pipelining(void **state)
{
	REPLY reply =
		raw("GET /liveness HTTP/1.1\r\nHost: localhost\r\n\r\n"
		    "GET /readiness HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");

	(void)state;
	assert_status(&reply, 200);
	assert_non_null(strstr(reply.body, "OK"));
	assert_non_null(strstr(reply.body, "HTTP/1.1 200"));
	assert_non_null(strstr(reply.body, "Ready"));
}

static void unpack(const struct reply *reply, char *text, size_t size)
{
	z_stream stream = { .zalloc = NULL };

	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	stream.next_in = (Bytef *)reply->body;
	stream.avail_in = (uInt)reply->length;
	stream.next_out = (Bytef *)text;
	stream.avail_out = (uInt)size - 1;
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	text[stream.total_out] = '\0';
	inflateEnd(&stream);
}

static void test_compression(void **state)
{
	static const struct {
		const char *header;
		bool gzip;
	} cases[] = {
		{ "", false },
		{ "Accept-Encoding: gzip\r\n", true },
		{ "Accept-Encoding: deflate, GZIP;q=0.5, br\r\n", true },
		{ "Accept-Encoding: x-gzip\r\n", true },
		{ "Accept-Encoding: *\r\n", true },
		{ "Accept-Encoding: gzip;q=0\r\n", false },
		{ "Accept-Encoding: *, gzip; q=0.00\r\n", false },
		{ "Accept-Encoding: br, *;q=0\r\n", false },
		{ "Accept-Encoding: gzipped\r\n", false },
		{ "Accept-Encoding: ,;,=;q\r\n", false },
	};
	static char text[1 << 20];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		REPLY reply = request("GET", "/openapi.json", cases[i].header, NULL);
		REPLY small = request("GET", "/liveness", cases[i].header, NULL);
		json_t *value;

		assert_status(&reply, 200);
		assert_string_equal(reply_header(&reply, "Vary"), "Accept-Encoding");
		assert_null(reply_header(&small, "Content-Encoding"));
		if (!cases[i].gzip) {
			assert_null(reply_header(&reply, "Content-Encoding"));
			continue;
		}
		if (!reply_header(&reply, "Content-Encoding"))
			fail_msg("not compressed: %s", cases[i].header);
		assert_string_equal(reply_header(&reply, "Content-Encoding"), "gzip");
		unpack(&reply, text, sizeof(text));
		value = json_loads(text, 0, NULL);
		assert_non_null(value);
		json_decref(value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_information),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_options_of_everything),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_nothing_is_ignored),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_media_types),
		cmocka_unit_test(test_large_bodies),
		cmocka_unit_test(test_chunked_body),
		cmocka_unit_test(test_pipelining),
		cmocka_unit_test(test_compression),
	};

	return cmocka_run_group_tests(tests, api_fixture_setup, api_fixture_teardown);
}
