/* SPDX-License-Identifier: MIT */
/* What threads may do at once in base; meant for ThreadSanitizer, and true without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
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

static void *format_many(void *context)
{
	uint64_t first = *(const uint64_t *)context;

	for (uint64_t i = 0; i < 5003; i++) {
		uint64_t ns = first + i * 333333333, back;
		char text[CLOCK_RFC3339_SIZE];

		clock_format_rfc3339(ns, text);
		if (clock_parse_time(text, 0, &back) || back != ns)
			return context;
	}
	return NULL;
}

static void test_threads_do_not_share_seconds(void **state)
{
	static uint64_t first[3] = { 1, 1795232728123456789ULL, 3000000000000000000ULL };
	pthread_t threads[3];
	void *failed;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, format_many, &first[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

static void *log_many(void *context)
{
	for (int i = 0; i < 61;
	     i++) /* three times that is below the bound on lines that are alike */
		log_info("%s", (const char *)context);
	return NULL;
}

static void test_lines_of_threads_do_not_mix(void **state)
{
	static char texts[3][201];
	pthread_t threads[3];
	FREE char *all = NULL;
	size_t counts[3] = { 0 };
	char *rest, *line;
	(void)state;

	capture_begin();
	for (size_t i = 0; i < 3; i++) {
		memset(texts[i], 'a' + (int)i, 200);
		assert_int_equal(pthread_create(&threads[i], NULL, log_many, texts[i]), 0);
	}
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	all = capture_end();
	for (line = strtok_r(all, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		const char *text = strstr(line, " info ");
		size_t which;

		assert_non_null(text);
		which = (size_t)(text[6] - 'a');
		assert_true(which < 3);
		assert_string_equal(text + 6, texts[which]);
		counts[which]++;
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(counts[i], 61);
}

static void *read_boot(void *context)
{
	*(uint64_t *)context = clock_boot_epoch_seconds();
	return NULL;
}

static void test_boot_is_read_once(void **state)
{
	pthread_t threads[3];
	uint64_t seconds[3];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_boot, &seconds[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_true(seconds[0] > 0);
	assert_int_equal(seconds[0], seconds[1]);
	assert_int_equal(seconds[0], seconds[2]);
}

static void *set_levels(void *context)
{
	(void)context;
	for (int i = 0; i < 1009; i++)
		log_set_level(i % 2 ? LOG_INFO : LOG_DEBUG);
	return NULL;
}

static void test_level_changes_while_others_look(void **state)
{
	pthread_t thread;
	(void)state;

	assert_int_equal(pthread_create(&thread, NULL, set_levels, NULL), 0);
	for (int i = 0; i < 1009; i++)
		assert_true(log_enabled(LOG_WARN));
	pthread_join(thread, NULL);
	log_set_level(LOG_INFO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads_do_not_share_seconds),
		cmocka_unit_test(test_lines_of_threads_do_not_mix),
		cmocka_unit_test(test_boot_is_read_once),
		cmocka_unit_test(test_level_changes_while_others_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
