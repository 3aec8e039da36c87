/* SPDX-License-Identifier: MIT */
#include "object.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/types.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "monitor_events.h"

/* Records in all regions together, and in each at least: 8 MiB on small machines. */
#define SLOTS_TOTAL 65536u
#define SLOTS_MINIMUM 1024u

/* Embedded at build time: monitor_ebpf_loader.bpf.c. */
extern const uint8_t embedded_object_monitor_ebpf_loader[];
extern const uint8_t embedded_object_monitor_ebpf_loader_end[];

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static uint32_t slots_for(uint32_t regions)
{
	uint32_t slots = SLOTS_TOTAL;

	while (slots > SLOTS_MINIMUM && (uint64_t)slots * regions > SLOTS_TOTAL)
		slots /= 2;
	return slots;
}

/* Puts a value where the object's BTF says that the constant stands. */
static int set_constant(const struct btf *btf, uint8_t *bytes, size_t size, const char *name,
			uint32_t value)
{
	int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *section = id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);
	const struct btf_var_secinfo *variable = section ? btf_var_secinfos(section) : NULL;

	for (uint16_t i = 0; section && i < btf_vlen(section); i++, variable++) {
		const struct btf_type *type = btf__type_by_id(btf, variable->type);

		if (strcmp(btf__name_by_offset(btf, type->name_off), name) ||
		    variable->size != sizeof(value) || variable->offset + sizeof(value) > size)
			continue;
		memcpy(bytes + variable->offset, &value, sizeof(value));
		return 0;
	}
	return -ENOENT;
}

/* What is a constant to the verifier, as long as nothing is loaded. */
static int set_constants(struct bpf_object *bpf, uint32_t slots)
{
	struct bpf_map *map = bpf_object__find_map_by_name(bpf, ".rodata");
	const struct btf *btf = bpf_object__btf(bpf);
	FREE uint8_t *bytes = NULL;
	size_t size = 0;
	const void *initial = map ? bpf_map__initial_value(map, &size) : NULL;
	int r;

	if (!initial || !btf)
		return -ENOENT;
	bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, initial, size);
	r = set_constant(btf, bytes, size, "monitor_slots", slots);
	return r < 0 ? r : bpf_map__set_initial_value(map, bytes, size);
}

static int open_and_load(struct bpf_object **ret_bpf, uint32_t regions, uint32_t slots, bool frags)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = MONITOR_MAP_NAME);
	struct bpf_object *bpf =
		bpf_object__open_mem(embedded_object_monitor_ebpf_loader,
				     (size_t)(embedded_object_monitor_ebpf_loader_end -
					      embedded_object_monitor_ebpf_loader),
				     &options);
	int r;

	if (!bpf)
		return -errno;
	r = set_constants(bpf, slots);
	if (r == 0)
		r = bpf_map__set_max_entries(bpf_object__find_map_by_name(bpf, MONITOR_MAP_NAME),
					     regions * (slots + 1));
	if (r == 0) {
		bpf_program__set_autoload(
			bpf_object__find_program_by_name(bpf, "monitor_xdp_frags"), frags);
		bpf_program__set_autoload(bpf_object__find_program_by_name(bpf, "monitor_xdp"),
					  !frags);
		r = bpf_object__load(bpf);
	}
	if (r < 0) {
		bpf_object__close(bpf);
		return r;
	}
	*ret_bpf = bpf;
	return 0;
}

static int prepare_map(int map, uint32_t regions, uint32_t slots)
{
	struct monitor_region region = {
		.magic = MONITOR_MAGIC,
		.regions = regions,
		.slots = slots,
	};

	for (uint32_t i = 0; i < regions; i++) {
		uint32_t place = i * (slots + 1);

		if (bpf_map_update_elem(map, &place, &region, BPF_ANY) < 0)
			return -errno;
	}
	return bpf_map_freeze(map) < 0 ? -errno : 0;
}

/* Before 5.11 maps count as locked memory of the user. */
static void raise_locked_memory(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

static int fail(char *error, size_t size, const char *what, int number)
{
	snprintf(error, size, "%s: %s%s", what, strerror(-number),
		 number == -EPERM ? " (needs root, or CAP_BPF and CAP_NET_ADMIN)" : "");
	return number;
}

int monitor_object_load(struct monitor_object *ret_object, char *error, size_t error_size)
{
	struct monitor_object object = { .bpf = NULL };
	int cpus, r;
	uint32_t slots;

	libbpf_set_print(quiet);
	raise_locked_memory();
	cpus = libbpf_num_possible_cpus();
	if (cpus < 0)
		return fail(error, error_size, "the number of CPUs", cpus);
	slots = slots_for((uint32_t)cpus);
	r = open_and_load(&object.bpf, (uint32_t)cpus, slots, true);
	if (r < 0)
		r = open_and_load(&object.bpf, (uint32_t)cpus, slots, false);
	if (r < 0)
		return fail(error, error_size, "the eBPF program cannot be loaded", r);
	object.xdp =
		bpf_program__fd(bpf_object__find_program_by_name(object.bpf, "monitor_xdp_frags"));
	if (object.xdp < 0)
		object.xdp = bpf_program__fd(
			bpf_object__find_program_by_name(object.bpf, "monitor_xdp"));
	object.tc = bpf_program__fd(bpf_object__find_program_by_name(object.bpf, "monitor_tc"));
	object.map = bpf_map__fd(bpf_object__find_map_by_name(object.bpf, MONITOR_MAP_NAME));
	r = prepare_map(object.map, (uint32_t)cpus, slots);
	if (r < 0) {
		bpf_object__close(object.bpf);
		return fail(error, error_size, "the map cannot be made read-only", r);
	}
	*ret_object = object;
	return 0;
}

void monitor_object_unload(struct monitor_object *object)
{
	bpf_object__close(object->bpf);
	*object = (struct monitor_object){ .bpf = NULL, .xdp = -1, .tc = -1, .map = -1 };
}
