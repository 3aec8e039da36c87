/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

/* Lengths round every power of ten and of two, and both ends. */
static const uint64_t interesting_numbers[] = {
	0,
	1,
	9,
	10,
	11,
	99,
	100,
	101,
	255,
	256,
	999,
	1000,
	4095,
	4096,
	9999,
	10000,
	65535,
	65536,
	99999,
	100000,
	999999,
	1000000,
	16777215,
	16777216,
	99999999,
	100000000,
	999999999,
	1000000000,
	4294967295,
	4294967296,
	9999999999,
	10000000000,
	999999999999,
	1000000000000,
	9007199254740993,
	999999999999999999ULL,
	1000000000000000000ULL,
	9223372036854775807ULL,
	9223372036854775808ULL,
	9999999999999999999ULL,
	10000000000000000000ULL,
	18446744073709551614ULL,
	18446744073709551615ULL,
};

static void assert_text(const struct buffer *buffer, const char *expected)
{
	assert_int_equal(buffer->length, strlen(expected));
	assert_memory_equal(buffer->data, expected, strlen(expected));
}

static void test_append(void **state)
{
	BUFFER buffer = BUFFER_INIT;
	(void)state;

	buffer_append(&buffer, NULL, 0);
	assert_int_equal(buffer.length, 0);
	buffer_append(&buffer, "abc", 2);
	buffer_append_string(&buffer, "cd");
	buffer_append_string(&buffer, "");
	buffer_append_char(&buffer, 'e');
	buffer_append_u64(&buffer, 7);
	buffer_append_i64(&buffer, -8);
	buffer_append_i64(&buffer, 9);
	buffer_printf(&buffer, "<%s %d>", "x", 5);
	assert_text(&buffer, "abcde7-89<x 5>");
	assert_false(buffer.failed);
}

static void test_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(interesting_numbers); i++) {
		uint64_t value = interesting_numbers[i];
		char expected[2][32];

		BUFFER buffer = BUFFER_INIT;
		snprintf(expected[0], sizeof(expected[0]), "%" PRIu64, value);
		buffer_append_u64(&buffer, value);
		assert_text(&buffer, expected[0]);
		buffer_clear(&buffer);
		snprintf(expected[1], sizeof(expected[1]), "%" PRId64, (int64_t)value);
		buffer_append_i64(&buffer, (int64_t)value);
		assert_text(&buffer, expected[1]);
		assert_int_equal(digits_count(value), strlen(expected[0]));
	}
}

static void test_fixed_digits(void **state)
{
	char text[9];
	(void)state;

	digits_put_fixed(text, 1234567, sizeof(text));
	assert_memory_equal(text, "001234567", 9);
	digits_put_fixed(text, 0, 4);
	assert_memory_equal(text, "0000", 4);
	digits_put_fixed(text, 5, 1);
	assert_memory_equal(text, "5", 1);
	digits_put_fixed(text, 5, 0);
	assert_memory_equal(text, "5000", 4);
}

static void test_growth_keeps_content(void **state)
{
	BUFFER buffer = BUFFER_INIT;
	(void)state;

	for (unsigned int i = 0; i < 100003; i++)
		buffer_append_char(&buffer, (char)(i * 31));
	assert_int_equal(buffer.length, 100003);
	assert_true(buffer.capacity > buffer.length);
	for (unsigned int i = 0; i < 100003; i++)
		assert_int_equal((char)(i * 31), buffer.data[i]);
}

static void test_reserve(void **state)
{
	BUFFER buffer = BUFFER_INIT;
	char *at;
	(void)state;

	assert_non_null(buffer_reserve(&buffer, 0));
	at = buffer_reserve(&buffer, 5000);
	assert_non_null(at);
	memset(at, 'x', 5000);
	assert_int_equal(buffer.length, 0);
	buffer.length += 5000;
	at = buffer_reserve(&buffer, 1);
	assert_ptr_equal(at, buffer.data + 5000);
}

static void test_printf_lengths(void **state)
{
	(void)state;
	/* Round the room that is tried first, where a byte too few would cut the text. */
	for (int length = 0; length < 700; length++) {
		BUFFER buffer = BUFFER_INIT;
		char expected[701];

		memset(expected, 'y', sizeof(expected));
		expected[length] = '\0';
		buffer_append_char(&buffer, '[');
		buffer_printf(&buffer, "%s", expected);
		assert_int_equal(buffer.length, length + 1);
		assert_memory_equal(buffer.data + 1, expected, (size_t)length);
	}
}

static void test_failure_drops_and_ignores(void **state)
{
	BUFFER buffer = BUFFER_INIT;
	(void)state;

	buffer_append_string(&buffer, "some");
	assert_null(buffer_reserve(&buffer, SIZE_MAX - 2));
	assert_true(buffer.failed);
	assert_null(buffer.data);
	assert_int_equal(buffer.length, 0);
	buffer_append_string(&buffer, "more");
	buffer_append_char(&buffer, 'x');
	buffer_append_u64(&buffer, 1);
	buffer_printf(&buffer, "%d", 1);
	assert_true(buffer.failed);
	assert_int_equal(buffer.length, 0);
	assert_null(buffer_take_string(&buffer));
	buffer_fini(&buffer);
	assert_false(buffer.failed);
	buffer_append_string(&buffer, "again");
	assert_text(&buffer, "again");
}

static void test_clear(void **state)
{
	BUFFER buffer = BUFFER_INIT;
	const char *data;
	(void)state;

	buffer_append_string(&buffer, "text");
	data = buffer.data;
	buffer_clear(&buffer);
	assert_int_equal(buffer.length, 0);
	buffer_append_string(&buffer, "new");
	assert_ptr_equal(buffer.data, data);
	buffer_fail(&buffer);
	buffer_clear(&buffer);
	buffer_append_string(&buffer, "works");
	assert_text(&buffer, "works");
}

static void test_take_string(void **state)
{
	BUFFER buffer = BUFFER_INIT;
	(void)state;

	/* Every length up to a few growths: the NUL always has its place. */
	for (size_t length = 0; length < 1100; length++) {
		FREE char *text = NULL;

		for (size_t i = 0; i < length; i++)
			buffer_append_char(&buffer, 'z');
		text = buffer_take_string(&buffer);
		assert_non_null(text);
		assert_int_equal(strlen(text), length);
		assert_null(buffer.data);
		assert_int_equal(buffer.capacity, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_fixed_digits),
		cmocka_unit_test(test_growth_keeps_content),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_printf_lengths),
		cmocka_unit_test(test_failure_drops_and_ignores),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_take_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
