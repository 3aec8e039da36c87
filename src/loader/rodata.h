/* SPDX-License-Identifier: MIT */
/* What is written into an object between opening and loading: constants, and the size of its
 * rings. */
#ifndef LOADER_RODATA_H
#define LOADER_RODATA_H

#include <stddef.h>
#include <stdint.h>

struct bpf_object;
struct object_options;

/* The object's .rodata with the settings in it, `<ring>_wakeup_bytes` of each ring and `own_pid`;
 * NULL when it has none. The caller frees it. 0, or -errno with a line in `error`: -ENOENT for a
 * name that is no constant, -EINVAL for a value of another size. */
int rodata_make(struct bpf_object *bpf, const struct object_options *options, void **ret_bytes,
		size_t *ret_size, char *error, size_t error_size);
/* Whether a constant of such bytes is not all zeros; -ENOENT when there is none of this name. */
int rodata_is_set(const struct bpf_object *bpf, const void *bytes, size_t size, const char *name);
/* Puts it into an opened object of the same bytes. 0 or -errno. */
int rodata_put(struct bpf_object *bpf, const void *bytes, size_t size);

/* Makes the ring buffers of an opened object fit to load. `ring_bytes` of 0 leaves their size. */
int rings_prepare(struct bpf_object *bpf, uint32_t ring_bytes);

#endif
