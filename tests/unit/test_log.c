/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/memory.h"

/* Standard error goes to a file between these two; the second returns what it holds. */
static int real_stderr = -1;
static FILE *capture_file;

static void capture_begin(void)
{
	fflush(stderr);
	capture_file = tmpfile();
	assert_non_null(capture_file);
	real_stderr = dup(STDERR_FILENO);
	assert_true(dup2(fileno(capture_file), STDERR_FILENO) >= 0);
}

static char *capture_end(void)
{
	long size;
	char *text;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	fseek(capture_file, 0, SEEK_END);
	size = ftell(capture_file);
	rewind(capture_file);
	text = calloc((size_t)size + 1, 1);
	assert_int_equal(fread(text, 1, (size_t)size, capture_file), size);
	fclose(capture_file);
	return text;
}

/* The one line logged, behind its time, which is checked and cut off. */
static char *logged(enum log_level level, const char *text)
{
	FREE char *line = NULL;
	uint64_t before = clock_real_ns(), time;

	capture_begin();
	log_message(level, "%s", text);
	line = capture_end();
	assert_true(strlen(line) > 25);
	assert_int_equal(line[23], 'Z');
	assert_int_equal(line[24], ' ');
	line[24] = '\0';
	assert_int_equal(clock_parse_time(line, 0, &time), 0);
	assert_true(time + NS_PER_MS >= before && time <= clock_real_ns());
	return strdup(line + 25);
}

static void assert_logged(const char *text, const char *expected)
{
	FREE char *line = logged(LOG_INFO, text);

	assert_string_equal(line, expected);
}

static void test_levels(void **state)
{
	static const struct {
		enum log_level level;
		const char *name;
	} levels[] = {
		{ LOG_ERROR, "error" },
		{ LOG_WARN, "warn" },
		{ LOG_INFO, "info" },
		{ LOG_DEBUG, "debug" },
	};
	(void)state;

	for (size_t set = 0; set < ARRAY_SIZE(levels); set++) {
		enum log_level parsed;
		FREE char *text = NULL;

		assert_int_equal(log_level_parse(levels[set].name, &parsed), 0);
		assert_int_equal(parsed, levels[set].level);
		log_set_level(parsed);
		capture_begin();
		for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
			assert_int_equal(log_enabled(levels[i].level), i <= set);
			log_message(levels[i].level, "at %s", levels[i].name);
		}
		text = capture_end();
		for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
			char expected[40];

			snprintf(expected, sizeof(expected), "Z %s at %s\n", levels[i].name,
				 levels[i].name);
			assert_int_equal(strstr(text, expected) != NULL, i <= set);
		}
	}
	log_set_level(LOG_INFO);
}

static void test_unknown_levels(void **state)
{
	static const char *const bad[] = { "", "INFO", "warning", "inf", "info " };
	enum log_level level = LOG_DEBUG;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(log_level_parse(bad[i], &level), -EINVAL);
	assert_int_equal(level, LOG_DEBUG);
}

static int evaluations;

static const char *evaluated(void)
{
	evaluations++;
	return "x";
}

static void test_debug_costs_nothing_when_off(void **state)
{
	FREE char *text = NULL;
	(void)state;

	log_set_level(LOG_INFO);
	log_debug("%s", evaluated());
	assert_int_equal(evaluations, 0);
	log_set_level(LOG_DEBUG);
	capture_begin();
	log_debug("%s", evaluated());
	text = capture_end();
	assert_int_equal(evaluations, 1);
	assert_non_null(strstr(text, "Z debug x\n"));
	log_set_level(LOG_INFO);
}

static void test_text_cannot_forge(void **state)
{
	(void)state;
	assert_logged("plain", "info plain\n");
	assert_logged("a\nb", "info a\\x0ab\n");
	assert_logged("line end\n", "info line end\n");
	assert_logged("\x1b[31m\r\t\x7f", "info \\x1b[31m\\x0d\\x09\\x7f\n");
	assert_logged("\xc3\xa9 \xe2\x82\xac", "info \xc3\xa9 \xe2\x82\xac\n");
	assert_logged("\xc2\x9b"
		      "31m",
		      "info \\xc2\\x9b31m\n"); /* CSI in one character */
	assert_logged("\xc2\xa0", "info \xc2\xa0\n");
	assert_logged("bad \xff\xc3", "info bad \\xff\\xc3\n");
	assert_logged("", "info \n");
}

static void test_long_lines_are_whole(void **state)
{
	(void)state;
	for (size_t length = 1000; length < 1050; length++) {
		FREE char *text = malloc(length + 1), *line = NULL;

		memset(text, '\x01', length);
		text[length] = '\0';
		line = logged(LOG_INFO, text);
		assert_int_equal(strncmp(line, "info ", 5), 0);
		for (size_t i = 0; i < length; i++)
			assert_int_equal(strncmp(line + 5 + 4 * i, "\\x01", 4), 0);
		assert_string_equal(line + 5 + 4 * length, "\n");
	}
}

static void test_errno_is_kept(void **state)
{
	FREE char *text = NULL;
	(void)state;

	capture_begin();
	errno = ENOENT;
	log_info("%m");
	assert_int_equal(errno, ENOENT);
	log_info("%02000d %m", 7);
	assert_int_equal(errno, ENOENT);
	text = capture_end();
	assert_non_null(strstr(text, "info No such file or directory\n"));
	assert_non_null(strstr(text, "0007 No such file or directory\n"));
}

/* ---- the bound on lines that are alike, on a clock of the test's ---- */

static unsigned int admitted(struct log_limit *limit, const void *kind, uint64_t now,
			     unsigned int count, unsigned int *suppressed)
{
	unsigned int written = 0;

	*suppressed = 0;
	for (unsigned int i = 0; i < count; i++) {
		unsigned int before;

		written += log_limit_admit(limit, kind, now, &before);
		*suppressed += before;
	}
	return written;
}

static void test_limit(void **state)
{
	struct log_limit limit = { 0 };
	const uint64_t start = 1000 * NS_PER_SECOND;
	unsigned int suppressed;
	const char kinds[2] = "a";
	(void)state;

	assert_int_equal(admitted(&limit, &kinds[0], start, 1009, &suppressed), LOG_LIMIT_LINES);
	assert_int_equal(suppressed, 0);
	/* Others are not held up. */
	assert_int_equal(admitted(&limit, &kinds[1], start, 7, &suppressed), 7);
	assert_int_equal(
		admitted(&limit, &kinds[0], start + LOG_LIMIT_WINDOW_NS - 1, 11, &suppressed), 0);
	assert_int_equal(admitted(&limit, &kinds[0], start + LOG_LIMIT_WINDOW_NS, 3, &suppressed),
			 3);
	assert_int_equal(suppressed, 1009 - LOG_LIMIT_LINES + 11);
	assert_int_equal(admitted(&limit, &kinds[0], start + LOG_LIMIT_WINDOW_NS, 3, &suppressed),
			 3);
	assert_int_equal(suppressed, 0);
}

/* More kinds than places: what has none is written. What has fallen silent gives its place. */
static void test_limit_of_many_kinds(void **state)
{
	static const char kinds[1009];
	struct log_limit limit = { 0 };
	unsigned int suppressed, bounded = 0;
	uint64_t now = 1000 * NS_PER_SECOND;
	(void)state;

	for (size_t i = 0; i < sizeof(kinds); i++) {
		unsigned int written = admitted(&limit, &kinds[i], now, 251, &suppressed);

		assert_true(written == LOG_LIMIT_LINES || written == 251);
		bounded += written == LOG_LIMIT_LINES;
		/* What was not told keeps the place. */
		for (size_t j = 0; j < LOG_LIMIT_KINDS; j++)
			limit.kinds[j].suppressed = 0;
	}
	assert_in_range(bounded, 1, LOG_LIMIT_KINDS);
	now += LOG_LIMIT_WINDOW_NS;
	assert_int_equal(admitted(&limit, &kinds[500], now, 251, &suppressed), LOG_LIMIT_LINES);
}

static void test_lines_that_are_alike(void **state)
{
	FREE char *text = NULL;
	unsigned int lines = 0;
	(void)state;

	log_set_level(LOG_INFO);
	capture_begin();
	for (int i = 0; i < 1009; i++)
		log_info("alike %d", i);
	log_info("another");
	text = capture_end();
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, LOG_LIMIT_LINES + 1);
	assert_non_null(strstr(text, "info alike 199\n"));
	assert_null(strstr(text, "alike 200\n"));
	assert_non_null(strstr(text, "info another\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_unknown_levels),
		cmocka_unit_test(test_debug_costs_nothing_when_off),
		cmocka_unit_test(test_text_cannot_forge),
		cmocka_unit_test(test_long_lines_are_whole),
		cmocka_unit_test(test_errno_is_kept),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_limit_of_many_kinds),
		cmocka_unit_test(test_lines_that_are_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
