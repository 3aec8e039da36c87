/* SPDX-License-Identifier: MIT */
/* udp-closed: a datagram to a port where nobody listens; the kernel drops each one (NO_SOCKET). */
#include <sys/socket.h>

#include "base/memory.h"
#include "load.h"

struct sender {
	struct load_targets targets;
	int fd;
};

static void close_sender(void *state)
{
	struct sender *sender = state;

	if (sender->fd >= 0)
		close(sender->fd);
	free(sender);
}

static void *open_sender(const struct load_options *options)
{
	struct sender *sender = malloc(sizeof(*sender));

	if (!sender)
		return NULL;
	load_targets_init(&sender->targets, options);
	sender->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sender->fd >= 0)
		return sender;
	free(sender);
	return NULL;
}

static bool call_sender(void *state, uint64_t *bytes)
{
	struct sender *sender = state;
	const struct sockaddr *target = load_next_target(&sender->targets);

	(void)bytes;
	return sendto(sender->fd, "x", 1, 0, target, sizeof(struct sockaddr_in)) == 1;
}

const struct load_kind load_udp_closed = {
	.name = "udp-closed",
	.help = "send a datagram to a closed port",
	.batch = 32,
	.open = open_sender,
	.call = call_sender,
	.close = close_sender,
};
