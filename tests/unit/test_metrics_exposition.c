/* SPDX-License-Identifier: MIT */
/* Metrics as text, byte for byte, in both formats; and which format is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "metrics/exposition.h"

static void assert_text(struct buffer *out, const char *expected)
{
	FREE char *text = buffer_take_string(out);

	assert_string_equal(text, expected);
}

static void counters_have_their_ending(void **state)
{
	BUFFER out = BUFFER_INIT;
	struct exposition exposition;

	(void)state;
	exposition_begin(&exposition, EXPOSITION_TEXT, &out);
	exposition_family(&exposition, "calls", METRIC_COUNTER, "", "Calls \\ made\n\"so\"");
	exposition_integer(&exposition, 7, "route", "/", NULL);
	exposition_integer(&exposition, UINT64_MAX, NULL);
	exposition_end(&exposition);
	assert_text(&out, "# HELP calls_total Calls \\\\ made\\n\"so\"\n"
			  "# TYPE calls_total counter\n"
			  "calls_total{route=\"/\"} 7\n"
			  "calls_total 18446744073709551615\n");

	exposition_begin(&exposition, EXPOSITION_OPENMETRICS, &out);
	exposition_family(&exposition, "calls", METRIC_COUNTER, "", "Calls \\ made\n\"so\"");
	exposition_integer(&exposition, 7, "route", "/", NULL);
	exposition_family(&exposition, "lag_seconds", METRIC_GAUGE, "seconds", "");
	exposition_decimal(&exposition, (struct exposition_value){ 1500, 3, false }, NULL);
	exposition_end(&exposition);
	assert_text(&out, "# HELP calls Calls \\\\ made\\n\\\"so\\\"\n"
			  "# TYPE calls counter\n"
			  "calls_total{route=\"/\"} 7\n"
			  "# TYPE lag_seconds gauge\n"
			  "# UNIT lag_seconds seconds\n"
			  "lag_seconds 1.5\n"
			  "# EOF\n");
}

static void numbers_are_exact(void **state)
{
	static const struct {
		struct exposition_value value;
		const char *text;
	} cases[] = {
		{ { 0, 9, false }, "g 0\n" },
		{ { 1, 9, false }, "g 0.000000001\n" },
		{ { 1000000000, 9, false }, "g 1\n" },
		{ { UINT64_MAX, 9, false }, "g 18446744073.709551615\n" },
		{ { 1050, 3, false }, "g 1.05\n" },
		{ { (uint64_t)-5, 0, true }, "g -5\n" },
		{ { (uint64_t)-1500, 3, true }, "g -1.5\n" },
		{ { 1ULL << 63, 0, true }, "g -9223372036854775808\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		BUFFER out = BUFFER_INIT;
		struct exposition exposition = { .out = &out, .name = "g", .type = METRIC_GAUGE };

		exposition_decimal(&exposition, cases[i].value, NULL);
		assert_text(&out, cases[i].text);
	}
}

static void labels_take_any_bytes(void **state)
{
	static const char nasty[] = "a\"b\\c\n</script>\r\xff\xc3\xa9\xe2\x82";
	BUFFER labels = BUFFER_INIT;

	(void)state;
	exposition_label(&labels, "comm", nasty, sizeof(nasty) - 1);
	exposition_label(&labels, "empty", "", 0);
	assert_text(&labels, "comm=\"a\\\"b\\\\c\\n</script>\r\xef\xbf\xbd\xc3\xa9"
			     "\xef\xbf\xbd\xef\xbf\xbd\",empty=\"\"");
}

static void histograms_add_up(void **state)
{
	static const uint64_t counts[4] = { 1, 0, 2, 4 };
	const uint64_t sum = 2500000000;
	BUFFER out = BUFFER_INIT, labels = BUFFER_INIT;
	struct exposition exposition;

	(void)state;
	exposition_label(&labels, "op", "read", 4);
	exposition_begin(&exposition, EXPOSITION_TEXT, &out);
	exposition_family(&exposition, "time_seconds", METRIC_HISTOGRAM, "seconds", "Time");
	exposition_histogram(&exposition, &labels, counts, 4, 9, &sum);
	assert_text(&out, "# HELP time_seconds Time\n"
			  "# TYPE time_seconds histogram\n"
			  "time_seconds_bucket{op=\"read\",le=\"0.000000001\"} 1\n"
			  "time_seconds_bucket{op=\"read\",le=\"0.000000003\"} 1\n"
			  "time_seconds_bucket{op=\"read\",le=\"0.000000007\"} 3\n"
			  "time_seconds_bucket{op=\"read\",le=\"+Inf\"} 7\n"
			  "time_seconds_sum{op=\"read\"} 2.5\n"
			  "time_seconds_count{op=\"read\"} 7\n");

	buffer_clear(&labels);
	exposition_begin(&exposition, EXPOSITION_OPENMETRICS, &out);
	exposition_family(&exposition, "size_bytes", METRIC_HISTOGRAM, "bytes", "");
	exposition_histogram(&exposition, &labels, counts, 3, 0, NULL);
	assert_text(&out, "# TYPE size_bytes histogram\n"
			  "# UNIT size_bytes bytes\n"
			  "size_bytes_bucket{le=\"1.0\"} 1\n"
			  "size_bytes_bucket{le=\"3.0\"} 1\n"
			  "size_bytes_bucket{le=\"+Inf\"} 3\n");
}

/* The last slot of 64 is everything from 2^63 on. */
static void the_widest_histogram(void **state)
{
	uint64_t counts[64] = { [62] = 1, [63] = 1 };
	BUFFER out = BUFFER_INIT, labels = BUFFER_INIT;
	struct exposition exposition;
	FREE char *text = NULL;

	(void)state;
	exposition_begin(&exposition, EXPOSITION_TEXT, &out);
	exposition_family(&exposition, "n", METRIC_HISTOGRAM, "", "");
	exposition_histogram(&exposition, &labels, counts, 64, 0, NULL);
	text = buffer_take_string(&out);
	assert_non_null(strstr(text, "n_bucket{le=\"4611686018427387903\"} 0\n"));
	assert_non_null(strstr(text, "n_bucket{le=\"9223372036854775807\"} 1\n"));
	assert_non_null(strstr(text, "n_bucket{le=\"+Inf\"} 2\nn_count 2\n"));
}

static void formats_are_negotiated(void **state)
{
	static const struct {
		const char *accept;
		enum exposition_format format;
	} cases[] = {
		{ NULL, EXPOSITION_TEXT },
		{ "", EXPOSITION_TEXT },
		{ "*/*", EXPOSITION_TEXT },
		{ "text/html,application/xhtml+xml,*/*;q=0.8", EXPOSITION_TEXT },
		{ "application/json", EXPOSITION_TEXT },
		{ "application/openmetrics-text", EXPOSITION_OPENMETRICS },
		{ "application/openmetrics-text; version=1.0.0; charset=utf-8",
		  EXPOSITION_OPENMETRICS },
		{ "APPLICATION/OpenMetrics-Text;VERSION=\"1.0.0\"", EXPOSITION_OPENMETRICS },
		{ "application/openmetrics-text;version=2.0.0", EXPOSITION_TEXT },
		{ "application/openmetrics-text;q=0", EXPOSITION_TEXT },
		{ "application/openmetrics-text,*/*;q=0.1", EXPOSITION_OPENMETRICS },
		{ "application/openmetrics-text;q=0.3,text/plain;q=0.5", EXPOSITION_TEXT },
		{ "application/openmetrics-text;q=0.5,text/plain;q=0.25", EXPOSITION_OPENMETRICS },
		{ "text/plain;version=0.0.4", EXPOSITION_TEXT },
		{ "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.9",
		  EXPOSITION_TEXT },
		/* Prometheus 2.42, and 3.0. */
		{ "application/openmetrics-text;version=1.0.0,"
		  "application/openmetrics-text;version=0.0.1;q=0.75,"
		  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		  EXPOSITION_OPENMETRICS },
		{ "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
		  "application/openmetrics-text;version=0.0.1;q=0.4,"
		  "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
		  "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
		  EXPOSITION_OPENMETRICS },
		{ ";;;,,,q=1", EXPOSITION_TEXT },
		{ "application/openmetrics-text;version=;q=", EXPOSITION_OPENMETRICS },
		{ "application/openmetrics-text;version=\"", EXPOSITION_TEXT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (exposition_negotiate(cases[i].accept) != cases[i].format)
			fail_msg("%s", cases[i].accept ? cases[i].accept : "(none)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_have_their_ending),
		cmocka_unit_test(numbers_are_exact),
		cmocka_unit_test(labels_take_any_bytes),
		cmocka_unit_test(histograms_add_up),
		cmocka_unit_test(the_widest_histogram),
		cmocka_unit_test(formats_are_negotiated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
