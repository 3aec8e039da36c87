/* SPDX-License-Identifier: MIT */
/*
 * Programs as filters of a clsact qdisc: the way of tc before links (loader/interface_link.h).
 * A filter stays when its process goes. Others' qdiscs and filters are left alone.
 */
#ifndef LOADER_CLSACT_H
#define LOADER_CLSACT_H

#include <stdbool.h>
#include <stddef.h>

struct interface_link;

/* Adds a filter at link->hook of link->ifindex, and the qdisc where there is none; fills handle,
 * priority and `qdisc_ours` (which stays set where it was). 0, or -errno with one line in
 * `error`. */
int clsact_attach(struct interface_link *link, int program_fd, char *error, size_t error_size);
/* Another program in the same filter. 0, -ENOENT when the filter is not ours any more, -errno. */
int clsact_update(const struct interface_link *link, int program_fd);
/* Removes the filter, and the qdisc when it is ours and has no filter left. 0, -ENOENT, -errno. */
int clsact_detach(const struct interface_link *link);
bool clsact_is_attached(const struct interface_link *link);
/* Fills handle and priority of the filter at link->hook that runs link->program_id. 0, -ENOENT,
 * -errno. */
int clsact_find(struct interface_link *link);

#endif
