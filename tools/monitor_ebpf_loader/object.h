/* SPDX-License-Identifier: MIT */
/* The program in the kernel, loaded and not yet attached. One thread; needs CAP_BPF and
 * CAP_NET_ADMIN. */
#ifndef MONITOR_OBJECT_H
#define MONITOR_OBJECT_H

#include <stddef.h>

#include "base/memory.h"

struct bpf_object;

struct monitor_object {
	struct bpf_object *bpf;
	int xdp, tc; /* programs; belong to the object */
	int map;     /* frozen: user space can only read it, whoever has it */
};

/* Loads it with a region for each CPU. Returns 0, or -errno with one line in `error`. */
int monitor_object_load(struct monitor_object *ret_object, char *error, size_t error_size);
void monitor_object_unload(struct monitor_object *object);

#endif
