/* SPDX-License-Identifier: MIT */
/*
 * One program's object in the kernel: opened, given its parameters, loaded with the best hooks
 * that this kernel takes, attached, detached. Privileged; loader process only; one thread.
 *
 * Ranked hooks: functions tagged "hook:GROUP:RANK" (BTF tag on the function) are alternatives;
 * rank 1 is tried first, and functions of one group and rank belong together. Exactly one rank of
 * each group runs. A function that fails to load *or* to attach gives way to the next rank of its
 * group (arm64 before 6.2 loads fentry and refuses the attach), and the reason is kept. Functions
 * without a tag are needed. Functions tagged "with:A|B" are left out unless the parameter A or B is
 * set, that is, not 0, "" or false. Maps of a type that this kernel does not have are not made: a
 * function that uses one gives way to the next.
 *
 * Functions of network interfaces (SEC("xdp"), SEC("tc"); tag "interface:DIRECTION:RANK") are
 * alternatives for each interface anew: loaded here, attached by interfaces.c.
 *
 * Links are descriptors of this process: nothing is pinned, so everything goes with it.
 */
#ifndef LOADER_OBJECT_H
#define LOADER_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "loader/interface_link.h"
#include "loader/message.h"

struct kernel_features;
struct object;
struct shared_maps;

struct object_setting {
	const char *name;
	const uint8_t *value;
	uint32_t size;
};

struct object_options {
	struct kernel_features *kernel;	       /* must outlive the object */
	const struct object_setting *settings; /* parameters that differ from their defaults */
	size_t setting_count;
	uint32_t ring_bytes; /* 0: as the object asks; rounded up to a power of two of pages */
	bool interfaces;     /* there are some to attach to */
	uint32_t own_pid;    /* loader/own_pid.h, for objects that ask; 0: unknown */
	/* Of the same bytes: its maps become the new object's too, so that counts and rings go
	 * on when a parameter changes. NULL: maps of its own. */
	const struct object *replaces;
	/* Where maps tagged "shared" come from and go to; must outlive the object. NULL: they are
	 * the object's own. */
	struct shared_maps *shared;
};

/* Opens an object and forgets it; asks nothing of the kernel. 0, or -errno with one line in
 * `error`. */
int object_try(const char *name, const void *bytes, size_t size, char *error, size_t error_size);
/* Opens and loads; nothing runs yet. `bytes` must outlive the object, the options need not. Returns
 * 0, or -errno with one line in `error` that says what failed and what to do. Nothing stays in the
 * kernel on failure. -ENODEV: its functions attach to interfaces and there are none; nothing was
 * tried. */
int object_load(const char *name, const void *bytes, size_t size,
		const struct object_options *options, struct object **ret_object, char *error,
		size_t error_size);
/* Attaches every function chosen, those of interfaces apart. When one cannot be, loads the object
 * again with the next rank of its group; its maps stay the same ones. Returns 0, or -errno with one
 * line in `error`, and nothing is attached. */
int object_attach(struct object *object, char *error, size_t error_size);
/* May be attached again. A function may still run on another CPU: kernel_synchronize() waits
 * for it. */
void object_detach(struct object *object);
/* Detaches and closes everything. Accepts NULL. */
void object_unload(struct object *object);
DEFINE_CLEANUP(object, object_unload)

bool object_needs_interfaces(const struct object *object);
/* The next best function of a direction: the lowest rank above `after`. Returns its descriptor (the
 * object's), or -ENOENT. */
int object_interface_function(const struct object *object, enum interface_direction direction,
			      unsigned int after, unsigned int *ret_rank,
			      enum interface_hook *ret_hook);

/* "tp_btf/kfree_skb": the hooks chosen, joined by ", "; those of interfaces apart. */
const char *object_hook(const struct object *object);
/* Why better ranked hooks are not used; "" when the first ones are. */
const char *object_fallback_reason(const struct object *object);

/* Calls `map` for each map that the server should have: ring buffers (fd writable) and others (fd
 * read-only where the kernel can). The fd is valid during the call. Stops at the first non-zero
 * return and returns it; -errno when a map cannot be had. */
int object_each_map(const struct object *object,
		    int (*map)(void *context, const char *name, int fd), void *context);

/* Adds up the values of a per-CPU array's first entry as `count` u64. 0, -ENOENT when there is
 * no such map, -EINVAL when it is of another shape, -errno. */
int object_sum_per_cpu(const struct object *object, const char *map, uint64_t *sums, size_t count);

/* Sum over its functions, from the kernel's accounting; *ret_measured tells whether the kernel
 * measures by its sysctl (kernel.bpf_stats_enabled) or has measured something. 0 or -errno. */
int object_statistics(const struct object *object, uint64_t *ret_run_count,
		      uint64_t *ret_run_time_ns, bool *ret_measured);

#endif
