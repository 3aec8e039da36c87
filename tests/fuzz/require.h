/* SPDX-License-Identifier: MIT */
/* What a fuzzer requires of what came out. */
#ifndef TESTS_FUZZ_REQUIRE_H
#define TESTS_FUZZ_REQUIRE_H

#include <stddef.h>

/* What must hold whatever the input is; ends the run with a line that names it. */
#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fuzz_fail(__FILE__, __LINE__, #condition);                                 \
	} while (0)
_Noreturn void fuzz_fail(const char *file, int line, const char *condition);

/* That it is JSON. */
void fuzz_require_json(const char *text, size_t length);

#endif
