/* SPDX-License-Identifier: MIT */
/* What expressions match, kind of field by kind of field. */
#include "filter_fixture.h"

#include <errno.h>

struct match_case {
	const char *field, *expression;
	bool matches;
};

static void assert_matches(const struct match_case *cases, size_t count, const uint8_t *record)
{
	for (size_t i = 0; i < count; i++)
		if (matches_record(cases[i].field, cases[i].expression, record, DEMO_RECORD_SIZE) !=
		    cases[i].matches)
			fail_msg("%s=%s should be %d", cases[i].field, cases[i].expression,
				 cases[i].matches);
}

static void numbers_match(void **state)
{
	static const struct match_case cases[] = {
		{ "pid", "1234", true },
		{ "pid", "0x4d2", true },
		{ "pid", "1235", false },
		{ "pid", "!1234", false },
		{ "pid", "!1", true },
		{ "pid", "1,2,1234", true },
		{ "pid", "!1,2,1234", false },
		{ "pid", "1000..2000", true },
		{ "pid", "1234..1234", true },
		{ "pid", "1235..", false },
		{ "pid", "..1233", false },
		{ "pid", "..1234", true },
		{ "pid", "1234..", true },
		{ "pid", "5,1000..2000,7", true },
		{ "pid", "4294967295", false },
		{ "pid", "\\1234", true }, /* a backslash that is not needed */
		{ "small", "-300", true },
		{ "small", "-301..-299", true },
		{ "small", "..-301", false },
		{ "small", "..0", true },
		{ "small", "0..", false },
		{ "small", "-32768..32767", true },
		{ "duration", "1500000", true },
		{ "duration", "1500us", true },
		{ "duration", "1.5ms", true },
		{ "duration", "1ms..", true },
		{ "duration", "1ms..2ms", true },
		{ "duration", "2ms..", false },
		{ "delta", "-1.5ms", true },
		{ "delta", "-2ms..-1ms", true },
		{ "delta", "1.5ms", false },
		{ "timestamp", "5000000000", true },
		{ "timestamp", "5s", true },
		{ "size", "64KiB", true },
		{ "size", "65536", true },
		{ "size", "1k..1M", true },
		{ "size", "..63KiB", false },
		{ "flags", "0xabc", true },
		{ "flags", "2748", true },
		{ "flags", "0x0..0xfff", true },
		{ "ok", "true", true },
		{ "ok", "yes", true },
		{ "ok", "1", true },
		{ "ok", "false", false },
		{ "ok", "!0", true },
	};
	uint8_t record[DEMO_RECORD_SIZE];

	(void)state;
	base_record(record);
	assert_matches(cases, ARRAY_SIZE(cases), record);
}

static void lists_match_by_any_element(void **state)
{
	static const struct match_case cases[] = {
		{ "list", "700", true },      { "list", "-5", true },	    { "list", "1", false },
		{ "list", "600..800", true }, { "list", "1..699", false },  { "list", "!0", false },
		{ "list", "!9", true },	      { "list", "-5,0,700", true },
	};
	uint8_t record[DEMO_RECORD_SIZE];

	(void)state;
	base_record(record);
	assert_matches(cases, ARRAY_SIZE(cases), record);
}

static void names_match(void **state)
{
	static const struct match_case cases[] = {
		{ "color", "GREEN", true },
		{ "color", "green", true },
		{ "color", "COLOR_GREEN", true },
		{ "color", "Lime", true }, /* the other name of the value */
		{ "color", "2", true },
		{ "color", "BLUE", false },
		{ "color", "!blue", true },
		{ "color", "BLUE,GREEN", true },
		{ "color", "G*", true },
		{ "color", "g?een", true },
		{ "color", "dark*", false },
		{ "color", "COLOR_*", true },
		{ "color", "1..3", true },
		{ "color", "DARK_RED..BLUE", true },
		{ "color", "BLUE..", false },
		{ "color_code", "2", true },
		{ "color_code", "GREEN", true },
		{ "color_code", "3..", false },
		{ "level", "low", true },
		{ "level", "-1", true },
		{ "level", "LOW..MIDDLE", true },
		{ "level", "high", false },
		{ "state", "busy", true },
		{ "state", "DEMO_STATE_BUSY", true },
		{ "state", "DEMO_OTHER", false },
		{ "nameless", "5", true },
		{ "alone", "9", true },
		{ "alone", "!one", true },
		{ "error", "ECONNREFUSED", true },
		{ "error", "econnrefused", true },
		{ "error", "111", true },
		{ "error", "-111", true },
		{ "error", "ECONN*", true },
		{ "error", "*", true },
		{ "error", "ETIMEDOUT", false },
		{ "error", "!ETIMEDOUT", true },
		{ "error", "ETIMEDOUT,ECONNREFUSED", true },
		{ "error", "ERESTARTSYS", false },
	};
	uint8_t record[DEMO_RECORD_SIZE];

	(void)state;
	base_record(record);
	assert_matches(cases, ARRAY_SIZE(cases), record);
	/* Success has no error: "*" asks for any, "!*" for none. */
	set_number(stream, record, "result", 0);
	assert_false(matches_record("error", "*", record, sizeof(record)));
	assert_true(matches_record("error", "!*", record, sizeof(record)));
	set_number(stream, record, "result", (uint64_t)-4095);
	assert_true(matches_record("error", "4095", record, sizeof(record)));
	assert_true(matches_record("error", "*", record, sizeof(record)));
}

static void texts_match(void **state)
{
	static const struct match_case cases[] = {
		{ "command", "curl", true },
		{ "command", "Curl", false },
		{ "command", "cur", false },
		{ "command", "curl2", false },
		{ "command", "cu*", true },
		{ "command", "*rl", true },
		{ "command", "c?rl", true },
		{ "command", "*", true },
		{ "command", "!sshd", true },
		{ "command", "!c*", false },
		{ "command", "wget,curl", true },
		{ "command", "c\\*rl", false },
		{ "command", "\\c\\u\\r\\l", true },
		{ "command", "a..z", false }, /* no range: text */
		{ "command", "a-name-longer-than-the-field-could-ever-hold", false },
		{ "command", "\xff\xfe", false },
	};
	static const char *const odd[] = { "a,b", "!x", "*",	"?",	   "a\\b",
					   "..",  "-5", "1..2", "\xff\x80" };
	static const char *const escaped[] = { "a\\,b", "\\!x", "\\*",	"\\?",	   "a\\\\b",
					       "..",	"-5",	"1..2", "\xff\x80" };
	uint8_t record[DEMO_RECORD_SIZE];

	(void)state;
	base_record(record);
	assert_matches(cases, ARRAY_SIZE(cases), record);
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		set_text(stream, record, "command", odd[i]);
		assert_true(matches_record("command", escaped[i], record, sizeof(record)));
		set_text(stream, record, "command", "other");
		assert_false(matches_record("command", escaped[i], record, sizeof(record)));
	}
	set_text(stream, record, "command", "");
	assert_true(matches_record("command", "!?*", record, sizeof(record)));
	assert_true(matches_record("command", "*", record, sizeof(record)));
	set_text(stream, record, "command", "0123456789abcdef"); /* no room for NUL */
	assert_true(matches_record("command", "0123456789abcdef", record, sizeof(record)));
	assert_false(matches_record("command", "0123456789abcde", record, sizeof(record)));
}

static void addresses_match(void **state)
{
	static const struct match_case cases[] = {
		{ "ip", "10.1.2.3", true },
		{ "ip", "::ffff:10.1.2.3", true },
		{ "ip", "10.1.2.4", false },
		{ "ip", "10.0.0.0/8", true },
		{ "ip", "10.9.9.9/8", true }, /* bits after the prefix do not count */
		{ "ip", "11.0.0.0/8", false },
		{ "ip", "0.0.0.0/0", true },
		{ "ip", "::/0", true },
		{ "ip", "2001:db8::/32", false },
		{ "ip", "10.1.2.0..10.1.2.255", true },
		{ "ip", "10.1.2.4..", false },
		{ "ip", "..10.1.2.3", true },
		{ "ip", "!10.0.0.0/8", false },
		{ "ip", "127.0.0.1,10.1.2.3/32", true },
		{ "ip4", "10.1.2.3", true },
		{ "ip4", "10.0.0.0/8", true },
		{ "ip4", "::ffff:10.1.2.3", true },
		{ "ip4", "::/0", true },
		{ "ip4", "::1", false },
		{ "ip4", "!::1", true },
		{ "ip4", "10.1.2.3..10.1.2.4", true },
		{ "ip4", "..10.1.2.2", false },
		{ "inner_ip", "2001:db8::", true },
		{ "inner_ip", "2001:DB8:0:0:0:0:0:0", true },
		{ "inner_ip", "2001:db8::/32", true },
		{ "inner_ip", "2001:db8::/128", true },
		{ "inner_ip", "2001:db9::/32", false },
		{ "inner_ip", "2001::..2002::", true },
		{ "inner_ip", "2001::..", true },
		{ "inner_ip", "0.0.0.0/0", false },
		{ "inner_ip", "10.0.0.1..", false }, /* stays in its family */
		{ "inner_ip", "..10.0.0.1", false },
		{ "mac", "52:54:00:ab:cd:ef", true },
		{ "mac", "52-54-00-AB-CD-EF", true },
		{ "mac", "52:54:00:ab:cd:ee", false },
		{ "mac", "52:54:00:00:00:00..52:54:00:ff:ff:ff", true },
		{ "mac", "52:54:01:00:00:00..", false },
		{ "mac", "..ff:ff:ff:ff:ff:ff", true },
		{ "token", "000ff0ff", true },
		{ "token", "000FF0FF", true },
		{ "token", "000f*", true },
		{ "token", "*", true },
		{ "token", "0010*", false },
		{ "digest", "deadbeef00000000000000000000000000000000", true },
		{ "digest", "deadbeef00000000000000000000000000000001", false },
		{ "digest", "deadbeef*", true },
		{ "digest", "deadbeee*", false },
		{ "digest", "*", true },
	};
	uint8_t record[DEMO_RECORD_SIZE];

	(void)state;
	base_record(record);
	assert_matches(cases, ARRAY_SIZE(cases), record);
}

static void endpoints_match(void **state)
{
	static const struct match_case cases[] = {
		{ "endpoint", "10.1.2.3:443", true },
		{ "endpoint", "10.1.2.3:80", false },
		{ "endpoint", "10.1.2.4:443", false },
		{ "endpoint", "10.1.2.3", true },
		{ "endpoint", "10.0.0.0/8:443", true },
		{ "endpoint", "10.0.0.0/8", true },
		{ "endpoint", "*:443", true },
		{ "endpoint", "*:80", false },
		{ "endpoint", "/run/*", false },
		{ "endpoint", "*", false }, /* a path, and there is none */
		{ "endpoint", "!10.1.2.3:443", false },
		{ "endpoint", "!10.1.2.3:80", true },
		{ "endpoint", "1.1.1.1:53,10.1.2.3:443", true },
		{ "endpoint", "[::ffff:10.1.2.3]:443", true },
		{ "inner_address", "[2001:db8::]:53", true },
		{ "inner_address", "[2001:db8::]:54", false },
		{ "inner_address", "[2001:db8::]", true },
		{ "inner_address", "2001:db8::", true },
		{ "inner_address", "2001:db8::/32", true },
		{ "inner_address", "[2001:db8::]/32:53", true },
		{ "inner_address", "[2001:db8::/32]:53", true },
		{ "inner_address", "[2001:db8::/32]", true },
		{ "inner_address", "*:53", true },
	};
	uint8_t record[DEMO_RECORD_SIZE];

	(void)state;
	base_record(record);
	assert_matches(cases, ARRAY_SIZE(cases), record);
	set_number(stream, record, "kind", 1);
	set_text(stream, record, "path", "/run/dbus.sock");
	assert_true(matches_record("endpoint", "/run/*", record, sizeof(record)));
	assert_true(matches_record("endpoint", "/run/dbus.sock", record, sizeof(record)));
	assert_true(matches_record("endpoint", "*", record, sizeof(record)));
	assert_false(matches_record("endpoint", "*:443", record, sizeof(record)));
	assert_false(matches_record("endpoint", "10.1.2.3", record, sizeof(record)));
	set_text(stream, record, "path", "1.2.3.4:5");
	assert_false(matches_record("endpoint", "1.2.3.4:5", record, sizeof(record)));
	assert_true(matches_record("endpoint", "\\1.2.3.4:5", record, sizeof(record)));
}

static void symbols_match_by_name(void **state)
{
	static const struct match_case cases[] = {
		{ "location", "tcp_close", true },
		{ "location", "tcp_close+0x1c", true },
		{ "location", "tcp_close+28", true },
		{ "location", "tcp_close+0x1d", false },
		{ "location", "tcp_*", true },
		{ "location", "*", true },
		{ "location", "udp_*", false },
		{ "location", "tcp_connect", false },
		{ "location", "!tcp_close", false },
		{ "location", "0xffffffff8100011c", true },
		{ "location", "0xffffffff81000100..0xffffffff810001ff", true },
		{ "location", "twin", false },
	};
	struct filter filter = { 0 };
	uint8_t record[DEMO_RECORD_SIZE];
	char error[256];

	(void)state;
	base_record(record);
	assert_matches(cases, ARRAY_SIZE(cases), record);
	set_number(stream, record, "location", 0xffffffff81000510);
	assert_true(matches_record("location", "twin", record, sizeof(record)));
	assert_true(matches_record("location", "twin+0x10", record, sizeof(record)));
	assert_false(matches_record("location", "between", record, sizeof(record)));
	assert_int_equal(filter_add(&filter, stream, field_of(stream, "location"), "tcp_close",
				    NULL, NULL, error, sizeof(error)),
			 -EINVAL);
	assert_non_null(strstr(error, "its symbols cannot be read"));
	assert_int_equal(filter_add(&filter, stream, field_of(stream, "location"), "0x10", NULL,
				    NULL, error, sizeof(error)),
			 0);
	filter_fini(&filter);
}

/* A neighbourhood of names becomes one range, which is what makes globs cheap. */
static void neighbours_become_one_range(void **state)
{
	struct filter filter = { 0 };
	char error[256];

	(void)state;
	assert_int_equal(filter_add(&filter, stream, field_of(stream, "location"), "*", symbols,
				    NULL, error, sizeof(error)),
			 0);
	assert_int_equal(filter.predicates[0].count, 1);
	assert_int_equal(filter.predicates[0].alternatives[0].tests[0].range.low,
			 0xffffffff81000000);
	assert_int_equal(filter.predicates[0].alternatives[0].tests[0].range.high,
			 0xffffffff810005ff);
	filter_fini(&filter);
	assert_int_equal(filter_add(&filter, stream, field_of(stream, "pid"), "1,2,3,5,2..4", NULL,
				    NULL, error, sizeof(error)),
			 0);
	assert_int_equal(filter.predicates[0].count, 3);
	filter_fini(&filter);
	filter_fini(&filter);
}

static void null_matches_only_negations(void **state)
{
	uint8_t record[DEMO_RECORD_SIZE];

	(void)state;
	base_record(record);
	set_number(stream, record, "kind", 7); /* neither address nor path */
	for (size_t i = 0; i < stream->field_count; i++) {
		const struct field *field = &stream->fields[i];
		const char *all = field->kind == FIELD_STRING		? "*"
				  : field->kind == FIELD_IP		? "::/0"
				  : field->kind == FIELD_MAC		? "..ff:ff:ff:ff:ff:ff"
				  : field->kind == FIELD_BYTES		? "*"
				  : field->kind == FIELD_BOOLEAN	? "true,false"
				  : field->derivation == FIELD_ERRNO_OF ? "*"
				  : field->is_signed			? "-1..,..0"
									: "0..";
		char negated[64];
		bool null;

		if (field->hidden)
			continue;
		null = field_is_null(stream, field, record, 48);
		snprintf(negated, sizeof(negated), "!%s", all);
		assert_int_equal(matches_record(field->name, all, record, 48), !null);
		assert_int_equal(matches_record(field->name, negated, record, 48), null);
		null = field_is_null(stream, field, record, sizeof(record));
		assert_int_equal(matches_record(field->name, all, record, sizeof(record)), !null);
		assert_int_equal(matches_record(field->name, negated, record, sizeof(record)),
				 null);
	}
}

static void all_predicates_must_hold(void **state)
{
	struct filter filter = { 0 };
	uint8_t record[DEMO_RECORD_SIZE];
	char error[256];

	(void)state;
	base_record(record);
	assert_true(filter_match(&filter, stream, record, sizeof(record)));
	filter_add(&filter, stream, field_of(stream, "pid"), "1234", NULL, NULL, error,
		   sizeof(error));
	filter_add(&filter, stream, field_of(stream, "command"), "c*", NULL, NULL, error,
		   sizeof(error));
	assert_int_equal(filter.count, 2);
	assert_true(filter_match(&filter, stream, record, sizeof(record)));
	/* What is refused changes nothing. */
	assert_int_equal(filter_add(&filter, stream, field_of(stream, "pid"), "1,x", NULL, NULL,
				    error, sizeof(error)),
			 -EINVAL);
	assert_int_equal(filter.count, 2);
	assert_true(filter_match(&filter, stream, record, sizeof(record)));
	filter_add(&filter, stream, field_of(stream, "port"), "!443", NULL, NULL, error,
		   sizeof(error));
	assert_false(filter_match(&filter, stream, record, sizeof(record)));
	filter_fini(&filter);
}

/* Text of a process with a backslash before whatever the grammar knows. */
static char *escape(const char *text)
{
	char *escaped = malloc(strlen(text) * 2 + 1), *at = escaped;

	for (; *text; text++) {
		if (strchr("\\!,*?", *text))
			*at++ = '\\';
		*at++ = *text;
	}
	*at = '\0';
	return escaped;
}

/* Whatever a field shows can be asked for. */
static void what_is_shown_is_found(void **state)
{
	const struct encoding encoding = { .symbols = symbols };
	uint64_t seed = 0xd1342543de82ef95;
	size_t asked = 0;

	(void)state;
	for (int i = 0; i < 4000; i++) {
		uint8_t record[DEMO_RECORD_SIZE];
		uint32_t length = random_length(&seed);
		struct event event = { .schema = stream, .record = record, .length = length };

		random_record(stream, &seed, record);
		if (random_number(&seed) % 2)
			set_number(stream, record, "location",
				   0xffffffff81000000 + random_number(&seed) % 0x700);
		for (size_t f = 0; f < stream->field_count; f++) {
			const struct field *field = &stream->fields[f];
			BUFFER out = BUFFER_INIT;

			if (field->hidden || field_is_null(stream, field, record, length))
				continue;
			field_encode_text(&event, field, &encoding, &out);
			FREE char *text = buffer_take_string(&out);
			if (!*text)
				continue; /* an empty char array */
			FREE char *expression = field->kind == FIELD_STRING ||
								field->derivation ==
									FIELD_ENDPOINT_OF
							? escape(text)
							: strdup(text);
			if (!matches_record(field->name, expression, record, length))
				fail_msg("%s=%s is not found", field->name, expression);
			asked++;
		}
	}
	assert_true(asked > 50000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_match),
		cmocka_unit_test(lists_match_by_any_element),
		cmocka_unit_test(names_match),
		cmocka_unit_test(texts_match),
		cmocka_unit_test(addresses_match),
		cmocka_unit_test(endpoints_match),
		cmocka_unit_test(symbols_match_by_name),
		cmocka_unit_test(neighbours_become_one_range),
		cmocka_unit_test(null_matches_only_negations),
		cmocka_unit_test(all_predicates_must_hold),
		cmocka_unit_test(what_is_shown_is_found),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
