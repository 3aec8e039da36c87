/* SPDX-License-Identifier: MIT */
/*
 * A bound on lines that are alike: so many in a window of time, then only a count. Whoever can make
 * the server say something (a wrong credential, a request) must not fill a disk by it. Not
 * thread-safe.
 */
#ifndef BASE_LOG_LIMIT_H
#define BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT_LINES 200u
#define LOG_LIMIT_WINDOW_NS 10000000000ULL
#define LOG_LIMIT_KINDS 64u

/* Zeroed to begin with. */
struct log_limit {
	struct {
		const void *kind; /* NULL: free */
		uint64_t begin;	  /* of its window, in ns */
		unsigned int lines, suppressed;
	} kinds[LOG_LIMIT_KINDS];
};

/* Whether a line of this kind (any pointer: its format) may be written now, in ns of a clock that
 * never steps back. If so, *ret_suppressed is how many were not since the last one. When there are
 * more kinds at a time than places, what has none is not bounded. */
bool log_limit_admit(struct log_limit *limit, const void *kind, uint64_t now,
		     unsigned int *ret_suppressed);

#endif
