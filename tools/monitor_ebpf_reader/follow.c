/* SPDX-License-Identifier: MIT */
#include "follow.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <grp.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "monitor_events.h"

#define BATCH 4096
/* A record that is not whole yet is waited for in so many calls. */
#define PATIENCE 20

struct follow_region {
	uint64_t next;
	unsigned int waited;
};

static const struct monitor_region *region_at(const struct follow *follow, uint32_t region)
{
	return (const void *)(follow->map +
			      (size_t)region * (follow->slots + 1) * MONITOR_ENTRY_SIZE);
}

static const struct monitor_event *slot_at(const struct follow *follow, uint32_t region,
					   uint64_t number)
{
	return (const struct monitor_event *)region_at(follow, region) + 1 +
	       (number & (follow->slots - 1));
}

static uint64_t written(const struct follow *follow, uint32_t region)
{
	return __atomic_load_n(&region_at(follow, region)->written, __ATOMIC_ACQUIRE);
}

/* ---- opening ---- */

static void describe(const char *pin, int number, char *error, size_t size)
{
	struct stat status;

	if (number == ENOENT)
		snprintf(error, size, "%s: nothing is pinned there: run monitor_ebpf_loader first",
			 pin);
	else if (number == EACCES && stat(pin, &status) == 0)
		snprintf(error, size, "%s: only its group (%u) may read it", pin,
			 (unsigned int)status.st_gid);
	else if (number == EPERM)
		snprintf(error, size,
			 "%s: this kernel opens pinned maps for root alone "
			 "(kernel.unprivileged_bpf_disabled, before Linux 5.19)",
			 pin);
	else
		snprintf(error, size, "%s: %s", pin, strerror(number));
}

static int map_it(struct follow *follow, int fd, const char *pin, char *error, size_t size)
{
	struct bpf_map_info info = { .id = 0 };
	uint32_t length = sizeof(info);
	void *map;

	if (bpf_obj_get_info_by_fd(fd, &info, &length) < 0) {
		describe(pin, errno, error, size);
		return -errno;
	}
	if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != MONITOR_ENTRY_SIZE ||
	    strncmp(info.name, MONITOR_MAP_NAME, sizeof(info.name))) {
		snprintf(error, size, "%s: this is no map of monitor_ebpf_loader", pin);
		return -EINVAL;
	}
	follow->mapped = (size_t)info.max_entries * MONITOR_ENTRY_SIZE;
	map = mmap(NULL, follow->mapped, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		follow->mapped = 0;
		describe(pin, errno, error, size);
		return -errno;
	}
	follow->map = map;
	return 0;
}

/* What the map says of itself; nothing outside of it is ever read. */
static int check(struct follow *follow, const char *pin, char *error, size_t size)
{
	const struct monitor_region *first = (const void *)follow->map;

	follow->regions = first->regions;
	follow->slots = first->slots;
	if (first->magic == MONITOR_MAGIC && follow->slots &&
	    !(follow->slots & (follow->slots - 1)) &&
	    follow->mapped / MONITOR_ENTRY_SIZE ==
		    (uint64_t)follow->regions * ((uint64_t)follow->slots + 1))
		return 0;
	snprintf(error, size, "%s: made by another version of monitor_ebpf_loader", pin);
	return -EINVAL;
}

int follow_open(struct follow *follow, const char *pin, bool from_start, char *error,
		size_t error_size)
{
	/* Not by BPF_F_RDONLY: the kernel maps nothing of such a descriptor as shared (do_mmap(),
	 * bpf_map_mmap()). The map is frozen, so there is nothing that could be written. */
	CLOSE int fd = bpf_obj_get(pin);
	struct stat status;
	int r;

	*follow = (struct follow){ .map = NULL };
	if (fd < 0 || stat(pin, &status) < 0) {
		r = -errno;
		describe(pin, -r, error, error_size);
		return r;
	}
	follow->device = status.st_dev;
	follow->inode = status.st_ino;
	r = map_it(follow, fd, pin, error, error_size);
	if (r == 0)
		r = check(follow, pin, error, error_size);
	if (r == 0) {
		follow->places = calloc(follow->regions, sizeof(*follow->places));
		follow->batch = calloc(BATCH, sizeof(*follow->batch));
		if (!follow->places || !follow->batch) {
			snprintf(error, error_size, "%s", strerror(ENOMEM));
			r = -ENOMEM;
		}
	}
	if (r < 0) {
		follow_close(follow);
		return r;
	}
	for (uint32_t i = 0; i < follow->regions; i++) {
		uint64_t end = written(follow, i);
		uint64_t held = end < follow->slots ? end : follow->slots;

		follow->places[i].next = from_start ? end - held : end;
	}
	return 0;
}

void follow_close(struct follow *follow)
{
	if (follow->map)
		munmap((void *)(uintptr_t)follow->map, follow->mapped);
	free(follow->places);
	free(follow->batch);
	*follow = (struct follow){ .map = NULL };
}

bool follow_is_current(const struct follow *follow, const char *pin)
{
	struct stat status;

	return stat(pin, &status) == 0 && status.st_dev == follow->device &&
	       status.st_ino == follow->inode;
}

/* ---- reading ---- */

/* The writer may be at it: what is copied counts only when its checksum says so. */
static bool copy_record(const struct follow *follow, uint32_t region, uint64_t number,
			struct monitor_event *out)
{
	const uint64_t *from = (const uint64_t *)slot_at(follow, region, number);
	uint64_t *to = (uint64_t *)out;

	for (size_t i = 0; i < MONITOR_ENTRY_SIZE / 8; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	return out->number == number && out->checksum == monitor_checksum(out);
}

static size_t read_region(struct follow *follow, uint32_t region, size_t count, uint64_t *missed)
{
	struct follow_region *place = &follow->places[region];
	size_t first = count;

	while (count < BATCH) {
		uint64_t end = written(follow, region);

		if (place->next >= end)
			break;
		if (end - place->next > follow->slots) {
			uint64_t lost = end - place->next - follow->slots;

			*missed += lost;
			place->next += lost;
		}
		if (copy_record(follow, region, place->next, &follow->batch[count])) {
			count++;
		} else if (written(follow, region) - place->next > follow->slots) {
			continue; /* overwritten meanwhile: counted above */
		} else if (count == first && ++place->waited <= PATIENCE) {
			break;
		} else if (count != first) {
			break; /* perhaps next time */
		} else {
			++*missed;
		}
		place->waited = 0;
		place->next++;
	}
	return count;
}

static int by_time(const void *a, const void *b)
{
	const struct monitor_event *first = a, *second = b;

	if (first->boot_ns != second->boot_ns)
		return first->boot_ns < second->boot_ns ? -1 : 1;
	return first->number < second->number ? -1 : first->number > second->number;
}

size_t follow_read(struct follow *follow, const struct monitor_event **ret_events, uint64_t *missed)
{
	size_t count = 0;

	for (uint32_t i = 0; i < follow->regions; i++)
		count = read_region(follow, i, count, missed);
	qsort(follow->batch, count, sizeof(*follow->batch), by_time);
	*ret_events = follow->batch;
	return count;
}
