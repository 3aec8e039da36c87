/* SPDX-License-Identifier: MIT */
/*
 * One loaded program on one hook of one network interface:
 *
 *   XDP          by a bpf_link (5.9, aa8d3a716b59), native where the driver can, else generic;
 *                before 5.9 by netlink
 *   tc in, out   by a tcx link (6.6, e420bed02507), else as a filter of a clsact qdisc
 *
 * Nobody else's program is ever replaced or detached: an XDP hook that is taken is an error that
 * names who has it; on tc there is room for many. Ingress goes before those that are there, to see
 * what arrives, egress behind them, to see what leaves.
 *
 * A link goes with its last descriptor, so with the process, however that ends, unless it is
 * pinned. What is attached without one (`fd` is -1) stays until it is detached. Needs CAP_NET_ADMIN
 * and CAP_BPF; any thread, each link in one at a time.
 */
#ifndef LOADER_INTERFACE_LINK_H
#define LOADER_INTERFACE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum interface_direction { INTERFACE_INGRESS, INTERFACE_EGRESS };
#define INTERFACE_DIRECTIONS 2

enum interface_hook { INTERFACE_XDP, INTERFACE_TC_INGRESS, INTERFACE_TC_EGRESS };

enum interface_mode {
	INTERFACE_XDP_NATIVE,
	INTERFACE_XDP_GENERIC,
	INTERFACE_TCX,
	INTERFACE_CLSACT,
};

/* Ways not to go, as on kernels or drivers that do not have them. */
#define INTERFACE_AVOID_LINKS 1u
#define INTERFACE_AVOID_NATIVE 2u
#define INTERFACE_AVOID_GENERIC 4u

struct interface_request {
	int program_fd; /* of type XDP or SCHED_CLS, as the hook takes */
	unsigned int ifindex;
	enum interface_hook hook;
	unsigned int avoid;
	/* The caller has another link on this interface whose `qdisc_ours` is set. */
	bool qdisc_ours;
};

struct interface_link {
	unsigned int ifindex; /* 0: not attached */
	enum interface_hook hook;
	enum interface_mode mode;
	int fd;			   /* of the bpf_link; -1: none, see above */
	uint32_t program_id;	   /* attached now */
	uint32_t handle, priority; /* INTERFACE_CLSACT: of the filter */
	bool qdisc_ours;	   /* clsact was made for it */
	char reason[160];	   /* why not a better mode; "" when it is the best */
};

/* clang-format off */
#define INTERFACE_LINK_INIT { .fd = -1 }
/* clang-format on */

/* "xdp native", "xdp generic", "tcx", "clsact". */
const char *interface_mode_name(enum interface_mode mode);
/* "ingress" or "egress". */
const char *interface_direction_name(enum interface_direction direction);

/* Attaches in the best mode. Returns 0, or -errno with one line in `error` and nothing attached:
 * -EBUSY when somebody else's program is in the place, -ENODEV when there is no such interface. */
int interface_link_attach(const struct interface_request *request, struct interface_link *ret_link,
			  char *error, size_t error_size);
/* Puts another program of the same type in the place of the one attached, at once: each packet
 * meets one of them. 0, or -errno and the old one stays. */
int interface_link_update(struct interface_link *link, int program_fd);
/* False when it ended without us: the interface is gone, or somebody detached it. */
bool interface_link_is_attached(const struct interface_link *link);
/* Detaches, pinned or not, and removes a clsact qdisc that was made for it and that nobody else
 * uses. A link that is not attached is left alone. 0, or -errno; it counts as detached anyway. */
int interface_link_detach(struct interface_link *link);

/* For what shall outlive the process. */

/* Pins it at a path in a bpf file system. 0, -EOPNOTSUPP when it has no descriptor (and so stays
 * by itself), -errno. */
int interface_link_pin(const struct interface_link *link, const char *path);
/* Forgets it without detaching: what is pinned, or has no descriptor, stays. */
void interface_link_leave(struct interface_link *link);
/* What was pinned. 0, -EINVAL when it is no link of an interface, -ENODEV when its interface is
 * gone (the pin can be removed), -errno. */
int interface_link_open_pinned(const char *path, struct interface_link *ret_link);
/* Where a program that is attached without a link hangs. 0, -ENOENT, -errno. `qdisc_ours` is false:
 * who made the qdisc is not known any more. */
int interface_link_find(uint32_t program_id, unsigned int ifindex, enum interface_hook hook,
			struct interface_link *ret_link);

#endif
