/* SPDX-License-Identifier: MIT */
/* The built-in program objects, embedded at build time from programs/<name>/<name>.bpf.c, sorted by
 * name (generated table). */
#ifndef LOADER_REGISTRY_H
#define LOADER_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

struct embedded_object {
	const char *name;
	const uint8_t *bytes;
	size_t size;
};

extern const struct embedded_object embedded_objects[];
extern const size_t embedded_object_count;

#endif
