/* SPDX-License-Identifier: MIT */
/*
 * connect-close: a whole TCP connection over loopback: socket, connect, accept, close of both ends.
 * The client closes first and in order, so no packet is dropped. Its ports wait in TIME_WAIT;
 * the destinations take turns, so that there is always one whose second of waiting is over.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "load.h"

#define DESTINATIONS 4
#define BACKLOG 16

struct pair {
	struct load_targets targets;
	int listener;
};

static void close_pair(void *state)
{
	struct pair *pair = state;

	if (pair->listener >= 0)
		close(pair->listener);
	free(pair);
}

static void *open_pair(const struct load_options *options)
{
	struct load_options own = *options;
	socklen_t length = sizeof(own.address);
	struct pair *pair = malloc(sizeof(*pair));
	int error;

	if (!pair)
		return NULL;
	pair->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	own.address.sin_port = 0;
	own.address.sin_addr.s_addr = htonl(INADDR_ANY);
	if (pair->listener < 0 ||
	    bind(pair->listener, (struct sockaddr *)&own.address, sizeof(own.address)) ||
	    listen(pair->listener, BACKLOG) ||
	    getsockname(pair->listener, (struct sockaddr *)&own.address, &length)) {
		error = errno;
		close_pair(pair);
		errno = error;
		return NULL;
	}
	own.address.sin_addr = options->address.sin_addr;
	own.ports = 1;
	own.hosts = DESTINATIONS;
	load_targets_init(&pair->targets, &own);
	return pair;
}

static bool call_pair(void *state, uint64_t *bytes)
{
	struct pair *pair = state;
	CLOSE int server = -1;
	CLOSE int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)bytes;
	if (client < 0 ||
	    connect(client, load_next_target(&pair->targets), sizeof(struct sockaddr_in)))
		return false;
	server = accept4(pair->listener, NULL, NULL, SOCK_CLOEXEC);
	close(TAKE_FD(client));
	return server >= 0;
}

const struct load_kind load_connect_close = {
	.name = "connect-close",
	.help = "open and close a TCP connection",
	.batch = 16,
	.open = open_pair,
	.call = call_pair,
	.close = close_pair,
};
