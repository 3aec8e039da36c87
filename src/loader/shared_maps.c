/* SPDX-License-Identifier: MIT */
#include "loader/shared_maps.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "loader/message.h"

#define TAG "shared"
#define MAPS_MAX 64

struct shared_map {
	char name[MESSAGE_NAME_SIZE];
	struct shared_map_form form; /* its name is the one above */
	int fd;
};

struct shared_maps {
	const struct shared_map_form *known;
	struct shared_map maps[MAPS_MAX];
	size_t count;
};

struct shared_maps *shared_maps_new(const struct shared_map_form *known)
{
	struct shared_maps *maps = calloc(1, sizeof(*maps));

	if (maps)
		maps->known = known;
	return maps;
}

void shared_maps_free(struct shared_maps *maps)
{
	if (!maps)
		return;
	for (size_t i = 0; i < maps->count; i++)
		close(maps->maps[i].fd);
	free(maps);
}

static const struct shared_map *find(const struct shared_maps *maps, const char *name)
{
	for (size_t i = 0; i < maps->count; i++) {
		if (!strcmp(maps->maps[i].name, name))
			return &maps->maps[i];
	}
	return NULL;
}

int shared_maps_find(const struct shared_maps *maps, const char *name)
{
	const struct shared_map *map = find(maps, name);

	return map ? map->fd : -1;
}

/* ---- what an object declares ---- */

/* A declaration tag on the map's variable. */
static bool is_shared(const struct bpf_object *bpf, const struct bpf_map *map)
{
	const struct btf *btf = bpf_object__btf(bpf);

	for (uint32_t id = 1; btf && id < btf__type_cnt(btf); id++) {
		const struct btf_type *tag = btf__type_by_id(btf, id), *target;

		if (!btf_is_decl_tag(tag) || btf_decl_tag(tag)->component_idx != -1 ||
		    strcmp(btf__name_by_offset(btf, tag->name_off), TAG))
			continue;
		target = btf__type_by_id(btf, tag->type);
		if (target && btf_is_var(target) &&
		    !strcmp(btf__name_by_offset(btf, target->name_off), bpf_map__name(map)))
			return true;
	}
	return false;
}

static struct shared_map_form form_of(const struct bpf_map *map)
{
	return (struct shared_map_form){
		.name = bpf_map__name(map),
		.type = bpf_map__type(map),
		.flags = bpf_map__map_flags(map),
		.key_size = bpf_map__key_size(map),
		.value_size = bpf_map__value_size(map),
		.max_entries = bpf_map__max_entries(map),
	};
}

/* The form that a map of this name has to have; NULL: any. */
static const struct shared_map_form *form_in_force(const struct shared_maps *maps, const char *name)
{
	const struct shared_map *map = find(maps, name);

	if (map)
		return &map->form;
	for (const struct shared_map_form *known = maps->known; known && known->name; known++) {
		if (!strcmp(known->name, name))
			return known;
	}
	return NULL;
}

static int refuse(const struct shared_map_form *asked, const struct shared_map_form *in_force,
		  char *error, size_t error_size)
{
	message_format(error, error_size,
		       "map %s: it is shared with other programs and must be declared as there: "
		       "type %u, flags %#x, key of %u bytes, value of %u bytes, %u entries; here "
		       "it is type %u, flags %#x, key of %u, value of %u, %u entries",
		       asked->name, in_force->type, in_force->flags, in_force->key_size,
		       in_force->value_size, in_force->max_entries, asked->type, asked->flags,
		       asked->key_size, asked->value_size, asked->max_entries);
	return -EINVAL;
}

static int check(const struct shared_maps *maps, const struct shared_map_form *asked, char *error,
		 size_t error_size)
{
	const struct shared_map_form *in_force = form_in_force(maps, asked->name);

	/* Each has one reader, and a size of its own. */
	if (asked->type == BPF_MAP_TYPE_RINGBUF) {
		message_format(error, error_size, "map %s: a ring buffer cannot be shared",
			       asked->name);
		return -EINVAL;
	}
	if (!in_force)
		return 0;
	if (asked->type == in_force->type && asked->flags == in_force->flags &&
	    asked->key_size == in_force->key_size && asked->value_size == in_force->value_size &&
	    asked->max_entries == in_force->max_entries)
		return 0;
	return refuse(asked, in_force, error, error_size);
}

int shared_maps_give(const struct shared_maps *maps, struct bpf_object *bpf, char *error,
		     size_t error_size)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, bpf)
	{
		struct shared_map_form asked = form_of(map);
		int fd, r;

		if (bpf_map__is_internal(map) || !is_shared(bpf, map))
			continue;
		r = check(maps, &asked, error, error_size);
		if (r < 0)
			return r;
		fd = shared_maps_find(maps, asked.name);
		r = fd >= 0 ? bpf_map__reuse_fd(map, fd) : 0;
		if (r < 0) {
			message_format(error, error_size, "map %s: cannot be shared: %s",
				       asked.name, strerror(-r));
			return r;
		}
	}
	return 0;
}

/* ---- the table ---- */

static int keep(struct shared_maps *maps, const struct bpf_map *from)
{
	struct shared_map *map = &maps->maps[maps->count];
	int fd;

	if (maps->count == MAPS_MAX)
		return -ENOSPC;
	fd = fcntl(bpf_map__fd(from), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	message_set_text(map->name, "%s", bpf_map__name(from));
	map->form = form_of(from);
	map->form.name = map->name;
	map->fd = fd;
	maps->count++;
	return 0;
}

int shared_maps_keep(struct shared_maps *maps, const struct bpf_object *bpf, char *error,
		     size_t error_size)
{
	const struct bpf_map *map;

	bpf_object__for_each_map(map, bpf)
	{
		int r;

		if (bpf_map__is_internal(map) || !is_shared(bpf, map) ||
		    find(maps, bpf_map__name(map)))
			continue;
		r = keep(maps, map);
		if (r < 0) {
			message_format(error, error_size, "map %s: cannot be shared: %s",
				       bpf_map__name(map),
				       r == -ENOSPC ? "too many maps are" : strerror(-r));
			return r;
		}
	}
	return 0;
}
