/* SPDX-License-Identifier: MIT */
/* How sums of events are written: shared by /api/events/summary in JSON and in CSV. Private to
 * api/summary.c and api/summary_write.c. */
#ifndef API_SUMMARY_H
#define API_SUMMARY_H

#include "api/question.h"
#include "api/routes.h"

/* What was asked, beside what went into the question. */
struct summary {
	struct arguments arguments;
	struct rule_value values[EVENTS_SUMMARY_RULES];
	struct rule_others filters;
	char *by_text, *of_text; /* that the names in `options` point into */
	struct aggregate_options options;
	uint64_t now; /* wall ns */
	uint64_t end; /* of the last bucket: wall ns, inclusive */
	bool by_wide[AGGREGATE_MAX_BY], of_wide[AGGREGATE_MAX_OF]; /* 64-bit integers */
	bool integers_as_strings;
};

void summary_write_json(struct answer *answer, const struct question *question,
			const struct summary *summary, const struct aggregate *aggregate,
			const struct aggregate_result *result);
void summary_write_csv(struct answer *answer, const struct question *question,
		       const struct summary *summary, const struct aggregate *aggregate,
		       const struct aggregate_result *result);

#endif
