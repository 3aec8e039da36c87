/* SPDX-License-Identifier: MIT */
/* Query strings, bodies, rules, hosts and encodings by themselves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/compress.h"
#include "api/guard.h"
#include "api/rules.h"

#define ANSWER __attribute__((cleanup(answer_fini))) struct answer

static const char *const sizes[] = { "small", "large", NULL };

enum { COUNT, NAME, SIZE, WHEN, NUMBER_OF_RULES };

static const struct rule rules[] = {
	[COUNT] = { .name = "count",
		    .alias = "number",
		    .kind = RULE_INTEGER,
		    .minimum = -3,
		    .maximum = 9,
		    .too_large = "too many" },
	[NAME] = { .name = "name", .kind = RULE_TEXT, .wrong_type = "not a name" },
	[SIZE] = { .name = "size", .kind = RULE_CHOICE, .choices = sizes },
	[WHEN] = { .name = "when", .kind = RULE_TIME },
};

#define NOW 1800000000000000000ULL

static int read_query(const char *query, struct arguments *arguments, struct rule_value *values,
		      struct rule_others *others, struct answer *answer)
{
	int r = arguments_from_query(arguments, query, answer);

	return r < 0 ? r
		     : rules_read(rules, NUMBER_OF_RULES, arguments, NOW, values, others, answer);
}

static void assert_message(struct answer *answer, const char *part)
{
	buffer_append_char(&answer->body, '\0');
	if (!strstr(answer->body.data, part))
		fail_msg("%s does not contain %s", answer->body.data, part);
	assert_int_equal(answer->status, STATUS_BAD_REQUEST);
}

static void test_percent_decode(void **state)
{
	static const struct {
		const char *text;
		const char *plus; /* with '+' as space; NULL: refused */
		const char *plain;
	} cases[] = {
		{ "", "", "" },		  { "abc", "abc", "abc" },  { "a+b", "a b", "a+b" },
		{ "%41%62", "Ab", "Ab" }, { "%2b%2B", "++", "++" }, { "x%20", "x ", "x " },
		{ "%", NULL, NULL },	  { "%4", NULL, NULL },	    { "x%", NULL, NULL },
		{ "%g0", NULL, NULL },	  { "%0g", NULL, NULL },    { "%00", NULL, NULL },
		{ "%-1", NULL, NULL },	  { "%%41", NULL, NULL },
	};
	char out[16];
	size_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size = strlen(cases[i].text);
		int r = percent_decode(out, cases[i].text, size, true, &length);

		assert_int_equal(r, cases[i].plus ? 0 : -EINVAL);
		if (cases[i].plus) {
			assert_string_equal(out, cases[i].plus);
			assert_int_equal(length, strlen(out));
		}
		r = percent_decode(out, cases[i].text, size, false, &length);
		assert_int_equal(r, cases[i].plain ? 0 : -EINVAL);
		if (cases[i].plain)
			assert_string_equal(out, cases[i].plain);
	}
	/* No byte past the end is looked at. */
	assert_int_equal(percent_decode(out, "%41", 2, true, &length), -EINVAL);
	assert_int_equal(percent_decode(out, "%41", 3, true, &length), 0);
}

static void test_query(void **state)
{
	ARGUMENTS arguments = ARGUMENTS_INIT;
	ANSWER answer = ANSWER_INIT;

	(void)state;
	assert_int_equal(arguments_from_query(&arguments, "&a=1&&b=%26=%3D&c=&a=x+y&", &answer), 0);
	assert_int_equal(answer.status, 0);
	assert_int_equal(arguments.count, 4);
	assert_string_equal(arguments.items[0].name, "a");
	assert_string_equal(arguments.items[0].value, "1");
	assert_string_equal(arguments.items[1].value, "&==");
	assert_string_equal(arguments.items[2].value, "");
	assert_string_equal(arguments.items[3].name, "a");
	assert_string_equal(arguments.items[3].value, "x y");
}

static void test_too_many(void **state)
{
	char query[ARGUMENTS_MAX * 4 + 8] = "";
	ARGUMENTS some = ARGUMENTS_INIT, many = ARGUMENTS_INIT;
	ANSWER answer = ANSWER_INIT;

	(void)state;
	for (int i = 0; i < ARGUMENTS_MAX; i++)
		strcat(query, "a=1&");
	assert_int_equal(arguments_from_query(&some, query, &answer), 0);
	assert_int_equal(some.count, ARGUMENTS_MAX);
	strcat(query, "a=1");
	assert_true(arguments_from_query(&many, query, &answer) < 0);
	assert_message(&answer, "too many parameters: at most 256");
}

static void test_values(void **state)
{
	struct rule_value values[NUMBER_OF_RULES];
	ARGUMENTS arguments = ARGUMENTS_INIT;
	ANSWER answer = ANSWER_INIT;

	(void)state;
	assert_int_equal(
		read_query("number=-3&size=large&when=-10s", &arguments, values, NULL, &answer), 0);
	assert_true(values[COUNT].given);
	assert_int_equal(values[COUNT].number, -3);
	assert_int_equal(values[SIZE].choice, 1);
	assert_true(values[WHEN].time == NOW - 10000000000ULL);
	assert_false(values[NAME].given);
	assert_null(values[NAME].text);
}

static void test_others(void **state)
{
	struct rule_value values[NUMBER_OF_RULES];
	struct rule_others others;
	ARGUMENTS arguments = ARGUMENTS_INIT;
	ANSWER answer = ANSWER_INIT;

	(void)state;
	assert_int_equal(read_query("pid=1&count=2&port=3", &arguments, values, &others, &answer),
			 0);
	assert_int_equal(others.count, 2);
	assert_string_equal(arguments.items[others.items[0]].name, "pid");
	assert_string_equal(arguments.items[others.items[1]].name, "port");
}

static void test_refused(void **state)
{
	static const struct {
		const char *query, *message;
	} cases[] = {
		{ "count=-4", "allowed is an integer from -3 to 9" },
		{ "count=-99999999999999999999", "allowed is an integer from -3 to 9" },
		{ "count=10", "too many" },
		{ "count=99999999999999999999", "too many" },
		{ "count=1x", "\\\"1x\\\" is not allowed" },
		{ "size=Large", "allowed is small or large" },
		{ "when=then", "RFC 3339" },
		{ "other=1", "known are: count, name, size, when" },
		{ "count=1&count=1", "\\\"count\\\" is given more than once" },
		{ "count=1&number=1", "\\\"count\\\" and \\\"number\\\" are the same" },
		{ "name", "\\\"name\\\" has no value" },
		{ "name=%f", "must begin an escape" },
		{ "name=%e2%28%a1", "must be UTF-8" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rule_value values[NUMBER_OF_RULES];
		ARGUMENTS arguments = ARGUMENTS_INIT;
		ANSWER answer = ANSWER_INIT;

		assert_true(read_query(cases[i].query, &arguments, values, NULL, &answer) < 0);
		assert_message(&answer, cases[i].message);
	}
}

static void test_body(void **state)
{
	static const char body[] = "{\"s\":\"a\\u00e9\",\"i\":-5,\"b\":true,\"n\":null,\"r\":1.5,"
				   "\"o\":{}}";
	ARGUMENTS arguments = ARGUMENTS_INIT;
	ANSWER answer = ANSWER_INIT;

	(void)state;
	assert_int_equal(arguments_from_body(&arguments, body, sizeof(body) - 1, NULL, &answer), 0);
	assert_true(arguments.from_body);
	assert_int_equal(arguments.count, 5);
	assert_string_equal(arguments.items[0].value, "a\xc3\xa9");
	assert_int_equal(arguments.items[0].form, ARGUMENT_STRING);
	assert_string_equal(arguments.items[1].value, "-5");
	assert_int_equal(arguments.items[1].form, ARGUMENT_INTEGER);
	assert_int_equal(arguments.items[2].form, ARGUMENT_BOOLEAN);
	assert_int_equal(arguments.items[3].form, ARGUMENT_OTHER);
	assert_int_equal(arguments.items[4].form, ARGUMENT_OTHER);
}

static void test_wrong_types(void **state)
{
	static const struct {
		const char *body, *message;
	} cases[] = {
		{ "{\"name\":5}", "not a name" },
		{ "{\"count\":\"5\"}", "is not allowed" },
		{ "{\"count\":true}", "is not allowed" },
		{ "{\"size\":[]}", "is not allowed" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rule_value values[NUMBER_OF_RULES];
		ARGUMENTS arguments = ARGUMENTS_INIT;
		ANSWER answer = ANSWER_INIT;

		assert_int_equal(arguments_from_body(&arguments, cases[i].body,
						     strlen(cases[i].body), NULL, &answer),
				 0);
		assert_true(rules_read(rules, NUMBER_OF_RULES, &arguments, NOW, values, NULL,
				       &answer) < 0);
		assert_message(&answer, cases[i].message);
	}
}

/* A body as deep as it may be long is refused, not followed. */
static void test_deep_body(void **state)
{
	char *body = malloc(65536);
	ARGUMENTS arguments = ARGUMENTS_INIT;
	ANSWER answer = ANSWER_INIT;

	(void)state;
	assert_non_null(body);
	memset(body, '[', 65536);
	memcpy(body, "{\"a\":", 5);
	assert_true(arguments_from_body(&arguments, body, 65536, NULL, &answer) < 0);
	assert_message(&answer, "Invalid JSON request body");
	free(body);
}

static void test_within(void **state)
{
	static const char good[] = "{\"set\":{\"a\":1}}", bad[] = "{\"a\":1}";
	ARGUMENTS arguments = ARGUMENTS_INIT, none = ARGUMENTS_INIT;
	ANSWER answer = ANSWER_INIT;

	(void)state;
	assert_int_equal(arguments_from_body(&arguments, good, sizeof(good) - 1, "set", &answer),
			 0);
	assert_int_equal(arguments.count, 1);
	assert_true(arguments_from_body(&none, bad, sizeof(bad) - 1, "set", &answer) < 0);
	assert_message(&answer, "{\\\"set\\\":{\\\"name\\\":value}}");
}

/* The answer to a hostile text is JSON, whatever the text. */
static void test_error_is_json(void **state)
{
	ANSWER answer = ANSWER_INIT;

	(void)state;
	assert_true(answer_error(&answer, STATUS_NOT_FOUND, "%s", "\"\x01\xff</script>\n") < 0);
	buffer_append_char(&answer.body, '\0');
	assert_string_equal(answer.body.data,
			    "{\"error\":\"Not Found\",\"message\":\"\\\"\\u0001\xef\xbf\xbd"
			    "\\u003c/script\\u003e\\n\"}");
}

static void test_loopback_names(void **state)
{
	char longest[600];

	(void)state;
	assert_true(guard_is_loopback("localhost"));
	assert_true(guard_is_loopback("a.b.localhost.:80"));
	assert_true(guard_is_loopback("127.255.255.254"));
	assert_true(guard_is_loopback("[::1]:1"));
	assert_false(guard_is_loopback(""));
	assert_false(guard_is_loopback(":80"));
	assert_false(guard_is_loopback("."));
	assert_false(guard_is_loopback("xlocalhost"));
	assert_false(guard_is_loopback("localhost.com"));
	assert_false(guard_is_loopback("128.0.0.1"));
	assert_false(guard_is_loopback("::1"));
	assert_false(guard_is_loopback("["));
	assert_false(guard_is_loopback("[]"));
	assert_false(guard_is_loopback("[127.0.0.1]"));
	memset(longest, 'a', sizeof(longest));
	strcpy(longest + 580, ".localhost");
	assert_false(guard_is_loopback(longest));
}

static void test_accepted_encodings(void **state)
{
	(void)state;
	assert_false(compress_accepted("gzip", NULL));
	assert_false(compress_accepted("gzip", ""));
	assert_false(compress_accepted("gzip", "identity"));
	assert_true(compress_accepted("gzip", "gzip"));
	assert_true(compress_accepted("gzip", "br;q=1.0 , gzip;q=0.001"));
	assert_false(compress_accepted("gzip", "gzip ; q=0.000"));
	assert_false(compress_accepted("gzip", "gzip;Q=0"));
	assert_true(compress_accepted("gzip", "*;q=0.1"));
	assert_false(compress_accepted("gzip", "*;q=0"));
	assert_true(compress_accepted("gzip", "*;q=0, gzip"));
	assert_false(compress_accepted("gzip", ",, ,"));
	assert_true(compress_accepted("gzip", "x-gzip"));
	assert_false(compress_accepted("gzip", "x-gzi"));
	assert_true(compress_accepted("br", "gzip, BR;q=0.5"));
	assert_false(compress_accepted("br", "gzip, br;q=0"));
	assert_false(compress_accepted("br", "x-br, b, brr, gzip"));
	assert_true(compress_accepted("br", "*"));
}

static void test_compress(void **state)
{
	struct buffer body = BUFFER_INIT;

	(void)state;
	for (int i = 0; i < 10000; i++)
		buffer_append_string(&body, "the same again ");
	assert_int_equal(compress_body(&body), 0);
	assert_true(body.length < 5000);
	assert_memory_equal(body.data, "\x1f\x8b", 2);
	buffer_fini(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percent_decode),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_deep_body),
		cmocka_unit_test(test_within),
		cmocka_unit_test(test_error_is_json),
		cmocka_unit_test(test_loopback_names),
		cmocka_unit_test(test_accepted_encodings),
		cmocka_unit_test(test_compress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
