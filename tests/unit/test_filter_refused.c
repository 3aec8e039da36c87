/* SPDX-License-Identifier: MIT */
/* What is no expression, and what is said about it. */
#include "filter_fixture.h"

#include <errno.h>

static void wrong_expressions_say_what_is_allowed(void **state)
{
	static const struct {
		const char *field, *expression, *says;
	} cases[] = {
		{ "pid", "", "empty" },
		{ "pid", ",", "empty" },
		{ "pid", "1,", "empty" },
		{ "pid", ",1", "empty" },
		{ "pid", "1,,2", "empty" },
		{ "pid", "!", "nothing does" },
		{ "pid", "!!1", "twice" },
		{ "pid", "1,!2", "only at the beginning" },
		{ "pid", "\\", "nothing after it" },
		{ "pid", "1\\", "nothing after it" },
		{ "pid", "1\\\\\\", "nothing after it" },
		{ "pid", "..", "at least one end" },
		{ "pid", "!..", "at least one end" },
		{ "pid", "9..5", "reversed; write 5..9" },
		{ "pid", "5...9", "\".9\" is not a number" },
		{ "pid", "abc",
		  "\"abc\" is not a number; give 443, a range 1..1024, a list 80,443, or !443" },
		{ "pid", "1 ", "not a number" },
		{ "pid", " 1", "not a number" },
		{ "pid", "+1", "not a number" },
		{ "pid", "1e3", "not a number" },
		{ "pid", "*", "not a number" },
		{ "pid", "-1", "out of range; the field holds 0..4294967295" },
		{ "pid", "-0", "not a number" },
		{ "pid", "4294967296", "out of range" },
		{ "pid", "1..4294967296", "out of range" },
		{ "pid", "99999999999999999999999999999999999999", "out of range" },
		{ "pid", "0xfffffffff", "out of range" },
		{ "pid", "0x", "not a number" },
		{ "pid", "\xff\xfe", "not a number" },
		{ "pid", "1ms", "not a number" },
		{ "small", "-32769", "-32768..32767" },
		{ "small", "32768", "-32768..32767" },
		{ "small", "1..-1", "reversed; write -1..1" },
		{ "small", "--1", "not a number" },
		{ "duration", "1parsec", "not a duration; give 1ms" },
		{ "duration", "0.5ns", "not a duration" },
		{ "duration", "99999999999d", "out of range" },
		{ "size", "64Kib/s", "not a size in bytes; give 1500, 64KiB" },
		{ "size", "1TiB", "out of range" },
		{ "flags", "0xxyz", "not a number" },
		{ "ok", "maybe", "neither true nor false" },
		{ "ok", "2", "neither true nor false" },
		{ "ok", "..", "at least one end" },
		{ "ok", "false..true", "neither true nor false" },
		{ "color", "purple", "none of the names DARK_RED, GREEN, LIME, BLUE" },
		{ "color", "x*", "none of the names" },
		{ "color", "GREEN,purple", "none of the names" },
		{ "color", "4294967296", "out of range" },
		{ "color", "-1", "out of range" },
		{ "color", "BLUE..GREEN", "reversed" },
		{ "color", "purple..", "not a number" },
		{ "color_code", "purple", "none of the names" },
		{ "nameless", "anything", "no names are known" },
		{ "error", "ENOSUCH", "no error's name" },
		{ "error", "EX*YZ", "no error's name is like" },
		{ "error", "0", "no error's name" },
		{ "error", "4096", "no error's name" },
		{ "error", "--1", "no error's name" },
		{ "location", "no_such_function", "no function of the running kernel" },
		{ "location", "tcp_close+0x100", "no function of the running kernel" },
		{ "location", "tcp_close+", "no function of the running kernel" },
		{ "ip", "10.1", "no IP address; give 10.0.0.1" },
		{ "ip", "10.1.2.256", "no IP address" },
		{ "ip", "10.1.2.3/33", "no IP address" },
		{ "ip", "10.1.2.3/", "no IP address" },
		{ "ip", "10.1.2.3/-1", "no IP address" },
		{ "ip", "10.1.2.3/08", "no IP address" },
		{ "ip", "10.*", "no IP address" },
		{ "ip", "::1/129", "no IP address" },
		{ "ip", "::1%lo", "no IP address" },
		{ "ip", ":::", "no IP address" },
		{ "ip", "localhost", "no IP address" },
		{ "ip", "10.0.0.9..10.0.0.1", "reversed; write 10.0.0.1..10.0.0.9" },
		{ "ip", "10.0.0.0/8..10.0.0.1", "no IP address" },
		{ "ip", "10.0.0.1..::5", "family" },
		{ "ip",
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  "no IP address" },
		{ "mac", "52:54:00:ab:cd", "no MAC address" },
		{ "mac", "52:54:00:ab:cd:ef:01", "no MAC address" },
		{ "mac", "52:54:00:ab:cd:eg", "no MAC address" },
		{ "mac", "5:54:00:ab:cd:ef", "no MAC address" },
		{ "mac", "5", "no MAC address" },
		{ "mac", "525400abcdef", "no MAC address" },
		{ "mac", "52:54:00:ab:cd:ef..00:00:00:00:00:00", "reversed" },
		{ "token", "00", "not 4 bytes in hexadecimal" },
		{ "token", "000ff0ff00", "not 4 bytes" },
		{ "token", "000*", "not 4 bytes" },
		{ "token", "*00", "not 4 bytes" },
		{ "token", "000ff0ff00*", "not 4 bytes" },
		{ "token", "zz", "not 4 bytes" },
		{ "digest", "dead", "not 20 bytes" },
		{ "inner_address", "/run/x", "no endpoint; give 1.2.3.4:443" },
		{ "inner_address", "*", "no endpoint" },
		{ "inner_address", "1.2.3.4:", "no port" },
		{ "inner_address", "1.2.3.4:65536", "no port" },
		{ "inner_address", "1.2.3.4:http", "no port" },
		{ "inner_address", "[::1]53", "no endpoint" },
		{ "inner_address", "[::1", "no endpoint" },
		{ "inner_address", "[]:53", "no endpoint" },
		{ "inner_address", "[", "no endpoint" },
		{ "inner_address", ":53", "no endpoint" },
		{ "endpoint", "1.2.3.4:x", "no port" },
		{ "command", "", "empty" },
		{ "command", "a,", "empty" },
		{ "command", "!!x", "twice" },
		{ "command", "a\\", "nothing after it" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct filter filter = { 0 };
		char error[512] = "";
		int r = filter_add(&filter, stream, field_of(stream, cases[i].field),
				   cases[i].expression, symbols, NULL, error, sizeof(error));

		if (r != -EINVAL || !strstr(error, cases[i].says))
			fail_msg("%s=%s: %d %s", cases[i].field, cases[i].expression, r, error);
		assert_null(filter.predicates);
		assert_int_equal(filter.count, 0);
		/* A buffer too small for the line, or none at all, is no harm. */
		filter_add(&filter, stream, field_of(stream, cases[i].field), cases[i].expression,
			   symbols, NULL, error, 5);
		assert_true(strlen(error) < 5);
		filter_add(&filter, stream, field_of(stream, cases[i].field), cases[i].expression,
			   symbols, NULL, NULL, 0);
	}
}

static void unknown_names_are_for_the_caller(void **state)
{
	static const struct {
		const char *field, *expression;
		int result;
		bool unknown, matches;
	} cases[] = {
		{ "color", "purple", 0, true, false },
		{ "color", "purple,orange", 0, true, false },
		{ "color", "purple,GREEN", 0, false, true },
		{ "color", "purple,BLUE", 0, false, false },
		{ "color", "p*", 0, true, false },
		{ "color", "!purple", 0, true, true },
		{ "color", "GREEN", 0, false, true },
		{ "color_code", "purple", 0, true, false },
		{ "nameless", "anything", 0, true, false },
		{ "color", "4294967296", -EINVAL, false, false },
		{ "pid", "purple", -EINVAL, false, false },
	};
	uint8_t record[DEMO_RECORD_SIZE];

	(void)state;
	base_record(record);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct filter filter = { 0 };
		char error[512] = "";
		bool unknown = !cases[i].unknown && !cases[i].result;

		assert_int_equal(filter_add(&filter, stream, field_of(stream, cases[i].field),
					    cases[i].expression, symbols, &unknown, error,
					    sizeof(error)),
				 cases[i].result);
		if (cases[i].result)
			continue;
		assert_int_equal(unknown, cases[i].unknown);
		assert_int_equal(error[0] != '\0', strpbrk(cases[i].expression, "pa") != NULL);
		assert_int_equal(filter_match(&filter, stream, record, sizeof(record)),
				 cases[i].matches);
		filter_fini(&filter);
	}
}

static void lists_have_an_end(void **state)
{
	const size_t count = FILTER_MAX_ALTERNATIVES + 1;
	FREE char *list = malloc(count * 8);
	FREE char *huge = malloc(100000);
	struct filter filter = { 0 };
	char error[256];
	size_t length = 0;

	(void)state;
	for (size_t i = 0; i < count; i++)
		length += (size_t)sprintf(list + length, "%s%zu", i ? "," : "", i * 2);
	assert_int_equal(filter_add(&filter, stream, field_of(stream, "pid"), list, NULL, NULL,
				    error, sizeof(error)),
			 -EINVAL);
	assert_non_null(strstr(error, "more than 1024"));
	*strrchr(list, ',') = '\0';
	assert_int_equal(filter_add(&filter, stream, field_of(stream, "pid"), list, NULL, NULL,
				    error, sizeof(error)),
			 0);
	filter_fini(&filter);
	memset(huge, 'a', 99999);
	huge[99999] = '\0';
	assert_int_equal(filter_add(&filter, stream, field_of(stream, "command"), huge, NULL, NULL,
				    error, sizeof(error)),
			 -EINVAL);
	assert_non_null(strstr(error, "longer than"));
}

/* Any bytes at all are an expression or an error, for every field. */
static void any_text_is_understood_or_refused(void **state)
{
	static const char alphabet[] = "!,.\\*?-0123456789abcdefx:[]/+ \xff\x01GREN_msKiB";
	uint8_t record[DEMO_RECORD_SIZE];
	uint64_t seed = 42;

	(void)state;
	base_record(record);
	for (int i = 0; i < 60000; i++) {
		size_t length = random_number(&seed) % 24;
		char *expression = malloc(length + 1); /* so that a byte read past it is seen */
		struct filter filter = { 0 };
		char error[200] = "";
		const struct field *field;
		bool unknown;
		int r;

		for (size_t k = 0; k < length; k++)
			expression[k] = alphabet[random_number(&seed) % (sizeof(alphabet) - 1)];
		expression[length] = '\0';
		field = &stream->fields[random_number(&seed) % stream->field_count];
		r = filter_add(&filter, stream, field, expression, symbols,
			       random_number(&seed) % 2 ? &unknown : NULL, error, sizeof(error));
		assert_true(r == 0 || r == -EINVAL);
		if (r)
			assert_true(*error);
		else
			filter_match(&filter, stream, record, 48 + random_number(&seed) % 241);
		filter_fini(&filter);
		free(expression);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_expressions_say_what_is_allowed),
		cmocka_unit_test(unknown_names_are_for_the_caller),
		cmocka_unit_test(lists_have_an_end),
		cmocka_unit_test(any_text_is_understood_or_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
