/* SPDX-License-Identifier: MIT */
#include "loader/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"

/* The kernel fills at most this much of a dump at a time (NLMSG_GOODSIZE and some more). */
#define ANSWER_SIZE 32768

static int open_socket(uint32_t groups, int flags)
{
	CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);
	const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* ---- questions ---- */

/* One datagram of the answer. 1 when more is to come, 0 at the end. */
static int hear_datagram(const char *bytes, size_t size, netlink_hear_fn hear, void *context)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)bytes;

	for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size)) {
		int r;

		if (message->nlmsg_type == NLMSG_DONE)
			return 0;
		if (message->nlmsg_type == NLMSG_ERROR) {
			if (message->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
				return -EBADMSG;
			return ((const struct nlmsgerr *)NLMSG_DATA(message))->error;
		}
		r = hear(context, message);
		if (r)
			return r < 0 ? r : -EBADMSG;
	}
	return 1;
}

static int hear_answer(int fd, netlink_hear_fn hear, void *context)
{
	_Alignas(struct nlmsghdr) char bytes[ANSWER_SIZE];
	int r = 1;

	while (r > 0) {
		ssize_t size = recv(fd, bytes, sizeof(bytes), 0);

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return size < 0 ? -errno : -EBADMSG;
		r = hear_datagram(bytes, (size_t)size, hear, context);
	}
	return r;
}

struct question {
	unsigned int ifindex;
	netlink_hear_fn hear;
	void *context;
};

/* A dump of qdiscs is one of all interfaces. */
static int hear_of_interface(void *context, const struct nlmsghdr *message)
{
	const struct question *question = context;
	const struct tcmsg *header = NLMSG_DATA(message);

	if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*header)))
		return -EBADMSG;
	if ((unsigned int)header->tcm_ifindex != question->ifindex)
		return 0;
	return question->hear(question->context, message);
}

int netlink_ask_tc(uint16_t type, unsigned int ifindex, uint32_t parent, netlink_hear_fn hear,
		   void *context)
{
	struct {
		struct nlmsghdr message;
		struct tcmsg header;
	} request = {
		.message = { .nlmsg_len = sizeof(request),
			     .nlmsg_type = type,
			     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			     .nlmsg_seq = 1 },
		.header = { .tcm_family = AF_UNSPEC,
			    .tcm_ifindex = (int)ifindex,
			    .tcm_parent = parent },
	};
	struct question question = { .ifindex = ifindex, .hear = hear, .context = context };
	CLOSE int fd = open_socket(0, 0);

	if (fd < 0)
		return fd;
	if (send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	return hear_answer(fd, hear_of_interface, &question);
}

/* ---- attributes ---- */

const void *netlink_nested(const void *attribute, size_t size, uint16_t type, size_t *ret_size)
{
	const struct rtattr *part = attribute;

	for (; RTA_OK(part, size); part = RTA_NEXT(part, size)) {
		if ((part->rta_type & NLA_TYPE_MASK) != type)
			continue;
		*ret_size = RTA_PAYLOAD(part);
		return RTA_DATA(part);
	}
	return NULL;
}

const void *netlink_attribute(const struct nlmsghdr *message, size_t header_size, uint16_t type,
			      size_t *ret_size)
{
	size_t begin = NLMSG_SPACE(header_size);

	if (message->nlmsg_len < begin)
		return NULL;
	return netlink_nested((const char *)message + begin, message->nlmsg_len - begin, type,
			      ret_size);
}

/* ---- word of changes ---- */

int netlink_watch_interfaces(void)
{
	return open_socket(RTMGRP_LINK, SOCK_NONBLOCK);
}

void netlink_discard(int fd)
{
	char bytes[1];

	/* ENOBUFS: it lost some, and says so once. */
	while (recv(fd, bytes, sizeof(bytes), 0) >= 0 || errno == ENOBUFS || errno == EINTR)
		;
}
