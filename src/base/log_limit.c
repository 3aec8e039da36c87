/* SPDX-License-Identifier: MIT */
#include "base/log_limit.h"

#include <stddef.h>

#define PROBES 8u

static bool is_over(const struct log_limit *limit, size_t place, uint64_t now)
{
	return now - limit->kinds[place].begin >= LOG_LIMIT_WINDOW_NS;
}

/* The kind's place, or one that is free, or one whose kind has nothing more to say. */
static size_t find_place(struct log_limit *limit, const void *kind, uint64_t now)
{
	const size_t first = (uintptr_t)kind * 0x9e3779b97f4a7c15ULL >> 32;
	size_t found = LOG_LIMIT_KINDS;

	for (size_t i = 0; i < PROBES; i++) {
		size_t place = (first + i) % LOG_LIMIT_KINDS;

		if (limit->kinds[place].kind == kind)
			return place;
		if (found == LOG_LIMIT_KINDS &&
		    (!limit->kinds[place].kind ||
		     (is_over(limit, place, now) && !limit->kinds[place].suppressed)))
			found = place;
	}
	if (found < LOG_LIMIT_KINDS) {
		limit->kinds[found].kind = kind;
		limit->kinds[found].begin = now;
		limit->kinds[found].lines = limit->kinds[found].suppressed = 0;
	}
	return found;
}

bool log_limit_admit(struct log_limit *limit, const void *kind, uint64_t now,
		     unsigned int *ret_suppressed)
{
	const size_t place = find_place(limit, kind, now);

	*ret_suppressed = 0;
	if (place == LOG_LIMIT_KINDS)
		return true;
	if (is_over(limit, place, now)) {
		limit->kinds[place].begin = now;
		limit->kinds[place].lines = 0;
	}
	if (limit->kinds[place].lines == LOG_LIMIT_LINES) {
		limit->kinds[place].suppressed++;
		return false;
	}
	limit->kinds[place].lines++;
	*ret_suppressed = limit->kinds[place].suppressed;
	limit->kinds[place].suppressed = 0;
	return true;
}
