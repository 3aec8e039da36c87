/* SPDX-License-Identifier: MIT */
/*
 * A request as handlers see it, and the server that they belong to. http.c alone speaks with
 * libmicrohttpd; everything else works on these structs.
 */
#ifndef API_HTTP_H
#define API_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/credentials.h"
#include "api/api.h"
#include "base/buffer.h"

/* A set of methods is the OR of them. A route that takes GET takes HEAD. */
enum method {
	METHOD_GET = 1,
	METHOD_HEAD = 2,
	METHOD_POST = 4,
	METHOD_PATCH = 8,
	METHOD_OPTIONS = 16,
};

/* The longest body that is read, and the longest request line with its headers. (The library has
 * room for twice as much, and refuses what does not fit in words of its own.) */
#define BODY_LIMIT 65536u
#define HEADERS_LIMIT 16384u

struct sockaddr;

struct live;
struct sources;

struct request {
	struct api *api;
	unsigned int method; /* one of enum method; 0 for any other */
	bool metrics;	     /* came by the metrics listener */
	bool loopback;	     /* that listener is bound to a loopback address */
	char *target;	     /* as it stands in the request line; owned */
	const char *query;   /* what of it comes after the first '?', or "" */
	struct buffer body;
	bool too_large; /* the body is, and what was read of it is of no use */
	bool headers_too_large;
	/* Headers, NULL when absent; valid while the request is handled. */
	const char *host, *origin, *content_type, *accept, *authorization;
	const char *accept_encoding, *if_none_match, *last_event_id;
	const struct sockaddr *peer; /* the same */
	/* Who asks, once gate.c let it in; on open routes ROLE_NONE. "" where nobody was asked for
	 * a name. */
	enum role role;
	char user[CREDENTIAL_NAME_SIZE];
	const char *name; /* the value of {name} in the route's path; valid in the handler */
};

void request_fini(struct request *request);

struct MHD_Daemon;
struct connections;

struct listener {
	struct api *api;
	struct MHD_Daemon *daemon;
	int fd; /* a duplicate; the caller of api_start() keeps its own */
	struct connections *connections;
	bool metrics, loopback;
	bool tls;
};

struct api {
	struct api_options options;
	struct listener listeners[2];
	uint64_t started; /* boot ns */
	/* Wall minus boot time, in ns. Kept as long as it is right to within a millisecond, so
	 * that the `time` of an event is the same in every answer and finds it again as `since`. */
	_Atomic int64_t boot_to_real;
	/* A change of a program is under way: it may take seconds, and must not take every
	 * thread. */
	atomic_bool changing;
	struct live *live;
	struct sources *sources; /* streams that are open */
	/* Answers given, by route and status: see api/metrics.c. */
	_Atomic uint64_t *answers;
};

int64_t api_boot_to_real(struct api *api);

#endif
