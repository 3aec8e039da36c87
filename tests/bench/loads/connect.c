/* SPDX-License-Identifier: MIT */
/* connect: connect(2) of a UDP socket, which sends nothing: the call and its observers alone. */
#include <sys/socket.h>

#include "base/memory.h"
#include "load.h"

struct connect {
	struct load_targets targets;
	int fd;
};

static void close_connect(void *state)
{
	struct connect *connect = state;

	if (connect->fd >= 0)
		close(connect->fd);
	free(connect);
}

static void *open_connect(const struct load_options *options)
{
	struct connect *connect = malloc(sizeof(*connect));

	if (!connect)
		return NULL;
	load_targets_init(&connect->targets, options);
	connect->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (connect->fd >= 0)
		return connect;
	free(connect);
	return NULL;
}

static bool call_connect(void *state, uint64_t *bytes)
{
	struct connect *self = state;

	(void)bytes;
	return !connect(self->fd, load_next_target(&self->targets), sizeof(struct sockaddr_in));
}

const struct load_kind load_connect = {
	.name = "connect",
	.help = "connect a UDP socket",
	.batch = 64,
	.open = open_connect,
	.call = call_connect,
	.close = close_connect,
};
