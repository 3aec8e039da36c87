/* SPDX-License-Identifier: MIT */
/* What the server says of itself. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "history/history.h"
#include "metrics/internal.h"

#define STATISTICS_TIMEOUT_MS 200
/* A name that the server's own families have; metric_own_stems keeps programs off. */
#define OWN(name) METRIC_PREFIX name

static void begin(struct exposition *exposition, const char *name, enum metric_type type,
		  const char *unit, const char *help)
{
	exposition_family(exposition, name, type, unit, help);
}

/* ---- the process ---- */

static void write_build(const struct metrics *metrics, struct exposition *exposition)
{
	struct utsname system;

	if (uname(&system) < 0)
		memset(&system, 0, sizeof(system));
	begin(exposition, OWN("build_info"), METRIC_GAUGE, "",
	      "What was built, and what it runs on; the value is always 1.");
	exposition_integer(exposition, 1, "version", metrics->options.version, "architecture",
			   system.machine, "kernel", system.release, NULL);
}

static uint64_t timeval_us(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

static void write_pages(const struct metrics *metrics, struct exposition *exposition)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), size, resident;
	char text[128];
	ssize_t length = metrics->options.statm < 0
				 ? -1
				 : pread(metrics->options.statm, text, sizeof(text) - 1, 0);

	if (length <= 0)
		return;
	text[length] = '\0';
	if (sscanf(text, "%" SCNu64 " %" SCNu64, &size, &resident) != 2)
		return;
	begin(exposition, "process_virtual_memory_bytes", METRIC_GAUGE, "bytes",
	      "Virtual memory of the server process.");
	exposition_integer(exposition, size * page, NULL);
	begin(exposition, "process_resident_memory_bytes", METRIC_GAUGE, "bytes",
	      "Resident memory of the server process, ring buffers included.");
	exposition_integer(exposition, resident * page, NULL);
}

static void write_process(const struct metrics *metrics, struct exposition *exposition)
{
	const struct store *store = pipeline_store(metrics->options.pipeline);
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) == 0) {
		begin(exposition, "process_cpu_seconds", METRIC_COUNTER, "seconds",
		      "User and system time of the server process.");
		exposition_decimal(exposition,
				   (struct exposition_value){ timeval_us(&usage.ru_utime) +
								      timeval_us(&usage.ru_stime),
							      6, false },
				   NULL);
	}
	write_pages(metrics, exposition);
	begin(exposition, OWN("memory_used_bytes"), METRIC_GAUGE, "bytes",
	      "Memory of the event store in use.");
	exposition_integer(exposition, store_memory_used(store), NULL);
	begin(exposition, OWN("memory_limit_bytes"), METRIC_GAUGE, "bytes",
	      "Memory that the event store may use (--memory).");
	exposition_integer(exposition, store_memory_limit(store), NULL);
	begin(exposition, OWN("drain_lag_seconds"), METRIC_GAUGE, "seconds",
	      "Time since the reader last came round all ring buffers.");
	exposition_decimal(exposition,
			   (struct exposition_value){ pipeline_drain_lag(metrics->options.pipeline),
						      9, false },
			   NULL);
}

/* ---- streams ---- */

/* Layouts of one type add up to the type. */
struct stream_sum {
	const char *name;
	char program[MESSAGE_NAME_SIZE];
	struct ledger ledger;
	uint64_t ring_bytes;
};

struct stream_sums {
	struct stream_sum *items;
	size_t count;
};

static struct stream_sum *find_sum(struct stream_sums *sums, const char *name)
{
	for (size_t i = 0; i < sums->count; i++)
		if (!strcmp(sums->items[i].name, name))
			return &sums->items[i];
	sums->items[sums->count].name = name;
	return &sums->items[sums->count++];
}

static void add_stream(const struct pipeline *pipeline, size_t number, struct stream_sums *sums)
{
	struct program_view program;
	struct stream_view stream;
	struct stream_sum *sum;
	struct ledger ledger;

	if (pipeline_stream_view(pipeline, number, &stream) < 0 ||
	    pipeline_ledger(pipeline, number, &ledger) < 0)
		return;
	sum = find_sum(sums, stream.schema->name);
	if (!pipeline_program_view(pipeline, stream.program, &program))
		message_set_text(sum->program, "%s", program.name);
	sum->ledger.produced += ledger.produced;
	sum->ledger.filtered += ledger.filtered;
	sum->ledger.sampled_out += ledger.sampled_out;
	sum->ledger.lost += ledger.lost;
	sum->ledger.malformed += ledger.malformed;
	sum->ledger.stored += ledger.stored;
	sum->ledger.held += ledger.held;
	sum->ledger.expired += ledger.expired;
	sum->ledger.bytes_waiting += ledger.bytes_waiting;
	sum->ledger.persisted += ledger.persisted;
	sum->ledger.not_persisted += ledger.not_persisted;
	sum->ring_bytes += stream.ring_bytes;
}

/* Where a stream's events went. */
static const struct {
	const char *name;
	size_t offset;
} outcomes[] = {
	{ "stored", offsetof(struct ledger, stored) },
	{ "filtered", offsetof(struct ledger, filtered) },
	{ "sampled_out", offsetof(struct ledger, sampled_out) },
	{ "lost", offsetof(struct ledger, lost) },
	{ "malformed", offsetof(struct ledger, malformed) },
};

static const struct {
	const char *name, *unit, *help;
	enum metric_type type;
	size_t offset;
} stream_families[] = {
	{ OWN("stream_events_produced"), "", "Events that happened at the hooks.", METRIC_COUNTER,
	  offsetof(struct stream_sum, ledger.produced) },
	{ OWN("stream_events_expired"), "",
	  "Stored events that had to make room, or went with a server that ended.", METRIC_COUNTER,
	  offsetof(struct stream_sum, ledger.expired) },
	{ OWN("stream_events_held"), "", "Stored events that are in memory.", METRIC_GAUGE,
	  offsetof(struct stream_sum, ledger.held) },
	{ OWN("stream_events_persisted"), "", "Stored events that were written to the history.",
	  METRIC_COUNTER, offsetof(struct stream_sum, ledger.persisted) },
	{ OWN("stream_events_not_persisted"), "",
	  "Stored events that left the memory before the history took them.", METRIC_COUNTER,
	  offsetof(struct stream_sum, ledger.not_persisted) },
	{ OWN("stream_ring_bytes"), "bytes", "Size of the ring buffer.", METRIC_GAUGE,
	  offsetof(struct stream_sum, ring_bytes) },
	{ OWN("stream_ring_used_bytes"), "bytes",
	  "Bytes in the ring buffer that wait for the reader.", METRIC_GAUGE,
	  offsetof(struct stream_sum, ledger.bytes_waiting) },
};

static uint64_t word_at(const void *base, size_t offset)
{
	return metric_word(base, offset);
}

static void write_outcomes(const struct stream_sums *sums, struct exposition *exposition)
{
	begin(exposition, OWN("stream_events"), METRIC_COUNTER, "",
	      "Events by what became of them; produced ones are all of these and what waits in "
	      "the ring buffer.");
	for (size_t i = 0; i < sums->count; i++) {
		struct ledger ledger = sums->items[i].ledger;

		/* Malformed ones are part of the ledger's lost ones, and here of their own. */
		ledger.lost -= ledger.malformed;
		for (size_t o = 0; o < ARRAY_SIZE(outcomes); o++)
			exposition_integer(exposition, word_at(&ledger, outcomes[o].offset),
					   "outcome", outcomes[o].name, "program",
					   sums->items[i].program, "stream", sums->items[i].name,
					   NULL);
	}
}

static void write_streams(const struct metrics *metrics, struct exposition *exposition)
{
	const struct pipeline *pipeline = metrics->options.pipeline;
	size_t count = pipeline_stream_count(pipeline);
	FREE struct stream_sum *items = calloc(count + 1, sizeof(*items));
	struct stream_sums sums = { .items = items };

	if (!items) {
		buffer_fail(exposition->out);
		return;
	}
	for (size_t i = 0; i < count; i++)
		add_stream(pipeline, i, &sums);
	write_outcomes(&sums, exposition);
	for (size_t f = 0; f < ARRAY_SIZE(stream_families); f++) {
		begin(exposition, stream_families[f].name, stream_families[f].type,
		      stream_families[f].unit, stream_families[f].help);
		for (size_t i = 0; i < sums.count; i++)
			exposition_integer(exposition,
					   word_at(&items[i], stream_families[f].offset), "program",
					   items[i].program, "stream", items[i].name, NULL);
	}
}

/* ---- history ---- */

static const struct {
	const char *name, *unit, *help;
	enum metric_type type;
	size_t offset;
} history_families[] = {
	{ OWN("history_used_bytes"), "bytes", "Of the history's file that are in use.",
	  METRIC_GAUGE, offsetof(struct history_figures, bytes) },
	{ OWN("history_file_bytes"), "bytes", "Size of the history's file.", METRIC_GAUGE,
	  offsetof(struct history_figures, file_bytes) },
	{ OWN("history_limit_bytes"), "bytes", "What it may grow to (--history-size).",
	  METRIC_GAUGE, offsetof(struct history_figures, limit_bytes) },
	{ OWN("history_events"), "", "Events in the history.", METRIC_GAUGE,
	  offsetof(struct history_figures, events) },
	{ OWN("history_blocks"), "", "Blocks in the history.", METRIC_GAUGE,
	  offsetof(struct history_figures, blocks) },
	{ OWN("history_retired_events"), "", "Events that went by age or size.", METRIC_COUNTER,
	  offsetof(struct history_figures, retired) },
	{ OWN("history_damaged_blocks"), "", "Blocks that turned out to be damaged.",
	  METRIC_COUNTER, offsetof(struct history_figures, damaged) },
	{ OWN("history_commits"), "", "Transactions that were committed.", METRIC_COUNTER,
	  offsetof(struct history_figures, commits) },
	{ OWN("history_failures"), "", "Times that nothing could be written.", METRIC_COUNTER,
	  offsetof(struct history_figures, failures) },
};

static void write_history(const struct metrics *metrics, struct exposition *exposition)
{
	struct history *history = pipeline_history(metrics->options.pipeline);
	struct history_figures figures;

	if (!history)
		return;
	history_figures(history, &figures);
	for (size_t f = 0; f < ARRAY_SIZE(history_families); f++) {
		begin(exposition, history_families[f].name, history_families[f].type,
		      history_families[f].unit, history_families[f].help);
		exposition_integer(exposition, word_at(&figures, history_families[f].offset), NULL);
	}
}

/* ---- programs ---- */

static void refresh_statistics(const struct metrics *metrics)
{
	const struct metrics_options *options = &metrics->options;
	uint64_t deadline = clock_boot_ns() + STATISTICS_TIMEOUT_MS * NS_PER_MS;
	struct program_view program;

	if (!options->program_stats || !options->control)
		return;
	for (size_t i = 0; i < pipeline_program_count(options->pipeline); i++) {
		uint64_t now = clock_boot_ns();

		if (now < deadline && !pipeline_program_view(options->pipeline, i, &program) &&
		    program.loaded)
			control_refresh_statistics(options->control, (uint32_t)i,
						   (int)((deadline - now) / NS_PER_MS) + 1);
	}
}

enum program_figure { PROGRAM_IS_RUNNING, PROGRAM_RUNS, PROGRAM_RUN_TIME };

static const struct {
	const char *name, *unit, *help;
	enum metric_type type;
	enum program_figure figure;
} program_families[] = {
	{ OWN("program_running"), "", "1 where the program is loaded and attached.", METRIC_GAUGE,
	  PROGRAM_IS_RUNNING },
	{ OWN("program_runs"), "",
	  "How often the program's functions ran; with --program-stats only.", METRIC_COUNTER,
	  PROGRAM_RUNS },
	{ OWN("program_run_time_seconds"), "seconds",
	  "Time spent in the program's functions; with --program-stats only.", METRIC_COUNTER,
	  PROGRAM_RUN_TIME },
};

static void write_figure(const struct program_view *program, enum program_figure figure,
			 struct exposition *exposition)
{
	struct exposition_value value = { .value = program->status == PROGRAM_RUNNING };

	if (figure != PROGRAM_IS_RUNNING && !program->statistics_known)
		return;
	if (figure == PROGRAM_RUNS)
		value.value = program->run_count;
	if (figure == PROGRAM_RUN_TIME)
		value = (struct exposition_value){ program->run_time_ns, 9, false };
	exposition_decimal(exposition, value, "program", program->name, NULL);
}

static void write_programs(const struct metrics *metrics, struct exposition *exposition)
{
	const struct pipeline *pipeline = metrics->options.pipeline;
	struct program_view program;

	refresh_statistics(metrics);
	for (size_t f = 0; f < ARRAY_SIZE(program_families); f++) {
		begin(exposition, program_families[f].name, program_families[f].type,
		      program_families[f].unit, program_families[f].help);
		for (size_t i = 0; i < pipeline_program_count(pipeline); i++)
			if (!pipeline_program_view(pipeline, i, &program))
				write_figure(&program, program_families[f].figure, exposition);
	}
}

/* ---- maps of metrics ---- */

static const struct {
	const char *name, *help;
	enum metric_type type;
	size_t offset;
} map_families[] = {
	{ OWN("metric_entries"), "Entries of the map that metrics are made of.", METRIC_GAUGE,
	  offsetof(struct known_map, entries) },
	{ OWN("metric_evicted_entries"),
	  "Entries that a full map forgot; what they counted is in the series `other`.",
	  METRIC_COUNTER, offsetof(struct known_map, evicted) },
	{ OWN("metric_read_failures"), "Scrapes for which the map could not be read.",
	  METRIC_COUNTER, offsetof(struct known_map, failures) },
};

static void write_maps(const struct metrics *metrics, struct exposition *exposition)
{
	struct program_view program;

	for (size_t f = 0; f < ARRAY_SIZE(map_families); f++) {
		begin(exposition, map_families[f].name, map_families[f].type, "",
		      map_families[f].help);
		for (size_t i = 0; i < metrics->map_count; i++) {
			const struct known_map *known = &metrics->maps[i];

			if (known->loaded && !pipeline_program_view(metrics->options.pipeline,
								    known->program, &program))
				exposition_integer(exposition,
						   word_at(known, map_families[f].offset), "map",
						   known->map->name, "program", program.name, NULL);
		}
	}
}

void own_write(struct metrics *metrics, struct exposition *exposition)
{
	write_build(metrics, exposition);
	write_streams(metrics, exposition);
	write_history(metrics, exposition);
	write_programs(metrics, exposition);
	write_maps(metrics, exposition);
	write_process(metrics, exposition);
}
