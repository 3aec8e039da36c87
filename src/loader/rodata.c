/* SPDX-License-Identifier: MIT */
#include "loader/rodata.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "loader/object.h"

#define SECTION ".rodata"
#define WAKEUP_SUFFIX "_wakeup_bytes"
#define WAKEUP_PART 16 /* of a ring: the fill at which the reader is called */
#define OWN_PID "own_pid"
#define RING_LIMIT (1u << 30)

/* ---- rings ---- */

/* The kernel takes powers of two of pages (kernel/bpf/ringbuf.c). */
static uint32_t round_ring(uint32_t bytes)
{
	uint32_t size = (uint32_t)sysconf(_SC_PAGESIZE);

	while (size < bytes && size < RING_LIMIT)
		size <<= 1;
	return size;
}

static uint32_t ring_size(const struct bpf_map *map, uint32_t ring_bytes)
{
	return round_ring(ring_bytes ? ring_bytes : bpf_map__max_entries(map));
}

int rings_prepare(struct bpf_object *bpf, uint32_t ring_bytes)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, bpf)
	{
		int r;

		if (bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF)
			continue;
		/* The event's type is there for the schema; the kernel wants no value size. */
		r = bpf_map__set_value_size(map, 0);
		if (!r)
			r = bpf_map__set_max_entries(map, ring_size(map, ring_bytes));
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- constants ---- */

struct constants {
	const struct btf *btf;
	const struct btf_type *section;
	uint8_t *bytes;
	size_t size;
};

static const struct btf_var_secinfo *find_constant(const struct constants *constants,
						   const char *name)
{
	const struct btf_var_secinfo *info = btf_var_secinfos(constants->section);

	for (unsigned int i = 0; i < btf_vlen(constants->section); i++, info++) {
		const struct btf_type *variable = btf__type_by_id(constants->btf, info->type);

		if (!strcmp(btf__name_by_offset(constants->btf, variable->name_off), name))
			return info;
	}
	return NULL;
}

static int set_constant(const struct constants *constants, const char *name, const void *value,
			uint32_t size, char *error, size_t error_size)
{
	const struct btf_var_secinfo *info = find_constant(constants, name);

	if (!info) {
		message_format(error, error_size, "it has no parameter %s", name);
		return -ENOENT;
	}
	if (info->size != size || (size_t)info->offset + size > constants->size) {
		message_format(error, error_size, "parameter %s holds %u bytes, not %u", name,
			       info->size, size);
		return -EINVAL;
	}
	memcpy(constants->bytes + info->offset, value, size);
	return 0;
}

/* A ring without the variable is one whose program wakes the reader in its own way. */
static int set_wakeups(const struct constants *constants, const struct bpf_object *bpf,
		       uint32_t ring_bytes, char *error, size_t error_size)
{
	const struct bpf_map *map;

	bpf_object__for_each_map(map, bpf)
	{
		char name[MESSAGE_NAME_SIZE + sizeof(WAKEUP_SUFFIX)];
		uint32_t bytes;
		int r;

		if (bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF)
			continue;
		message_set_text(name, "%s%s", bpf_map__name(map), WAKEUP_SUFFIX);
		if (!find_constant(constants, name))
			continue;
		bytes = ring_size(map, ring_bytes) / WAKEUP_PART;
		r = set_constant(constants, name, &bytes, sizeof(bytes), error, error_size);
		if (r < 0)
			return r;
	}
	return 0;
}

static int set_all(const struct constants *constants, const struct bpf_object *bpf,
		   const struct object_options *options, char *error, size_t error_size)
{
	int r = set_wakeups(constants, bpf, options->ring_bytes, error, error_size);

	if (!r && find_constant(constants, OWN_PID))
		r = set_constant(constants, OWN_PID, &options->own_pid, sizeof(options->own_pid),
				 error, error_size);
	for (size_t i = 0; !r && i < options->setting_count; i++) {
		const struct object_setting *setting = &options->settings[i];

		r = set_constant(constants, setting->name, setting->value, setting->size, error,
				 error_size);
	}
	return r;
}

static const struct btf_type *find_section(const struct btf *btf)
{
	int id = btf ? btf__find_by_name_kind(btf, SECTION, BTF_KIND_DATASEC) : -ENOENT;

	return id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);
}

int rodata_make(struct bpf_object *bpf, const struct object_options *options, void **ret_bytes,
		size_t *ret_size, char *error, size_t error_size)
{
	struct bpf_map *map = bpf_object__find_map_by_name(bpf, SECTION);
	struct constants constants = { .btf = bpf_object__btf(bpf) };
	FREE uint8_t *bytes = NULL;
	const void *initial;
	int r;

	constants.section = find_section(constants.btf);
	initial = map ? bpf_map__initial_value(map, &constants.size) : NULL;
	if (!initial || !constants.section) {
		if (options->setting_count) {
			message_format(error, error_size, "it has no parameters");
			return -ENOENT;
		}
		*ret_bytes = NULL;
		*ret_size = 0;
		return 0;
	}
	bytes = malloc(constants.size);
	if (!bytes) {
		message_format(error, error_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	memcpy(bytes, initial, constants.size);
	constants.bytes = bytes;
	r = set_all(&constants, bpf, options, error, error_size);
	if (r < 0)
		return r;
	*ret_bytes = TAKE(bytes);
	*ret_size = constants.size;
	return 0;
}

int rodata_is_set(const struct bpf_object *bpf, const void *bytes, size_t size, const char *name)
{
	const struct constants constants = { .btf = bpf_object__btf(bpf),
					     .section = find_section(bpf_object__btf(bpf)) };
	const struct btf_var_secinfo *info =
		bytes && constants.section ? find_constant(&constants, name) : NULL;

	if (!info || (size_t)info->offset + info->size > size)
		return -ENOENT;
	for (uint32_t i = 0; i < info->size; i++) {
		if (((const uint8_t *)bytes)[info->offset + i])
			return 1;
	}
	return 0;
}

int rodata_put(struct bpf_object *bpf, const void *bytes, size_t size)
{
	struct bpf_map *map = bpf_object__find_map_by_name(bpf, SECTION);

	return map ? bpf_map__set_initial_value(map, bytes, size) : -ENOENT;
}
