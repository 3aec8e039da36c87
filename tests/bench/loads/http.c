/* SPDX-License-Identifier: MIT */
/* http: GET over one kept connection, the whole answer read. Anything but 200 is a failure. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "load.h"

#define REQUEST_SIZE 4096
#define BUFFER_SIZE ((size_t)1 << 20)

struct client {
	char request[REQUEST_SIZE];
	size_t request_length;
	char *buffer; /* BUFFER_SIZE and a NUL */
	int fd;
};

static void close_client(void *state)
{
	struct client *client = state;

	if (client->fd >= 0)
		close(client->fd);
	free(client->buffer);
	free(client);
}

static void *open_client(const struct load_options *options)
{
	struct client *client = malloc(sizeof(*client));
	const int on = 1;
	int length, error;

	if (!client)
		return NULL;
	length = snprintf(client->request, sizeof(client->request),
			  "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", options->path);
	client->request_length = (size_t)length;
	client->buffer = malloc(BUFFER_SIZE + 1);
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (length >= REQUEST_SIZE || !client->buffer || client->fd < 0 ||
	    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    connect(client->fd, (const struct sockaddr *)&options->address,
		    sizeof(options->address))) {
		error = errno ? errno : EINVAL;
		close_client(client);
		errno = error;
		return NULL;
	}
	return client;
}

/* Reads up to the end of the head; returns how much of the body came with it, or -1. */
static ssize_t read_head(struct client *client, unsigned long long *ret_length)
{
	size_t fill = 0;

	while (fill < BUFFER_SIZE) {
		ssize_t got = recv(client->fd, client->buffer + fill, BUFFER_SIZE - fill, 0);
		const char *end, *length;

		if (got <= 0)
			return -1;
		fill += (size_t)got;
		client->buffer[fill] = '\0';
		end = strstr(client->buffer, "\r\n\r\n");
		if (!end)
			continue;
		length = strcasestr(client->buffer, "\r\nContent-Length:");
		if (strncmp(client->buffer, "HTTP/1.1 200", 12) != 0 || !length || length > end)
			return -1;
		*ret_length = strtoull(length + strlen("\r\nContent-Length:"), NULL, 10);
		return client->buffer + fill - (end + 4);
	}
	return -1;
}

static bool call_client(void *state, uint64_t *bytes)
{
	struct client *client = state;
	unsigned long long length = 0;
	ssize_t got;

	if (send(client->fd, client->request, client->request_length, MSG_NOSIGNAL) !=
	    (ssize_t)client->request_length)
		return false;
	got = read_head(client, &length);
	if (got < 0)
		return false;
	*bytes += length;
	for (unsigned long long have = (unsigned long long)got; have < length;) {
		got = recv(client->fd, client->buffer, BUFFER_SIZE, 0);
		if (got <= 0)
			return false;
		have += (unsigned long long)got;
	}
	return true;
}

const struct load_kind load_http = {
	.name = "http",
	.help = "GET --path over one connection",
	.batch = 1,
	.open = open_client,
	.call = call_client,
	.close = close_client,
};
