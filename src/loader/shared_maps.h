/* SPDX-License-Identifier: MIT */
/*
 * Maps that all programs share: those tagged "shared" (SHARED of the program SDK). The first object
 * that declares one has it made, every later one of the same name gets the same map, and it stays
 * when they are unloaded. Loader process only; one thread.
 */
#ifndef LOADER_SHARED_MAPS_H
#define LOADER_SHARED_MAPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

struct bpf_object;
struct shared_maps;

/* What a map is, as far as objects must agree on it. */
struct shared_map_form {
	const char *name;
	uint32_t type; /* enum bpf_map_type */
	uint32_t flags, key_size, value_size, max_entries;
};

/* `known` are maps whose form stands fixed, whoever declares them first; the last one has no name.
 * It must outlive the table. NULL when out of memory. */
struct shared_maps *shared_maps_new(const struct shared_map_form *known);
void shared_maps_free(struct shared_maps *maps);
DEFINE_CLEANUP(shared_maps, shared_maps_free)

/* Checks the shared maps that an opened object declares, and gives it those that are there. 0, or
 * -EINVAL (-errno) with one line in `error`. */
int shared_maps_give(const struct shared_maps *maps, struct bpf_object *bpf, char *error,
		     size_t error_size);
/* Keeps those that were made when the object was loaded. 0, or -errno with one line in `error`. */
int shared_maps_keep(struct shared_maps *maps, const struct bpf_object *bpf, char *error,
		     size_t error_size);
/* The descriptor of one that was made, which stays the table's; -1 when none was. */
int shared_maps_find(const struct shared_maps *maps, const char *name);

#endif
