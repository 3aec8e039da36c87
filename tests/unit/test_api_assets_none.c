/* SPDX-License-Identifier: MIT */
/* A server that was built without its web pages says so, and everything else is as ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/assets.h"
#include "api_fixture.h"

const struct asset assets[1] = { { .site = "" } };
const size_t asset_count = 0;

static void test_pages_are_missing(void **state)
{
	static const char *const paths[] = { "/ui/", "/ui/live", "/docs/" };

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		REPLY reply = get(paths[i]);

		assert_error(&reply, 404, "built without its web pages");
		assert_error(&reply, 404, "make deps");
	}
}

static void test_browsers_get_the_information(void **state)
{
	REPLY reply = request("GET", "/", "Accept: text/html\r\n", NULL);

	(void)state;
	assert_status(&reply, 200);
	assert_string_equal(reply_text(&reply, "service"), "ebpf-server");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages_are_missing),
		cmocka_unit_test(test_browsers_get_the_information),
	};

	return cmocka_run_group_tests(tests, api_fixture_setup, api_fixture_teardown);
}
