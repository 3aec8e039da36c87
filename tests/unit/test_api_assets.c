/* SPDX-License-Identifier: MIT */
/* Web pages: forms, caching, headers, paths. The table is this test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/assets.h"
#include "api_fixture.h"

#define ROW "again and again and "
#define ROWS ROW ROW ROW ROW ROW ROW ROW ROW
/* Long enough for the server to compress it, if it did. */
#define PAGE "<!doctype html><title>the same again</title>" ROWS ROWS ROWS ROWS ROWS ROWS ROWS ROWS

/* PAGE, by gzip. */
static const uint8_t page_gzip[] = { 0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff,
				     0xb3, 0x51, 0x4c, 0xc9, 0x4f, 0x2e, 0xa9, 0x2c, 0x48, 0x55,
				     0xc8, 0x28, 0xc9, 0xcd, 0xb1, 0xb3, 0x29, 0xc9, 0x2c, 0xc9,
				     0x49, 0xb5, 0x2b, 0xc9, 0x48, 0x55, 0x28, 0x4e, 0xcc, 0x4d,
				     0x55, 0x48, 0x4c, 0x4f, 0xcc, 0xcc, 0xb3, 0xd1, 0x87, 0x88,
				     0x82, 0x39, 0x0a, 0x89, 0x79, 0x29, 0x0a, 0xa3, 0xac, 0x51,
				     0xd6, 0x28, 0x6b, 0x94, 0x35, 0xb2, 0x58, 0x00, 0x06, 0xab,
				     0x57, 0xed, 0x2c, 0x05, 0x00, 0x00 };
static const uint8_t page_brotli[] = { 'n', 'o', 't', ' ', 'l', 'o', 'o', 'k', 'e', 'd' };
static const uint8_t font[] = { 'w', 'O', 'F', '2', 0, 1, 2, 3 };

const struct asset assets[] = {
	{ .site = "ui",
	  .name = "",
	  .media_type = "text/html; charset=utf-8",
	  .etag = "\"1234\"",
	  .size = sizeof(PAGE) - 1,
	  .gzip = { page_gzip, sizeof(page_gzip) },
	  .brotli = { page_brotli, sizeof(page_brotli) } },
	{ .site = "ui",
	  .name = "live",
	  .media_type = "text/html; charset=utf-8",
	  .etag = "\"1234\"",
	  .size = sizeof(PAGE) - 1,
	  .gzip = { page_gzip, sizeof(page_gzip) } },
	{ .site = "ui",
	  .name = "font-1.woff2",
	  .media_type = "font/woff2",
	  .immutable = true,
	  .etag = "\"5678\"",
	  .size = sizeof(font),
	  .plain = { font, sizeof(font) } },
	{ .site = "ui",
	  .name = "broken.js",
	  .media_type = "text/javascript; charset=utf-8",
	  .etag = "\"9\"",
	  .size = sizeof(PAGE),
	  .gzip = { page_gzip, sizeof(page_gzip) } },
	{ .site = "docs",
	  .name = "",
	  .media_type = "text/html; charset=utf-8",
	  .etag = "\"90ab\"",
	  .size = sizeof(PAGE) - 1,
	  .gzip = { page_gzip, sizeof(page_gzip) } },
};
const size_t asset_count = sizeof(assets) / sizeof(assets[0]);

static void assert_header(const struct reply *reply, const char *name, const char *value)
{
	const char *found = reply_header(reply, name);

	if (value)
		assert_non_null(found);
	else
		assert_null(found);
	if (value)
		assert_string_equal(found, value);
}

static void assert_body(const struct reply *reply, const void *bytes, size_t size)
{
	assert_status(reply, 200);
	assert_int_equal(reply->length, size);
	assert_memory_equal(reply->body, bytes, size);
}

static void test_forms(void **state)
{
	static const struct {
		const char *path, *accept, *coding;
		const void *bytes;
		size_t size;
	} cases[] = {
		{ "/ui/", "", NULL, PAGE, sizeof(PAGE) - 1 },
		{ "/ui/", "Accept-Encoding: identity\r\n", NULL, PAGE, sizeof(PAGE) - 1 },
		{ "/ui/", "Accept-Encoding: gzip\r\n", "gzip", page_gzip, sizeof(page_gzip) },
		{ "/ui/", "Accept-Encoding: gzip, br\r\n", "br", page_brotli, sizeof(page_brotli) },
		{ "/ui/", "Accept-Encoding: gzip, br;q=0\r\n", "gzip", page_gzip,
		  sizeof(page_gzip) },
		{ "/ui/live", "Accept-Encoding: br\r\n", NULL, PAGE, sizeof(PAGE) - 1 },
		{ "/ui/live?type=connection&nosuch=1", "Accept-Encoding: br, gzip\r\n", "gzip",
		  page_gzip, sizeof(page_gzip) },
		{ "/ui/font-1.woff2", "Accept-Encoding: gzip, br\r\n", NULL, font, sizeof(font) },
		{ "/docs/", "", NULL, PAGE, sizeof(PAGE) - 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		REPLY reply = request("GET", cases[i].path, cases[i].accept, NULL);

		assert_body(&reply, cases[i].bytes, cases[i].size);
		assert_header(&reply, "Content-Encoding", cases[i].coding);
		assert_header(&reply, "Vary", "Accept-Encoding");
		assert_null(strstr(strstr(reply.head, "Vary: ") + 1, "Vary: "));
	}
}

static void test_head(void **state)
{
	REPLY reply = request("HEAD", "/ui/", "Accept-Encoding: gzip\r\n", NULL);
	char length[24];

	(void)state;
	snprintf(length, sizeof(length), "%zu", sizeof(page_gzip));
	assert_status(&reply, 200);
	assert_int_equal(reply.length, 0);
	assert_header(&reply, "Content-Length", length);
	assert_header(&reply, "Content-Type", "text/html; charset=utf-8");
}

static void test_caching(void **state)
{
	REPLY page = get("/ui/");
	REPLY file = get("/ui/font-1.woff2");

	(void)state;
	assert_header(&page, "Cache-Control", "no-cache");
	assert_header(&page, "ETag", "W/\"1234\"");
	assert_header(&file, "Cache-Control", "public, max-age=31536000, immutable");
	assert_header(&file, "ETag", "W/\"5678\"");
}

static void test_not_modified(void **state)
{
	static const struct {
		const char *tags;
		int status;
	} cases[] = {
		{ "W/\"1234\"", 304 }, { "\"1234\"", 304 },  { "\"0\", W/\"1234\" , \"2\"", 304 },
		{ "*", 304 },	       { "\"123\"", 200 },   { "\"12345\"", 200 },
		{ "1234", 200 },       { "\"1234\"x", 200 }, { "", 200 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char header[128];

		snprintf(header, sizeof(header), "If-None-Match: %s\r\n", cases[i].tags);
		REPLY reply = request("GET", "/ui/", header, NULL);

		assert_status(&reply, cases[i].status);
		assert_header(&reply, "ETag", "W/\"1234\"");
		if (cases[i].status == 304)
			assert_int_equal(reply.length, 0);
	}
}

static void test_policy(void **state)
{
	static const char *const needed[] = {
		"default-src 'none'", "script-src 'self'",	"style-src 'self'",
		"connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
	};
	static const char *const pages[] = { "/ui/", "/docs/" };
	const char *policy;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		REPLY reply = get(pages[i]);

		policy = reply_header(&reply, "Content-Security-Policy");
		assert_non_null(policy);
		for (size_t j = 0; j < sizeof(needed) / sizeof(needed[0]); j++)
			assert_non_null(strstr(policy, needed[j]));
		assert_null(strstr(policy, "unsafe"));
		assert_null(strstr(policy, "http"));
		assert_header(&reply, "X-Content-Type-Options", "nosniff");
		assert_header(&reply, "Referrer-Policy", "no-referrer");
		assert_header(&reply, "X-Frame-Options", "DENY");
		assert_header(&reply, "Cross-Origin-Opener-Policy", "same-origin");
		assert_header(&reply, "Cross-Origin-Resource-Policy", "same-origin");
	}
	REPLY dashboard = get("/ui/live");

	assert_non_null(strstr(reply_header(&dashboard, "Content-Security-Policy"),
			       "require-trusted-types-for 'script'"));
}

static void test_paths(void **state)
{
	static const char *const missing[] = { "/ui/nosuch", "/ui/font-1.woff2x", "/docs/live",
					       "/ui/%2e%2e%2fetc", "/ui/index.html" };

	(void)state;
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		REPLY reply = get(missing[i]);

		assert_error(&reply, 404, "there is no page");
		assert_header(&reply, "Cache-Control", "no-store");
		assert_header(&reply, "ETag", NULL);
	}
	REPLY deeper = get("/ui/live/x");
	REPLY written = request("POST", "/ui/", "", "{}");
	REPLY metrics = raw_metrics("GET /ui/ HTTP/1.1\r\nHost: localhost\r\n"
				    "Connection: close\r\n\r\n");
	REPLY redirect = raw_metrics("GET /ui HTTP/1.1\r\nHost: localhost\r\n"
				     "Connection: close\r\n\r\n");

	assert_error(&deeper, 404, "there is nothing at");
	assert_error(&written, 405, "Only GET method is allowed");
	assert_status(&metrics, 404);
	assert_status(&redirect, 404);
}

/* What does not unpack to what it should is no page. */
static void test_broken_file(void **state)
{
	REPLY reply = get("/ui/broken.js");

	(void)state;
	assert_error(&reply, 500, "Invalid argument");
	assert_header(&reply, "Cache-Control", "no-store");
	assert_header(&reply, "ETag", NULL);
}

static void test_redirects(void **state)
{
	static const struct {
		const char *path, *accept;
		int status;
		const char *location;
	} cases[] = {
		{ "/ui", "", 308, "ui/" },
		{ "/docs", "", 308, "docs/" },
		{ "/", "", 200, NULL },
		{ "/", "Accept: */*\r\n", 200, NULL },
		{ "/", "Accept: application/json\r\n", 200, NULL },
		{ "/", "Accept: application/json, text/html\r\n", 200, NULL },
		{ "/", "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n", 303, "ui/" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		REPLY reply = request("GET", cases[i].path, cases[i].accept, NULL);

		assert_status(&reply, cases[i].status);
		assert_header(&reply, "Location", cases[i].location);
		if (cases[i].status != 200)
			assert_header(&reply, "Content-Type", NULL);
	}
	REPLY root = get("/");

	assert_header(&root, "Vary", "Accept");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),	    cmocka_unit_test(test_head),
		cmocka_unit_test(test_caching),	    cmocka_unit_test(test_not_modified),
		cmocka_unit_test(test_policy),	    cmocka_unit_test(test_paths),
		cmocka_unit_test(test_broken_file), cmocka_unit_test(test_redirects),
	};

	return cmocka_run_group_tests(tests, api_fixture_setup, api_fixture_teardown);
}
