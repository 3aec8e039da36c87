/* SPDX-License-Identifier: MIT */
/*
 * Follows streams of events, one connection for each query string of the command line, and counts.
 * `follow PORT QUERY...`; "-" is no query. Says "following" once every stream has begun, then for
 * each line on standard input, as a line of JSON:
 * {"clients":[{"events","missed","unfiltered","unknown","open"},...],"latency_ns":{"count","median
 * ", "p99"}}: events and losses of each so far, and, after a line "latency", how old events were
 * when they came. A line "pause" has nothing read from then on, "resume" goes on; "reset" forgets
 * the latencies. Ends with standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define PIECE_BYTES ((size_t)256 << 10)
#define LINE_BYTES 65536
#define MOST_LATENCIES (1u << 20)
#define NS_PER_SECOND 1000000000ULL

struct client {
	int fd; /* -1: its end came */
	bool begun, lost;
	uint64_t events, missed, unfiltered, unknown;
	size_t length; /* of a line that is not whole yet */
	char *line;
};

static struct client *clients;
static size_t client_count, begun;
static uint64_t *latencies;
static size_t latency_count;

static uint64_t boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static int fail(const char *what)
{
	fprintf(stderr, "follow: %s: %s\n", what, strerror(errno));
	return EXIT_FAILURE;
}

static int connect_to(uint16_t port, const char *query)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	char request[2048];
	int length = snprintf(request, sizeof(request),
			      "GET /api/events/stream%s%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
			      *query == '-' ? "" : "?", *query == '-' ? "" : query);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    send(fd, request, (size_t)length, MSG_NOSIGNAL) != length)
		return -1;
	return fd;
}

static void take_event(struct client *client, const char *data)
{
	const char *timestamp = strstr(data, "\"timestamp\":");
	uint64_t now = boot_ns(), then = timestamp ? strtoull(timestamp + 12, NULL, 10) : now;

	client->events++;
	if (latency_count < MOST_LATENCIES)
		latencies[latency_count++] = now > then ? now - then : 0;
}

static void take_lost(struct client *client, const char *data)
{
	const char *missed = strstr(data, "\"missed\":");
	uint64_t count = missed ? strtoull(missed + 9, NULL, 10) : 0;

	client->unknown += !missed || missed[9] == 'n';
	if (strstr(data, "\"filtered\":true"))
		client->missed += count;
	else
		client->unfiltered += count;
}

/* A whole line, ended by NUL. */
static void take_line(struct client *client, const char *line)
{
	if (!strncmp(line, "retry: ", 7) && !client->begun) {
		client->begun = true;
		begun++;
	} else if (!strncmp(line, "event: ", 7)) {
		client->lost = true;
	} else if (!strncmp(line, "data: ", 6)) {
		if (client->lost)
			take_lost(client, line + 6);
		else
			take_event(client, line + 6);
		client->lost = false;
	}
}

static void take_bytes(struct client *client, char *data, size_t length)
{
	char *end;

	while ((end = memchr(data, '\n', length))) {
		const size_t part = (size_t)(end - data);

		*end = '\0';
		if (client->length) {
			memcpy(client->line + client->length, data, part + 1);
			client->length = 0;
			take_line(client, client->line);
		} else {
			take_line(client, data);
		}
		data = end + 1;
		length -= part + 1;
	}
	if (client->length + length >= LINE_BYTES)
		abort(); /* no event is so long */
	memcpy(client->line + client->length, data, length);
	client->length += length;
}

static void read_client(struct client *client, char *piece)
{
	ssize_t n = recv(client->fd, piece, PIECE_BYTES, MSG_DONTWAIT);

	if (n > 0) {
		take_bytes(client, piece, (size_t)n);
	} else if (n == 0 || errno != EAGAIN) {
		close(client->fd);
		client->fd = -1;
	}
}

static int compare(const void *a, const void *b)
{
	const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void say(bool sorted)
{
	printf("{\"clients\":[");
	for (size_t i = 0; i < client_count; i++) {
		const struct client *client = &clients[i];

		printf("%s{\"events\":%llu,\"missed\":%llu,\"unfiltered\":%llu,\"unknown\":%llu,"
		       "\"open\":%s}",
		       i ? "," : "", (unsigned long long)client->events,
		       (unsigned long long)client->missed, (unsigned long long)client->unfiltered,
		       (unsigned long long)client->unknown, client->fd >= 0 ? "true" : "false");
	}
	if (sorted)
		qsort(latencies, latency_count, sizeof(*latencies), compare);
	printf("],\"latency_ns\":{\"count\":%zu,\"median\":%llu,\"p99\":%llu}}\n", latency_count,
	       latency_count ? (unsigned long long)latencies[latency_count / 2] : 0,
	       latency_count ? (unsigned long long)latencies[latency_count * 99 / 100] : 0);
	fflush(stdout);
}

static int open_clients(int epoll, uint16_t port, char **queries)
{
	for (size_t i = 0; i < client_count; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &clients[i] };

		clients[i].line = malloc(LINE_BYTES);
		clients[i].fd = connect_to(port, queries[i]);
		if (!clients[i].line || clients[i].fd < 0 ||
		    epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event))
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct epoll_event input = { .events = EPOLLIN }, events[64];
	char *piece = malloc(PIECE_BYTES), line[64];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	bool paused = false, said = false;

	if (argc < 3) {
		fprintf(stderr, "usage: follow PORT QUERY...\n");
		return EXIT_USAGE;
	}
	client_count = (size_t)argc - 2;
	clients = calloc(client_count, sizeof(*clients));
	latencies = calloc(MOST_LATENCIES, sizeof(*latencies));
	if (!piece || !clients || !latencies || epoll < 0)
		return fail("memory");
	if (open_clients(epoll, (uint16_t)atoi(argv[1]), argv + 2))
		return fail("cannot connect");
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input))
		return fail("standard input");
	setvbuf(stdin, NULL, _IONBF, 0);
	for (;;) {
		int count = epoll_wait(epoll, events, paused ? 1 : 64, -1);

		for (int i = 0; i < count; i++) {
			struct client *client = events[i].data.ptr;

			if (client) {
				if (client->fd >= 0 && !paused)
					read_client(client, piece);
				continue;
			}
			if (!fgets(line, sizeof(line), stdin))
				return EXIT_SUCCESS;
			if (!strcmp(line, "pause\n") || !strcmp(line, "resume\n")) {
				paused = line[0] == 'p';
				for (size_t j = 0; j < client_count; j++) {
					struct epoll_event event = { .events = paused ? 0 : EPOLLIN,
								     .data.ptr = &clients[j] };

					if (clients[j].fd >= 0)
						epoll_ctl(epoll, EPOLL_CTL_MOD, clients[j].fd,
							  &event);
				}
			}
			if (!strcmp(line, "reset\n"))
				latency_count = 0;
			say(!strcmp(line, "latency\n"));
		}
		if (begun == client_count && !said) {
			said = true;
			puts("following");
			fflush(stdout);
		}
	}
}
