/* SPDX-License-Identifier: MIT */
/* Maps of programs that somebody else than the reader looks into: those of metrics. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "pipeline/internal.h"
#include "schema/metric.h"

static bool is_total_of(const char *name, const char *map)
{
	size_t length = strlen(map);

	return !strncmp(name, map, length) && !strcmp(name + length, METRIC_TOTAL_SUFFIX);
}

static bool is_wanted(const struct program *program, const char *name)
{
	const struct program_schema *schema = program->schema;

	for (size_t i = 0; schema && i < schema->metric_count; i++)
		if (!strcmp(name, schema->metrics[i].name) ||
		    is_total_of(name, schema->metrics[i].name))
			return true;
	return false;
}

static struct kept_map *find_map(struct program *program, const char *name)
{
	for (size_t i = 0; i < program->map_count; i++)
		if (!strcmp(program->maps[i].name, name))
			return &program->maps[i];
	return NULL;
}

/* Under `registry`. */
static int keep(struct pipeline *pipeline, struct program *program, const char *name, int *fd)
{
	struct kept_map *map = find_map(program, name);

	if (!map && program->map_count == KEPT_MAPS)
		return -ENOSPC;
	if (!map) {
		map = &program->maps[program->map_count++];
		message_set_text(map->name, "%s", name);
		map->fd = -1;
	}
	memory_close_fd(&map->fd);
	map->fd = TAKE_FD(*fd);
	map->generation = ++pipeline->last_generation;
	return 0;
}

int maps_keep(struct pipeline *pipeline, struct program *program, const char *name, int map_fd)
{
	CLOSE int fd = map_fd;
	int rc;

	if (!is_wanted(program, name))
		return 0;
	pthread_mutex_lock(&pipeline->registry);
	rc = keep(pipeline, program, name, &fd);
	pthread_mutex_unlock(&pipeline->registry);
	return rc;
}

void maps_close(struct program *program)
{
	for (size_t i = 0; i < program->map_count; i++)
		memory_close_fd(&program->maps[i].fd);
	program->map_count = 0;
}

static bool families_clash(const struct program_schema *a, const struct program_schema *b,
			   const char **ret_name)
{
	for (size_t i = 0; i < a->metric_count; i++) {
		for (size_t j = 0; j < b->metric_count; j++) {
			const struct metric_map *x = &a->metrics[i], *y = &b->metrics[j];

			for (size_t k = 0; k < x->family_count * y->family_count; k++) {
				*ret_name = x->families[k / y->family_count].name;
				if (metric_families_clash(&x->families[k / y->family_count],
							  &y->families[k % y->family_count]))
					return true;
			}
		}
	}
	return false;
}

int maps_check(const struct pipeline *pipeline, uint32_t number,
	       const struct program_schema *schema, char *error, size_t error_size)
{
	const char *name;

	for (uint32_t i = 0; i < MESSAGE_MAX_PROGRAMS; i++) {
		const struct program *other = pipeline->programs[i];

		if (!other || i == number || !other->map_count || !other->schema ||
		    !families_clash(schema, other->schema, &name))
			continue;
		message_format(error, error_size, "the metric \"%s\" is one of program %s already",
			       name, other->name);
		return -EEXIST;
	}
	return 0;
}

int pipeline_open_map(const struct pipeline *const_pipeline, uint32_t number, const char *name,
		      uint64_t *ret_generation)
{
	struct pipeline *pipeline = pipeline_unconst(const_pipeline);
	const struct kept_map *map = NULL;
	int fd = -ENOENT;

	if (number >= MESSAGE_MAX_PROGRAMS)
		return -ENOENT;
	pthread_mutex_lock(&pipeline->registry);
	if (pipeline->programs[number])
		map = find_map(pipeline->programs[number], name);
	if (map) {
		fd = fcntl(map->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			fd = -errno;
		*ret_generation = map->generation;
	}
	pthread_mutex_unlock(&pipeline->registry);
	return fd;
}
