/* SPDX-License-Identifier: MIT */
/* What can be had of a loaded object: its maps and the kernel's figures. (object.c makes it.) */
#include "loader/object_private.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define STATISTICS_SYSCTL "/proc/sys/kernel/bpf_stats_enabled"

/* A descriptor by which nothing can be written. Kernels give it to CAP_SYS_ADMIN only; without, the
 * server gets the one that the loader has. */
static int read_only_fd(const struct bpf_map *map)
{
	LIBBPF_OPTS(bpf_get_fd_by_id_opts, options, .open_flags = BPF_F_RDONLY);
	struct bpf_map_info info = { .id = 0 };
	uint32_t size = sizeof(info);
	int fd = -1;

	if (bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &size) == 0)
		fd = bpf_map_get_fd_by_id_opts(info.id, &options);
	if (fd < 0)
		fd = fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int object_each_map(const struct object *object,
		    int (*each)(void *context, const char *name, int fd), void *context)
{
	const struct bpf_map *map;

	bpf_object__for_each_map(map, object->bpf)
	{
		CLOSE int own = -1;
		int fd = bpf_map__fd(map);
		int r;

		if (bpf_map__is_internal(map) || !bpf_map__autocreate(map))
			continue;
		if (bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF) {
			own = read_only_fd(map);
			fd = own;
		}
		if (fd < 0)
			return fd;
		r = each(context, bpf_map__name(map), fd);
		if (r)
			return r;
	}
	return 0;
}

int object_sum_per_cpu(const struct object *object, const char *name, uint64_t *sums, size_t count)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(object->bpf, name);
	int cpus = libbpf_num_possible_cpus();
	FREE uint64_t *values = NULL;
	uint32_t zero = 0;

	if (!map)
		return -ENOENT;
	if (bpf_map__type(map) != BPF_MAP_TYPE_PERCPU_ARRAY ||
	    bpf_map__value_size(map) != count * sizeof(*sums))
		return -EINVAL;
	if (cpus < 0)
		return cpus;
	values = calloc((size_t)cpus * count, sizeof(*values));
	if (!values)
		return -ENOMEM;
	if (bpf_map_lookup_elem(bpf_map__fd(map), &zero, values) < 0)
		return -errno;
	memset(sums, 0, count * sizeof(*sums));
	for (size_t i = 0; i < (size_t)cpus * count; i++)
		sums[i % count] += values[i];
	return 0;
}

static bool statistics_switched_on(void)
{
	CLOSE int fd = open(STATISTICS_SYSCTL, O_RDONLY | O_CLOEXEC);
	char value = '0';

	return fd >= 0 && read(fd, &value, 1) == 1 && value == '1';
}

int object_statistics(const struct object *object, uint64_t *ret_run_count,
		      uint64_t *ret_run_time_ns, bool *ret_measured)
{
	struct bpf_program *program = NULL;
	uint64_t count = 0, time = 0;

	while ((program = bpf_object__next_program(object->bpf, program))) {
		struct bpf_prog_info info = { .id = 0 };
		uint32_t size = sizeof(info);

		if (!bpf_program__autoload(program))
			continue;
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) < 0)
			return -errno;
		count += info.run_cnt;
		time += info.run_time_ns;
	}
	*ret_run_count = count;
	*ret_run_time_ns = time;
	*ret_measured = count > 0 || statistics_switched_on();
	return 0;
}
