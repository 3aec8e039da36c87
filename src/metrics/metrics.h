/* SPDX-License-Identifier: MIT */
/*
 * What Prometheus is told: families out of programs' maps (schema/metric.h), and the server's own
 * ones. A map is read when it is asked for; nothing is kept but what the next scrape must know.
 * Thread-safe: one scrape at a time.
 */
#ifndef METRICS_METRICS_H
#define METRICS_METRICS_H

#include "base/memory.h"
#include "metrics/exposition.h"
#include "pipeline/control.h"
#include "pipeline/pipeline.h"

struct symbols;
struct metrics;

struct metrics_options {
	struct pipeline *pipeline;
	struct control *control; /* asked for run counts when program_stats is set; may be NULL */
	struct symbols *symbols; /* may be NULL */
	const char *version;
	size_t max_series; /* of one family, besides `other` */
	unsigned int possible_cpus;
	int statm; /* /proc/self/statm, open; -1: none. Not taken */
	bool program_stats;
};

/* The options are copied; what they point to must outlive it. NULL when out of memory. */
struct metrics *metrics_new(const struct metrics_options *options);
void metrics_free(struct metrics *metrics);
DEFINE_CLEANUP(metrics, metrics_free)

/*
 * Writes every family, but no end. A scrape (`is_scrape`) has shown what it wrote: the series of
 * processes that had ended are not written again. A map that cannot be read is left out, and
 * counted in ebpf_server_metric_read_failures.
 */
void metrics_write(struct metrics *metrics, struct exposition *exposition, bool is_scrape);

/* A family of a program, for its description. */
struct metric_figures {
	const char *name; /* as samples are called; a histogram's without their endings */
	const char *help;
	enum metric_type type;
	size_t series; /* as a scrape would show now */
};
/* Calls `each` for every family of a program, loaded or not. 0 or -ENOMEM. */
int metrics_describe(struct metrics *metrics, const struct program_view *program,
		     void (*each)(void *context, const struct metric_figures *figures),
		     void *context);

#endif
