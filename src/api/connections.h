/* SPDX-License-Identifier: MIT */
/*
 * The connections of one listener: how many there may be, in all and from one address, and how long
 * each may take for what it is doing. The HTTP library's own limits only know silence: a client
 * that says a byte now and then would stay for ever, and one that came first would keep out
 * all others.
 *
 * So a connection makes room for a new one when there is no more room: one that waits for its
 * request, else one that takes an answer; of these the one that has least time left, and of all
 * those that only just began last. And a thread of its own ends those whose time is up, and those
 * whose client has gone half-way. To end means shutdown(2): the library then sees the end of the
 * stream, and sees to the rest.
 *
 * Any thread.
 */
#ifndef API_CONNECTIONS_H
#define API_CONNECTIONS_H

#include <stdint.h>

struct connection;
struct connections;
struct listener;
struct sockaddr;

enum connection_phase {
	CONNECTION_OPENED,  /* and nothing whole was said yet: TLS handshake, request line */
	CONNECTION_ASKING,  /* the request line is there; headers and body are to come */
	CONNECTION_WORKING, /* the answer is being made, or goes on: no time limit */
	CONNECTION_TAKING,  /* an answer that has an end is on its way out */
	CONNECTION_IDLE,    /* between two requests */
};

struct connection_limits {
	unsigned int most, most_of_one_address;
};

/* Starts its thread. Returns 0 or -errno. */
int connections_new(struct connection_limits limits, struct listener *listener,
		    struct connections **ret_connections);
/* Every connection was removed by then. Accepts NULL. */
void connections_free(struct connections *connections);

/* A new one; makes room for it, or ends it at once where nobody can give way. `peer` is copied, the
 * descriptor stays the caller's, who removes the connection before closing it. NULL when out of
 * memory: the connection is then not looked after. */
struct connection *connections_add(struct connections *connections, int fd,
				   const struct sockaddr *peer);
void connections_remove(struct connection *connection);

/* Both accept NULL. `now`: boot ns. */
void connection_enter(struct connection *connection, enum connection_phase phase, uint64_t now);
struct listener *connection_listener(const struct connection *connection);

#endif
