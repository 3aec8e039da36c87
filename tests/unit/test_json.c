/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The writer has functions of these names, too; the parser's are not needed here. */
#define json_string jansson_string
#define json_null jansson_null
#include <jansson.h>
#undef json_string
#undef json_null

#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"

static void assert_buffer(const struct buffer *out, const char *expected)
{
	FREE char *text = strndup(out->data ? out->data : "", out->length);

	assert_string_equal(text, expected);
}

static void assert_escaped(const char *text, size_t length, const char *expected)
{
	BUFFER out = BUFFER_INIT;

	json_escape(&out, text, length);
	assert_buffer(&out, expected);
}

static void test_structure(void **state)
{
	BUFFER out = BUFFER_INIT;
	struct json json;
	(void)state;

	json_init(&json, &out);
	json_object_begin(&json);
	json_member_string(&json, "a", "x");
	json_member_string(&json, "none", NULL);
	json_key(&json, "list");
	json_array_begin(&json);
	json_u64(&json, UINT64_MAX);
	json_i64(&json, INT64_MIN);
	json_null(&json);
	json_array_begin(&json);
	json_array_end(&json);
	json_object_begin(&json);
	json_object_end(&json);
	json_string_n(&json, "abc", 2);
	json_array_end(&json);
	json_member_u64(&json, "u", 1);
	json_member_i64(&json, "i", -1);
	json_member_bool(&json, "t", true);
	json_member_bool(&json, "f", false);
	json_key(&json, "raw");
	json_raw(&json, "{\"k\":0}", 7);
	json_key(&json, "printed");
	json_printf(&json, "%s=%d", "\"", 5);
	json_object_end(&json);
	assert_buffer(&out, "{\"a\":\"x\",\"none\":null,\"list\":[18446744073709551615,"
			    "-9223372036854775808,null,[],{},\"ab\"],\"u\":1,\"i\":-1,\"t\":true,"
			    "\"f\":false,\"raw\":{\"k\":0},\"printed\":\"\\\"=5\"}");
}

static void test_every_ascii_byte(void **state)
{
	(void)state;
	for (unsigned int byte = 0; byte < 128; byte++) {
		char text = (char)byte, expected[8];
		const char *with_letter = "\b\t\n\f\r\"\\", *letters = "btnfr\"\\";
		const char *at = byte ? strchr(with_letter, (int)byte) : NULL;

		if (at)
			snprintf(expected, sizeof(expected), "\\%c", letters[at - with_letter]);
		else if (byte < 0x20 || byte == '<' || byte == '>' || byte == '&')
			snprintf(expected, sizeof(expected), "\\u%04x", byte);
		else
			snprintf(expected, sizeof(expected), "%c", (int)byte);
		assert_escaped(&text, 1, expected);
	}
}

static void test_line_separators(void **state)
{
	(void)state;
	assert_escaped("\xe2\x80\xa8\xe2\x80\xa9", 6, "\\u2028\\u2029");
	assert_escaped("\xe2\x80\xa7\xe2\x80\xaa", 6, "\xe2\x80\xa7\xe2\x80\xaa");
}

#define BAD "\xef\xbf\xbd"

static void test_invalid_utf8(void **state)
{
	(void)state;
	assert_escaped("\x80", 1, BAD);
	assert_escaped("a\xff"
		       "b",
		       3, "a" BAD "b");
	assert_escaped("\xc3", 1, BAD);				/* cut short */
	assert_escaped("\xc3(", 2, BAD "(");			/* no continuation */
	assert_escaped("\xe2\x82", 2, BAD BAD);			/* cut short */
	assert_escaped("\xc0\xaf", 2, BAD BAD);			/* overlong '/' */
	assert_escaped("\xe0\x80\xaf", 3, BAD BAD BAD);		/* overlong */
	assert_escaped("\xed\xa0\x80", 3, BAD BAD BAD);		/* surrogate */
	assert_escaped("\xf4\x90\x80\x80", 4, BAD BAD BAD BAD); /* past U+10FFFF */
	assert_escaped("\xf5\x80\x80\x80", 4, BAD BAD BAD BAD);
	/* The length decides, not what lies behind it. */
	assert_escaped("\xc3\xa9", 1, BAD);
	assert_escaped("\xc3\xa9", 2, "\xc3\xa9");
	assert_escaped("\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80");
	assert_escaped("", 0, "");
}

/* A text escaped in pieces reads as one escaped whole, wherever sequences fall. */
static void test_long_text_is_not_cut_in_sequences(void **state)
{
	static const char *const parts[] = { "\xf0\x9f\x98\x80", "\xe2\x82\xac", "\x80", "\xf0\x9f",
					     "\"" };
	(void)state;

	for (size_t part = 0; part < ARRAY_SIZE(parts); part++) {
		for (size_t shift = 0; shift < 8; shift++) {
			BUFFER text = BUFFER_INIT, whole = BUFFER_INIT, expected = BUFFER_INIT;
			size_t length = strlen(parts[part]);

			for (size_t i = 0; i < shift; i++)
				buffer_append_char(&text, 'a');
			while (text.length < 5000)
				buffer_append(&text, parts[part], length);
			json_escape(&whole, text.data, text.length);
			for (size_t i = 0; i < shift; i++)
				buffer_append_char(&expected, 'a');
			while (expected.length < whole.length)
				json_escape(&expected, parts[part], length);
			assert_int_equal(whole.length, expected.length);
			assert_memory_equal(whole.data, expected.data, whole.length);
		}
	}
}

static void test_long_strings_and_keys(void **state)
{
	BUFFER out = BUFFER_INIT;
	FREE char *text = malloc(3001);
	struct json json;
	json_error_t error;
	json_t *root;
	(void)state;

	memset(text, '<', 3000);
	text[3000] = '\0';
	json_init(&json, &out);
	json_object_begin(&json);
	json_member_string(&json, "first", text);
	json_member_string(&json, text, "second");
	json_member_u64(&json, "third", 3);
	json_object_end(&json);
	root = json_loadb(out.data, out.length, 0, &error);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "first")), text);
	assert_string_equal(json_string_value(json_object_get(root, text)), "second");
	assert_int_equal(json_integer_value(json_object_get(root, "third")), 3);
	json_decref(root);
}

/* Any bytes at all give JSON that another parser takes; what was UTF-8 comes back as it was. */
static void test_random_bytes_are_json(void **state)
{
	static const char seeds[] = "\"\\</>&\n\x01\x7f\x80\xa8\xbf\xc2\xc3\xe2\x80\xed\xf0\xf4\xff"
				    "abcdefghijklm";
	uint64_t random = 12345;
	(void)state;

	for (int round = 0; round < 20011; round++) {
		BUFFER out = BUFFER_INIT;
		BUFFER expected = BUFFER_INIT;
		char text[41];
		struct json json;
		json_t *root;
		size_t length;

		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		length = (random >> 33) % sizeof(text);
		for (size_t i = 0; i < length; i++) {
			random = random * 6364136223846793005ULL + 1442695040888963407ULL;
			text[i] = seeds[(random >> 33) % (sizeof(seeds) - 1)];
		}
		for (size_t i = 0; i < length;) {
			size_t size = text_utf8_sequence(text + i, length - i);

			buffer_append(&expected, size ? text + i : BAD, size ? size : 3);
			i += size ? size : 1;
		}
		json_init(&json, &out);
		json_string_n(&json, text, length);
		root = json_loadb(out.data, out.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		assert_non_null(root);
		assert_int_equal(json_string_length(root), expected.length);
		if (expected.length)
			assert_memory_equal(json_string_value(root), expected.data,
					    expected.length);
		json_decref(root);
	}
}

static void assert_double(double value, const char *expected)
{
	BUFFER out = BUFFER_INIT;
	struct json json;

	json_init(&json, &out);
	json_double(&json, value);
	assert_buffer(&out, expected);
}

static void test_doubles(void **state)
{
	static const double round_trip[] = {
		0.1 + 0.2, 1e300, DBL_MIN, DBL_MAX, 1.0 / 3, M_PI, 123456789.123456789, 5e-324
	};
	(void)state;

	assert_double(0, "0");
	assert_double(1.5, "1.5");
	assert_double(0.1, "0.1");
	assert_double(-42, "-42");
	assert_double(0.1 + 0.2, "0.30000000000000004");
	assert_double((double)NAN, "null");
	assert_double((double)INFINITY, "null");
	assert_double(-(double)INFINITY, "null");
	for (size_t i = 0; i < ARRAY_SIZE(round_trip); i++) {
		BUFFER out = BUFFER_INIT;
		FREE char *text = NULL;
		struct json json;
		double back;

		json_init(&json, &out);
		json_double(&json, round_trip[i]);
		text = buffer_take_string(&out);
		back = strtod(text, NULL);
		assert_memory_equal(&back, &round_trip[i], sizeof(back));
	}
}

static void test_failed_buffer_is_harmless(void **state)
{
	BUFFER out = BUFFER_INIT;
	struct json json;
	(void)state;

	buffer_fail(&out);
	json_init(&json, &out);
	json_object_begin(&json);
	json_member_string(&json, "a", "b");
	json_key(&json, "c");
	json_double(&json, 1.5);
	json_object_end(&json);
	assert_true(out.failed);
	assert_int_equal(out.length, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structure),
		cmocka_unit_test(test_every_ascii_byte),
		cmocka_unit_test(test_line_separators),
		cmocka_unit_test(test_invalid_utf8),
		cmocka_unit_test(test_long_text_is_not_cut_in_sequences),
		cmocka_unit_test(test_long_strings_and_keys),
		cmocka_unit_test(test_random_bytes_are_json),
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_failed_buffer_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
