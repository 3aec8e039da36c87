/* SPDX-License-Identifier: MIT */
/*
 * Questions to rtnetlink(7) that libbpf does not ask: what traffic control there is on an
 * interface, and word of interfaces that come, go or change. Any process with the right to ask; one
 * thread a socket.
 */
#ifndef LOADER_NETLINK_H
#define LOADER_NETLINK_H

#include <stddef.h>
#include <stdint.h>

struct nlmsghdr;

/* One message of an answer. Returns 0 to hear the next one; else the question ends with that. */
typedef int (*netlink_hear_fn)(void *context, const struct nlmsghdr *message);

/*
 * Asks about traffic control: `type` is RTM_GETQDISC or RTM_GETTFILTER, `parent` as in struct
 * tcmsg. Calls `hear` for each qdisc of the interface, or each filter at `parent`. 0, what `hear`
 * returned, or -errno (-ENODEV: no such interface).
 */
int netlink_ask_tc(uint16_t type, unsigned int ifindex, uint32_t parent, netlink_hear_fn hear,
		   void *context);

/* The attribute among those after a message's header of `header_size` bytes, or NULL. */
const void *netlink_attribute(const struct nlmsghdr *message, size_t header_size, uint16_t type,
			      size_t *ret_size);
/* The same among those nested in an attribute. */
const void *netlink_nested(const void *attribute, size_t size, uint16_t type, size_t *ret_size);

/* A non-blocking socket that becomes readable when an interface appears, vanishes or changes.
 * Returns the descriptor or -errno. */
int netlink_watch_interfaces(void);
/* Forgets what was told: the listener looks for itself, so that a message that the kernel had no
 * room for does no harm. */
void netlink_discard(int fd);

#endif
