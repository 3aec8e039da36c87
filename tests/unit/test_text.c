/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

static void test_u64(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "007", 0, 7 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999", -ERANGE, 0 },
		{ "0x10", 0, 16 },
		{ "0XfF", 0, 255 },
		{ "0xffffffffffffffff", 0, UINT64_MAX },
		{ "0x10000000000000000", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "0x", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1a", -EINVAL, 0 },
		{ "0xg", -EINVAL, 0 },
		{ "1.0", -EINVAL, 0 },
		{ "18446744073709551616x", -EINVAL, 0 },
	};
	uint64_t value;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		value = 4711;
		assert_int_equal(text_parse_u64(cases[i].text, 0, UINT64_MAX, &value),
				 cases[i].result);
		assert_int_equal(value, cases[i].result ? 4711 : cases[i].value);
	}
	assert_int_equal(text_parse_u64("4", 5, 7, &value), -ERANGE);
	assert_int_equal(text_parse_u64("8", 5, 7, &value), -ERANGE);
	assert_int_equal(text_parse_u64("5", 5, 7, &value), 0);
	assert_int_equal(text_parse_u64("7", 5, 7, &value), 0);
}

static void test_i64(void **state)
{
	static const struct {
		const char *text;
		int result;
		int64_t value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "-0", 0, 0 },
		{ "-5", 0, -5 },
		{ "-0x10", 0, -16 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "-9223372036854775808", 0, INT64_MIN },
		{ "-9223372036854775809", -ERANGE, 0 },
		{ "-", -EINVAL, 0 },
		{ "--1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
	};
	int64_t value;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		value = 4711;
		assert_int_equal(text_parse_i64(cases[i].text, INT64_MIN, INT64_MAX, &value),
				 cases[i].result);
		assert_true(value == (cases[i].result ? 4711 : cases[i].value));
	}
	assert_int_equal(text_parse_i64("-6", -5, 5, &value), -ERANGE);
	assert_int_equal(text_parse_i64("6", -5, 5, &value), -ERANGE);
}

static void test_bool(void **state)
{
	static const char *const yes[] = { "true", "1", "yes", "on", "TRUE", "Yes" };
	static const char *const no[] = { "false", "0", "no", "off", "False", "OFF" };
	static const char *const neither[] = { "", "2", "y", "enable", "true " };
	bool value;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		value = false;
		assert_int_equal(text_parse_bool(yes[i], &value), 0);
		assert_true(value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		value = true;
		assert_int_equal(text_parse_bool(no[i], &value), 0);
		assert_false(value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(neither); i++)
		assert_int_equal(text_parse_bool(neither[i], &value), -EINVAL);
}

static void test_bytes(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t value;
	} cases[] = {
		{ "65536", 0, 65536 },
		{ "10B", 0, 10 },
		{ "64k", 0, 65536 },
		{ "64KB", 0, 65536 },
		{ "64KiB", 0, 65536 },
		{ "64M", 0, 64ULL << 20 },
		{ "1GiB", 0, 1ULL << 30 },
		{ "2t", 0, 2ULL << 40 },
		{ "16777215T", 0, 16777215ULL << 40 },
		{ "16777216T", -ERANGE, 0 },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "M", -EINVAL, 0 },
		{ "1.5M", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "1 M", -EINVAL, 0 },
		{ "1X", -EINVAL, 0 },
		{ "1KiBs", -EINVAL, 0 },
		{ "99999999999999999999x", -EINVAL, 0 },
	};
	uint64_t value;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		value = 4711;
		assert_int_equal(text_parse_bytes(cases[i].text, &value), cases[i].result);
		assert_int_equal(value, cases[i].result ? 4711 : cases[i].value);
	}
}

static void test_glob(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{ "", "", true },	    { "", "a", false },		 { "a", "", false },
		{ "abc", "abc", true },	    { "abc", "abcd", false },	 { "abcd", "abc", false },
		{ "*", "", true },	    { "*", "anything", true },	 { "**", "x", true },
		{ "a*", "a", true },	    { "a*", "ba", false },	 { "*a", "bca", true },
		{ "*a", "bcab", false },    { "a*c", "abbbc", true },	 { "a*c", "abbbcd", false },
		{ "*b*d*", "abcde", true }, { "*d*b*", "abcde", false }, { "a?c", "abc", true },
		{ "a?c", "ac", false },	    { "?", "", false },		 { "*?", "a", true },
		{ "*?", "", false },	    { "*aab", "aaaab", true },	 { "\\*", "*", true },
		{ "\\*", "x", false },	    { "\\?x", "?x", true },	 { "\\\\", "\\", true },
		{ "\\a", "a", true },	    { "a\\", "a\\", true },	 { "*\\**", "a*b", true },
		{ "*\\**", "ab", false },   { "A", "a", false },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(text_glob_match(cases[i].pattern, strlen(cases[i].pattern),
						 cases[i].text, strlen(cases[i].text)),
				 cases[i].matches);
	/* Lengths decide, NUL is a byte like others. */
	assert_true(text_glob_match("a*", 1, "abc", 1));
	assert_true(text_glob_match("a?c", 3, "a\0c", 3));
}

static void test_glob_is_not_exponential(void **state)
{
	char text[4001];
	(void)state;

	/* A matcher that tries every star again would not come to an end. */
	memset(text, 'a', sizeof(text));
	assert_false(text_glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", 32, text, sizeof(text)));
	text[4000] = 'b';
	assert_true(text_glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", 32, text, sizeof(text)));
}

static void test_is_glob(void **state)
{
	(void)state;
	assert_true(text_is_glob("a*"));
	assert_true(text_is_glob("?"));
	assert_true(text_is_glob("\\\\*"));
	assert_false(text_is_glob(""));
	assert_false(text_is_glob("abc"));
	assert_false(text_is_glob("a\\*"));
	assert_false(text_is_glob("\\?\\"));
}

/* Encodes as RFC 3629 says, for every number that has an encoding of `size` bytes. */
static size_t encode(uint32_t code, size_t size, char *out)
{
	static const uint8_t first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	if (size == 1) {
		out[0] = (char)code;
		return 1;
	}
	for (size_t i = size - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (code & 0x3f));
		code >>= 6;
	}
	out[0] = (char)(first[size] | code);
	return size;
}

static void test_utf8(void **state)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	static const uint32_t past[] = { 0, 0x80, 0x800, 0x10000, 0x200000 };
	char text[4];
	(void)state;

	for (size_t size = 1; size <= 4; size++) {
		/* Primes as steps above the small ones, so that every bit takes part. */
		for (uint32_t code = 0; code < past[size]; code += size == 4 ? 17 : 1) {
			bool valid = code >= smallest[size] && code <= 0x10ffff &&
				     (code < 0xd800 || code > 0xdfff);

			encode(code, size, text);
			assert_int_equal(text_utf8_sequence(text, size), valid ? size : 0);
			assert_int_equal(text_utf8_sequence(text, size - 1), 0);
		}
	}
	/* Each continuation byte is looked at. */
	for (size_t bad = 1; bad < 4; bad++) {
		encode(0x1f600, 4, text);
		text[bad] = 'x';
		assert_int_equal(text_utf8_sequence(text, 4), 0);
		text[bad] = '\xc0';
		assert_int_equal(text_utf8_sequence(text, 4), 0);
	}
	assert_int_equal(text_utf8_sequence("\xf8\x88\x80\x80\x80", 5), 0);
	assert_int_equal(text_utf8_sequence("ab", 2), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64),	cmocka_unit_test(test_i64),
		cmocka_unit_test(test_bool),	cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_glob),	cmocka_unit_test(test_glob_is_not_exponential),
		cmocka_unit_test(test_is_glob), cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
