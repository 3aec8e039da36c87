/* SPDX-License-Identifier: MIT */
#include "loader/clsact.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "loader/interface_link.h"
#include "loader/message.h"
#include "loader/netlink.h"

#define PARENT_INGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define PARENT_EGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)

#define HOOK(name, link)                                                                           \
	LIBBPF_OPTS(bpf_tc_hook, name, .ifindex = (int)(link)->ifindex,                            \
		    .attach_point = (link)->hook == INTERFACE_TC_EGRESS ? BPF_TC_EGRESS            \
									: BPF_TC_INGRESS)

static uint32_t parent_of(const struct interface_link *link)
{
	return link->hook == INTERFACE_TC_EGRESS ? PARENT_EGRESS : PARENT_INGRESS;
}

/* ---- the qdisc ---- */

enum qdisc { QDISC_NONE, QDISC_INGRESS, QDISC_CLSACT };

static int hear_qdisc(void *context, const struct nlmsghdr *message)
{
	const struct tcmsg *header = NLMSG_DATA(message);
	enum qdisc *found = context;
	size_t size;
	const char *kind;

	if (header->tcm_parent != TC_H_CLSACT) /* the ingress qdisc's too */
		return 0;
	kind = netlink_attribute(message, sizeof(*header), TCA_KIND, &size);
	if (kind && size && !strncmp(kind, "clsact", size))
		*found = QDISC_CLSACT;
	else
		*found = QDISC_INGRESS;
	return 0;
}

/* The old ingress qdisc sits in the same place, and takes an egress filter for an ingress one. */
static int make_qdisc(struct interface_link *link, char *error, size_t error_size)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)link->ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	enum qdisc qdisc = QDISC_NONE;
	int r = netlink_ask_tc(RTM_GETQDISC, link->ifindex, 0, hear_qdisc, &qdisc);

	if (r == 0 && qdisc == QDISC_INGRESS && link->hook == INTERFACE_TC_EGRESS) {
		message_format(error, error_size,
			       "has an ingress qdisc, which has no egress: replace that by clsact");
		return -EBUSY;
	}
	if (r < 0 || qdisc != QDISC_NONE)
		return r;
	r = bpf_tc_hook_create(&hook);
	if (r == 0)
		link->qdisc_ours = true;
	return r == -EEXIST ? 0 : r;
}

static int hear_any(void *context, const struct nlmsghdr *message)
{
	(void)message;
	*(bool *)context = true;
	return 0;
}

/* Whoever adds a filter between the look and the removal loses it: the kernel knows no removal
 * of a qdisc that is not in use. */
static void remove_unused_qdisc(const struct interface_link *link)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)link->ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	bool used = false;

	if (netlink_ask_tc(RTM_GETTFILTER, link->ifindex, PARENT_INGRESS, hear_any, &used) < 0 ||
	    netlink_ask_tc(RTM_GETTFILTER, link->ifindex, PARENT_EGRESS, hear_any, &used) < 0 ||
	    used)
		return;
	bpf_tc_hook_destroy(&hook);
}

/* ---- the filter ---- */

static int hear_filter(void *context, const struct nlmsghdr *message)
{
	const struct tcmsg *header = NLMSG_DATA(message);
	struct interface_link *link = context;
	size_t size;
	const void *part = netlink_attribute(message, sizeof(*header), TCA_KIND, &size);
	uint32_t id = 0;

	if (!part || size != sizeof("bpf") || memcmp(part, "bpf", size) != 0)
		return 0;
	part = netlink_attribute(message, sizeof(*header), TCA_OPTIONS, &size);
	part = part ? netlink_nested(part, size, TCA_BPF_ID, &size) : NULL;
	if (part && size >= sizeof(id))
		memcpy(&id, part, sizeof(id));
	if (!id || id != link->program_id)
		return 0;
	link->handle = header->tcm_handle;
	link->priority = TC_H_MAJ(header->tcm_info) >> 16;
	return 0;
}

int clsact_find(struct interface_link *link)
{
	int r;

	link->handle = 0;
	r = netlink_ask_tc(RTM_GETTFILTER, link->ifindex, parent_of(link), hear_filter, link);
	/* No qdisc: EINVAL or ENOENT. */
	if (r == 0 && !link->handle)
		return -ENOENT;
	return r;
}

int clsact_attach(struct interface_link *link, int program_fd, char *error, size_t error_size)
{
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_fd);
	HOOK(hook, link);
	int r = make_qdisc(link, error, error_size);

	if (r == -EBUSY)
		return r;
	if (r == 0)
		r = bpf_tc_attach(&hook, &options);
	if (r < 0) {
		message_format(error, error_size, "tc filter: %s", strerror(-r));
		if (link->qdisc_ours)
			remove_unused_qdisc(link);
		return r;
	}
	link->handle = options.handle;
	link->priority = options.priority;
	return 0;
}

bool clsact_is_attached(const struct interface_link *link)
{
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = link->handle, .priority = link->priority);
	HOOK(hook, link);

	return bpf_tc_query(&hook, &options) == 0 && options.prog_id == link->program_id;
}

int clsact_update(const struct interface_link *link, int program_fd)
{
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_fd, .handle = link->handle,
		    .priority = link->priority, .flags = BPF_TC_F_REPLACE);
	HOOK(hook, link);

	if (!clsact_is_attached(link))
		return -ENOENT;
	return bpf_tc_attach(&hook, &options);
}

int clsact_detach(const struct interface_link *link)
{
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = link->handle, .priority = link->priority);
	HOOK(hook, link);
	int r = clsact_is_attached(link) ? bpf_tc_detach(&hook, &options) : -ENOENT;

	if (link->qdisc_ours)
		remove_unused_qdisc(link);
	return r;
}
