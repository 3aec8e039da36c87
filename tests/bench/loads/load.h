/* SPDX-License-Identifier: MIT */
/*
 * Load for benchmarks: a kind says what one call is, loads/main.c does the threads, the pacing, the
 * clock and the sum. A new kind is one file and one row of kinds[] in loads/main.c.
 *
 * Calls go to loopback or to what the namespace they run in reaches, and end by count or by time.
 */
#ifndef LOAD_H
#define LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct load_options {
	struct sockaddr_in address;
	unsigned int ports; /* calls go to address.sin_port and the ports after it, in turn */
	unsigned int hosts; /* and to address.sin_addr and the addresses after it */
	const char *path;   /* http: what is asked for */
};

struct load_kind {
	const char *name;
	const char *help;
	/* The clock is asked once in so many calls: what lies between is one sample. */
	unsigned int batch;
	/* Called in the thread that makes the calls. Returns its state, or NULL with errno set. */
	void *(*open)(const struct load_options *options);
	/* One call; false when it failed, which is counted. `*bytes` grows by what came back. */
	bool (*call)(void *state, uint64_t *bytes);
	void (*close)(void *state);
};

extern const struct load_kind load_connect;
extern const struct load_kind load_connect_close;
extern const struct load_kind load_udp_closed;
extern const struct load_kind load_churn;
extern const struct load_kind load_http;
extern const struct load_kind load_read_file;
extern const struct load_kind load_read_zero;

/* The destinations in turn. */
struct load_targets {
	struct sockaddr_in address;
	uint32_t first_host;
	uint16_t first_port;
	unsigned int ports, hosts;
	unsigned int port, host;
};

static inline void load_targets_init(struct load_targets *targets,
				     const struct load_options *options)
{
	*targets = (struct load_targets){
		.address = options->address,
		.first_host = ntohl(options->address.sin_addr.s_addr),
		.first_port = ntohs(options->address.sin_port),
		.ports = options->ports,
		.hosts = options->hosts,
	};
}

static inline const struct sockaddr *load_next_target(struct load_targets *targets)
{
	if (targets->ports > 1) {
		if (++targets->port == targets->ports)
			targets->port = 0;
		targets->address.sin_port = htons((uint16_t)(targets->first_port + targets->port));
	}
	if (targets->hosts > 1) {
		if (++targets->host == targets->hosts)
			targets->host = 0;
		targets->address.sin_addr.s_addr = htonl(targets->first_host + targets->host);
	}
	return (const struct sockaddr *)&targets->address;
}

#endif
