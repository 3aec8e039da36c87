/* SPDX-License-Identifier: MIT */
/* Events as lines for people. */
#include "encode_fixture.h"

static char *line_of(const struct event *event)
{
	BUFFER out = BUFFER_INIT;

	event_encode_text(event, &plain, &out);
	return buffer_take_string(&out);
}

static void a_line_says_what_happened(void **state)
{
	uint8_t record[DEMO_RECORD_SIZE];
	struct event event;

	(void)state;
	fill(record);
	event = event_of(record, 142);
	FREE char *line = line_of(&event);
	assert_string_equal(line,
			    "22:15:23.456789 demo sh[4294967295] duration=18446744073709551615 "
			    "delta=-9223372036854775808 location=0xffffffff81000010 flags=0xabc "
			    "size=1500 result=-111 error=ECONNREFUSED color=GREEN level=-1 state=9 "
			    "nameless=5 ok=true kind=4 small=-300 alone=ONE mac=52:54:00:ab:cd:ef "
			    "ip4=127.0.0.1 endpoint=1.2.3.255:443");
}

static void a_line_cannot_be_forged(void **state)
{
	static const struct {
		const char *path, *shown;
	} cases[] = {
		{ "/a", "endpoint=/a" },
		{ "", "endpoint=\"\"" },
		{ "/a b", "endpoint=\"/a b\"" },
		{ "a=\"b", "endpoint=\"a=\\\"b\"" },
		{ "\n\x1b[2J", "endpoint=\\x0a\\x1b[2J" },
		{ "\xc2\x9b"
		  "2J",
		  "endpoint=\\xc2\\x9b2J" },
		{ "\xe2\x80\xa8", "endpoint=\\xe2\\x80\\xa8" },
		{ "\xff", "endpoint=\\xff" },
		{ "\\x0a", "endpoint=\\x5cx0a" },
		{ "na\xc3\xafve", "endpoint=na\xc3\xafve" },
	};
	uint8_t record[DEMO_RECORD_SIZE];
	struct event event;

	(void)state;
	fill(record);
	set_number(stream, record, "kind", 1);
	event = event_of(record, sizeof(record));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char expected[128];

		set_text(stream, record, "path", cases[i].path);
		set_text(stream, record, "command", "\x1b]0;x");
		FREE char *line = line_of(&event);
		snprintf(expected, sizeof(expected), " %s ", cases[i].shown);
		if (!strstr(line, expected))
			fail_msg("%s is not in %s", expected, line);
		assert_non_null(strstr(line, " demo \\x1b]0;x[4294967295] "));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_says_what_happened),
		cmocka_unit_test(a_line_cannot_be_forged),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
