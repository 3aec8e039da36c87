/* SPDX-License-Identifier: MIT */
#include "metrics/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "metrics/internal.h"

struct metrics *metrics_new(const struct metrics_options *options)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return NULL;
	metrics->options = *options;
	pthread_mutex_init(&metrics->lock, NULL);
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	for (size_t i = 0; i < metrics->map_count; i++)
		series_state_fini(&metrics->maps[i].state);
	free(metrics->maps);
	pthread_mutex_destroy(&metrics->lock);
	free(metrics);
}

/* ---- maps ---- */

static struct known_map *add_map(struct metrics *metrics, uint32_t program,
				 const struct metric_map *map)
{
	struct known_map *maps = reallocarray(metrics->maps, metrics->map_count + 1, sizeof(*maps));
	struct known_map *added;

	if (!maps)
		return NULL;
	metrics->maps = maps;
	added = &maps[metrics->map_count];
	*added = (struct known_map){ .program = program, .map = map };
	if (series_state_init(&added->state, map) < 0)
		return NULL;
	metrics->map_count++;
	return added;
}

/* Schemas live as long as the pipeline, and so a map's address is its name. */
static struct known_map *find_map(struct metrics *metrics, uint32_t program,
				  const struct metric_map *map)
{
	for (size_t i = 0; i < metrics->map_count; i++)
		if (metrics->maps[i].program == program && metrics->maps[i].map == map)
			return &metrics->maps[i];
	return add_map(metrics, program, map);
}

/* Another map than before: nothing of it was shown yet. */
static int renew(struct known_map *known, uint64_t generation)
{
	if (known->generation == generation)
		return 0;
	series_state_fini(&known->state);
	known->generation = generation;
	known->evicted = 0;
	return series_state_init(&known->state, known->map);
}

static void count_entries(struct known_map *known, const struct snapshot *snapshot)
{
	uint64_t left = snapshot->book.created - snapshot->book.removed;

	known->entries = snapshot->count;
	if (snapshot->before && left > snapshot->count && left - snapshot->count > known->evicted)
		known->evicted = left - snapshot->count;
}

/* 0; -ENOENT when the program is not loaded. */
static int read_map(struct metrics *metrics, struct known_map *known, struct snapshot *snapshot)
{
	const struct metrics_options *options = &metrics->options;
	char name[MESSAGE_NAME_SIZE + sizeof(METRIC_TOTAL_SUFFIX)];
	CLOSE int fd = -1;
	CLOSE int total = -1;
	uint64_t generation, total_generation;
	int r;

	known->loaded = false;
	fd = pipeline_open_map(options->pipeline, known->program, known->map->name, &generation);
	if (fd < 0)
		return fd;
	snprintf(name, sizeof(name), "%s%s", known->map->name, METRIC_TOTAL_SUFFIX);
	total = pipeline_open_map(options->pipeline, known->program, name, &total_generation);
	if (total < 0 && total != -ENOENT)
		return total;
	r = renew(known, generation);
	if (!r)
		r = snapshot_read(snapshot, known->map, fd, total, options->possible_cpus);
	known->loaded = true;
	if (!r)
		count_entries(known, snapshot);
	return r;
}

/* ---- a scrape ---- */

/* Two programs that were loaded one after the other may have families of one name; the first one
 * is shown. */
static bool is_taken(const struct metrics *metrics, const struct known_map *known,
		     const struct metric_family *family)
{
	for (size_t i = 0; &metrics->maps[i] != known; i++) {
		const struct known_map *other = &metrics->maps[i];

		for (size_t f = 0; other->loaded && f < other->map->family_count; f++)
			if (metric_families_clash(&other->map->families[f], family))
				return true;
	}
	return false;
}

static int write_map(struct metrics *metrics, struct known_map *known,
		     struct exposition *exposition, bool is_scrape)
{
	const struct metric_map *map = known->map;
	SNAPSHOT snapshot = { .map = NULL };
	int r = read_map(metrics, known, &snapshot);

	for (size_t i = 0; !r && i < map->family_count; i++) {
		SERIES series = { .rows = NULL };

		if (is_taken(metrics, known, &map->families[i]))
			continue;
		r = series_make(&series, &known->state, &snapshot, &map->families[i],
				metrics->options.max_series, metrics->options.symbols);
		if (!r)
			series_write(&series, &map->families[i], exposition);
	}
	if (!r && is_scrape)
		r = series_seen(&known->state, &snapshot);
	return r;
}

static void write_program(struct metrics *metrics, const struct program_view *program,
			  struct exposition *exposition, bool is_scrape)
{
	for (size_t i = 0; program->schema && i < program->schema->metric_count; i++) {
		struct known_map *known =
			find_map(metrics, program->number, &program->schema->metrics[i]);
		int r = known ? write_map(metrics, known, exposition, is_scrape) : -ENOMEM;

		if (!r || r == -ENOENT)
			continue;
		if (known)
			known->failures++;
		log_warn("%s: map %s cannot be read: %s", program->name,
			 program->schema->metrics[i].name, strerror(-r));
	}
}

void metrics_write(struct metrics *metrics, struct exposition *exposition, bool is_scrape)
{
	const struct pipeline *pipeline = metrics->options.pipeline;
	struct program_view program;

	pthread_mutex_lock(&metrics->lock);
	for (size_t i = 0; i < metrics->map_count; i++)
		metrics->maps[i].loaded = false;
	for (size_t i = 0; i < pipeline_program_count(pipeline); i++)
		if (!pipeline_program_view(pipeline, i, &program))
			write_program(metrics, &program, exposition, is_scrape);
	own_write(metrics, exposition);
	pthread_mutex_unlock(&metrics->lock);
}

/* ---- descriptions ---- */

static size_t count_series(struct metrics *metrics, struct known_map *known,
			   const struct snapshot *snapshot, const struct metric_family *family)
{
	SERIES series = { .rows = NULL };

	if (series_make(&series, &known->state, snapshot, family, metrics->options.max_series,
			metrics->options.symbols) < 0)
		return 0;
	return series.count;
}

static int describe_map(struct metrics *metrics, uint32_t program, const struct metric_map *map,
			void (*each)(void *context, const struct metric_figures *figures),
			void *context)
{
	struct known_map *known = find_map(metrics, program, map);
	SNAPSHOT snapshot = { .map = NULL };
	char name[METRIC_NAME_SIZE];
	bool readable;

	if (!known)
		return -ENOMEM;
	readable = read_map(metrics, known, &snapshot) == 0;
	for (size_t i = 0; i < map->family_count; i++) {
		const struct metric_family *family = &map->families[i];
		struct metric_figures figures = { .name = name,
						  .help = family->help,
						  .type = family->type };

		snprintf(name, sizeof(name), "%s%s", family->name,
			 family->type == METRIC_COUNTER ? "_total" : "");
		if (readable)
			figures.series = count_series(metrics, known, &snapshot, family);
		each(context, &figures);
	}
	return 0;
}

int metrics_describe(struct metrics *metrics, const struct program_view *program,
		     void (*each)(void *context, const struct metric_figures *figures),
		     void *context)
{
	const struct program_schema *schema = program->schema;
	int r = 0;

	pthread_mutex_lock(&metrics->lock);
	for (size_t i = 0; !r && schema && i < schema->metric_count; i++)
		r = describe_map(metrics, program->number, &schema->metrics[i], each, context);
	pthread_mutex_unlock(&metrics->lock);
	return r;
}
