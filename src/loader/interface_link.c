/* SPDX-License-Identifier: MIT */
#include "loader/interface_link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "loader/clsact.h"
#include "loader/message.h"

/* include/uapi/linux/bpf.h from 6.6 on; libbpf before 1.3 passes on what it does not know. */
#define ATTACH_TCX_INGRESS ((enum bpf_attach_type)46)
#define ATTACH_TCX_EGRESS ((enum bpf_attach_type)47)
#define LINK_TYPE_XDP 6
#define LINK_TYPE_TCX 11
#define FLAG_BEFORE (1u << 3) /* BPF_F_BEFORE: without a relative, before all */
#define FLAG_AFTER (1u << 4)

const char *interface_mode_name(enum interface_mode mode)
{
	static const char *const names[] = {
		[INTERFACE_XDP_NATIVE] = "xdp native",
		[INTERFACE_XDP_GENERIC] = "xdp generic",
		[INTERFACE_TCX] = "tcx",
		[INTERFACE_CLSACT] = "clsact",
	};

	return (size_t)mode < ARRAY_SIZE(names) ? names[mode] : "unknown";
}

const char *interface_direction_name(enum interface_direction direction)
{
	return direction == INTERFACE_EGRESS ? "egress" : "ingress";
}

static int program_id_of(int fd, uint32_t *ret_id)
{
	struct bpf_prog_info info = { .id = 0 };
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	*ret_id = info.id;
	return 0;
}

/* ---- XDP ---- */

/* The program in the place, or 0. */
static uint32_t xdp_occupant(unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	if (bpf_xdp_query((int)ifindex, 0, &query) < 0)
		return 0;
	return query.drv_prog_id   ? query.drv_prog_id
	       : query.skb_prog_id ? query.skb_prog_id
	       : query.hw_prog_id  ? query.hw_prog_id
				   : query.prog_id;
}

static void describe_occupant(unsigned int ifindex, char *error, size_t error_size)
{
	uint32_t id = xdp_occupant(ifindex);
	CLOSE int fd = id ? bpf_prog_get_fd_by_id(id) : -1;
	struct bpf_prog_info info = { .id = 0 };
	uint32_t size = sizeof(info);

	if (!id)
		message_format(error, error_size,
			       "an XDP program of a device above or below it is in the way");
	else if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0 || !info.name[0])
		message_format(error, error_size, "has XDP program %u already, and keeps it", id);
	else
		message_format(error, error_size, "has XDP program %u (%s) already, and keeps it",
			       id, info.name);
}

static const char *xdp_words(int error)
{
	switch (error) {
	case -EOPNOTSUPP:
		return "not supported by its driver";
	case -EINVAL:
	case -ERANGE:
		return "refused by its driver (MTU, queues or offloads)";
	case -EPERM:
		return "not permitted (needs CAP_NET_ADMIN)";
	default:
		return strerror(-error);
	}
}

static int xdp_by_link(const struct interface_request *request, uint32_t mode, int *ret_fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = mode);
	int fd = bpf_link_create(request->program_fd, (int)request->ifindex, BPF_XDP, &options);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int xdp_by_netlink(const struct interface_request *request, uint32_t mode, int *ret_fd)
{
	*ret_fd = -1;
	return bpf_xdp_attach((int)request->ifindex, request->program_fd,
			      mode | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
}

static uint32_t xdp_flags(enum interface_mode mode)
{
	return mode == INTERFACE_XDP_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
}

/* In the order of trying. Before 5.9 the kernel says EINVAL to a link of either mode. */
static const struct xdp_way {
	enum interface_mode mode;
	uint32_t avoid;
	int (*attach)(const struct interface_request *request, uint32_t mode, int *ret_fd);
} xdp_ways[] = {
	{ INTERFACE_XDP_NATIVE, INTERFACE_AVOID_LINKS | INTERFACE_AVOID_NATIVE, xdp_by_link },
	{ INTERFACE_XDP_GENERIC, INTERFACE_AVOID_LINKS | INTERFACE_AVOID_GENERIC, xdp_by_link },
	{ INTERFACE_XDP_NATIVE, INTERFACE_AVOID_NATIVE, xdp_by_netlink },
	{ INTERFACE_XDP_GENERIC, INTERFACE_AVOID_GENERIC, xdp_by_netlink },
};

/* Whether another way may do where one failed so. */
static bool may_try_on(int error)
{
	return error != -EBUSY && error != -EEXIST && error != -ENODEV && error != -EPERM;
}

static int attach_xdp(const struct interface_request *request, struct interface_link *link,
		      char *error, size_t error_size)
{
	int r = -EOPNOTSUPP;

	for (size_t i = 0; i < ARRAY_SIZE(xdp_ways); i++) {
		const struct xdp_way *way = &xdp_ways[i];

		if (request->avoid & way->avoid)
			continue;
		r = way->attach(request, xdp_flags(way->mode), &link->fd);
		if (r == 0) {
			link->mode = way->mode;
			if (way->mode == INTERFACE_XDP_NATIVE)
				link->reason[0] = '\0';
			return 0;
		}
		if (!may_try_on(r))
			break;
		if (way->mode == INTERFACE_XDP_NATIVE)
			message_set_text(link->reason, "native XDP %s", xdp_words(r));
	}
	if (r == -EBUSY || r == -EEXIST) {
		describe_occupant(request->ifindex, error, error_size);
		return -EBUSY;
	}
	message_format(error, error_size, "XDP: %s", xdp_words(r));
	return r;
}

/* Without a link the program has to be named, so that nobody else's goes. */
static int replace_by_netlink(const struct interface_link *link, int program_fd)
{
	CLOSE int old = bpf_prog_get_fd_by_id(link->program_id);
	LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = old);
	uint32_t flags = xdp_flags(link->mode) | XDP_FLAGS_REPLACE;

	if (old < 0)
		return -errno;
	return program_fd < 0 ? bpf_xdp_detach((int)link->ifindex, flags, &options)
			      : bpf_xdp_attach((int)link->ifindex, program_fd, flags, &options);
}

/* ---- tc ---- */

static int tcx(const struct interface_request *request, int *ret_fd)
{
	bool egress = request->hook == INTERFACE_TC_EGRESS;
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = egress ? FLAG_AFTER : FLAG_BEFORE);
	int fd = -1;

	if (request->avoid & INTERFACE_AVOID_LINKS)
		return -EINVAL;
	fd = bpf_link_create(request->program_fd, (int)request->ifindex,
			     egress ? ATTACH_TCX_EGRESS : ATTACH_TCX_INGRESS, &options);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int attach_tc(const struct interface_request *request, struct interface_link *link,
		     char *error, size_t error_size)
{
	int r = tcx(request, &link->fd);

	if (r == 0) {
		link->mode = INTERFACE_TCX;
		return 0;
	}
	if (r != -EINVAL && r != -EOPNOTSUPP) {
		message_format(error, error_size, "tcx: %s", strerror(-r));
		return r;
	}
	message_set_text(link->reason, "tcx is not in this kernel");
	link->mode = INTERFACE_CLSACT;
	link->fd = -1;
	link->qdisc_ours = request->qdisc_ours;
	return clsact_attach(link, request->program_fd, error, error_size);
}

/* ---- either ---- */

int interface_link_attach(const struct interface_request *request, struct interface_link *ret_link,
			  char *error, size_t error_size)
{
	struct interface_link link = {
		.ifindex = request->ifindex,
		.hook = request->hook,
		.fd = -1,
	};
	int r = program_id_of(request->program_fd, &link.program_id);

	if (r < 0) {
		message_format(error, error_size, "its program: %s", strerror(-r));
		return r;
	}
	r = request->hook == INTERFACE_XDP ? attach_xdp(request, &link, error, error_size)
					   : attach_tc(request, &link, error, error_size);
	if (r < 0)
		return r;
	*ret_link = link;
	return 0;
}

int interface_link_update(struct interface_link *link, int program_fd)
{
	uint32_t id;
	int r = program_id_of(program_fd, &id);

	if (r < 0)
		return r;
	if (link->fd >= 0)
		r = bpf_link_update(link->fd, program_fd, NULL) < 0 ? -errno : 0;
	else if (link->hook == INTERFACE_XDP)
		r = replace_by_netlink(link, program_fd);
	else
		r = clsact_update(link, program_fd);
	if (r < 0)
		return r;
	link->program_id = id;
	return 0;
}

static int link_info(int fd, struct bpf_link_info *info)
{
	uint32_t size = sizeof(*info);

	return bpf_obj_get_info_by_fd(fd, info, &size) < 0 ? -errno : 0;
}

bool interface_link_is_attached(const struct interface_link *link)
{
	struct bpf_link_info info = { .id = 0 };

	if (!link->ifindex)
		return false;
	/* A tcx link's ifindex is in the same place (struct bpf_link_info). */
	if (link->fd >= 0)
		return link_info(link->fd, &info) == 0 && info.xdp.ifindex == link->ifindex;
	if (link->hook == INTERFACE_XDP)
		return xdp_occupant(link->ifindex) == link->program_id;
	return clsact_is_attached(link);
}

int interface_link_detach(struct interface_link *link)
{
	int r = 0;

	if (!link->ifindex)
		return 0;
	if (link->fd >= 0)
		r = bpf_link_detach(link->fd) < 0 && interface_link_is_attached(link) ? -errno : 0;
	else if (link->hook == INTERFACE_XDP)
		r = replace_by_netlink(link, -1);
	else
		r = clsact_detach(link);
	interface_link_leave(link);
	return r;
}

/* ---- what outlives the process ---- */

int interface_link_pin(const struct interface_link *link, const char *path)
{
	if (link->fd < 0)
		return -EOPNOTSUPP;
	return bpf_obj_pin(link->fd, path) < 0 ? -errno : 0;
}

void interface_link_leave(struct interface_link *link)
{
	if (link->fd >= 0)
		close(TAKE_FD(link->fd));
	*link = (struct interface_link)INTERFACE_LINK_INIT;
}

static enum interface_mode xdp_mode(unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	if (bpf_xdp_query((int)ifindex, 0, &query) == 0 && query.skb_prog_id && !query.drv_prog_id)
		return INTERFACE_XDP_GENERIC;
	return INTERFACE_XDP_NATIVE;
}

/* The kernel tells of a pinned program or map through the same call: what is said of `fd` is of a
 * link only if the link of that number says the same. */
static bool is_interface_link(const struct bpf_link_info *info)
{
	CLOSE int fd = bpf_link_get_fd_by_id(info->id);
	struct bpf_link_info same = { .id = 0 };

	return (info->type == LINK_TYPE_XDP || info->type == LINK_TYPE_TCX) && fd >= 0 &&
	       link_info(fd, &same) == 0 && same.type == info->type &&
	       same.prog_id == info->prog_id;
}

int interface_link_open_pinned(const char *path, struct interface_link *ret_link)
{
	CLOSE int fd = bpf_obj_get(path);
	struct bpf_link_info info = { .id = 0 };
	struct interface_link link = INTERFACE_LINK_INIT;
	int r = fd < 0 ? -errno : link_info(fd, &info);

	if (r < 0)
		return r;
	if (!is_interface_link(&info))
		return -EINVAL;
	link.ifindex = info.xdp.ifindex;
	if (!link.ifindex)
		return -ENODEV;
	link.program_id = info.prog_id;
	if (info.type == LINK_TYPE_XDP) {
		link.mode = xdp_mode(link.ifindex);
	} else {
		/* struct bpf_link_info: tcx.attach_type comes after tcx.ifindex. */
		uint32_t type = (&info.xdp.ifindex)[1];

		link.mode = INTERFACE_TCX;
		link.hook = type == (uint32_t)ATTACH_TCX_EGRESS ? INTERFACE_TC_EGRESS
								: INTERFACE_TC_INGRESS;
	}
	link.fd = TAKE_FD(fd);
	*ret_link = link;
	return 0;
}

int interface_link_find(uint32_t program_id, unsigned int ifindex, enum interface_hook hook,
			struct interface_link *ret_link)
{
	struct interface_link link = {
		.ifindex = ifindex, .hook = hook, .fd = -1, .program_id = program_id
	};
	int r = 0;

	if (hook == INTERFACE_XDP) {
		if (xdp_occupant(ifindex) != program_id)
			return -ENOENT;
		link.mode = xdp_mode(ifindex);
	} else {
		link.mode = INTERFACE_CLSACT;
		r = clsact_find(&link);
	}
	if (r < 0)
		return r;
	*ret_link = link;
	return 0;
}
