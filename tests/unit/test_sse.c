/* SPDX-License-Identifier: MIT */
/* Frames as the standard wants them, whatever the text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sse.h"

static void assert_frame(const char *id, const char *event, const char *data, size_t length,
			 const char *expected)
{
	BUFFER out = BUFFER_INIT;

	sse_begin(&out, id, event);
	sse_data(&out, data, length);
	sse_end(&out);
	assert_int_equal(out.length, strlen(expected));
	assert_memory_equal(out.data, expected, out.length);
}

static void test_frames(void **state)
{
	(void)state;
	assert_frame("7", NULL, "{}", 2, "id: 7\ndata: {}\n\n");
	assert_frame(NULL, "lost", "1", 1, "event: lost\ndata: 1\n\n");
	assert_frame(NULL, NULL, "", 0, "data: \n\n");
}

static void test_lines(void **state)
{
	(void)state;
	assert_frame(NULL, NULL, "a\nb", 3, "data: a\ndata: b\n\n");
	assert_frame(NULL, NULL, "a\r\nb\rc", 6, "data: a\ndata: b\ndata: c\n\n");
	assert_frame(NULL, NULL, "\n\n", 2, "data: \ndata: \ndata: \n\n");
	assert_frame(NULL, NULL, "a\r", 2, "data: a\ndata: \n\n");
}

/* What is no data cannot begin another field. */
static void test_heads_are_one_line(void **state)
{
	(void)state;
	assert_frame("1\ndata: x", "e\r\n\r\n", "y", 1, "id: 1\nevent: e\ndata: y\n\n");
}

static void test_data_in_place(void **state)
{
	BUFFER out = BUFFER_INIT;

	(void)state;
	sse_retry(&out, 1000);
	sse_begin(&out, "a", NULL);
	sse_data_begin(&out);
	buffer_append_string(&out, "[]");
	sse_data_end(&out);
	sse_end(&out);
	assert_string_equal((buffer_append_char(&out, '\0'), out.data),
			    "retry: 1000\n\nid: a\ndata: []\n\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_heads_are_one_line),
		cmocka_unit_test(test_data_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
