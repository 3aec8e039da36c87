/* SPDX-License-Identifier: MIT */
/* Symbols asked by several threads at once, while the first of them still reads the table. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "schema/kernel.h"

#define THREADS 4
#define SYMBOLS 5000
#define FIRST 0xffffffff81000000

struct asker {
	pthread_t thread;
	pthread_barrier_t *start;
	struct symbols *symbols;
	size_t right, matched;
};

static void count(void *context, uint64_t start, uint64_t end)
{
	size_t *matched = context;

	*matched += end - start == 15;
}

static void *ask(void *context)
{
	struct asker *asker = context;

	pthread_barrier_wait(asker->start);
	for (uint64_t i = 0; i < SYMBOLS - 1; i++) {
		uint64_t offset = 0;
		const char *name = symbols_lookup(asker->symbols, FIRST + i * 16 + 7, &offset);
		char expected[32];

		snprintf(expected, sizeof(expected), "symbol_%llu", (unsigned long long)i);
		asker->right += name && offset == 7 && !strcmp(name, expected);
		/* Unknown: may read the table again. */
		asker->right -= symbols_lookup(asker->symbols, FIRST - 1, &offset) != NULL;
	}
	symbols_match(asker->symbols, "symbol_1*", count, &asker->matched);
	return NULL;
}

static void many_threads_get_right_answers(void **state)
{
	int fd = memfd_create("kallsyms", MFD_CLOEXEC);
	struct asker askers[THREADS];
	pthread_barrier_t start;
	struct symbols *symbols;

	(void)state;
	for (uint64_t i = 0; i < SYMBOLS; i++)
		dprintf(fd, "%llx t symbol_%llu\n", (unsigned long long)(FIRST + i * 16),
			(unsigned long long)i);
	symbols = symbols_new(fd);
	pthread_barrier_init(&start, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		askers[i] = (struct asker){ .start = &start, .symbols = symbols };
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(askers[i].thread, NULL);
		assert_int_equal(askers[i].right, SYMBOLS - 1);
		assert_int_equal(askers[i].matched, 1111); /* 1, 10..19, 100..199, 1000..1999 */
	}
	pthread_barrier_destroy(&start);
	symbols_free(symbols);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_threads_get_right_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
