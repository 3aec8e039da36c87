/* SPDX-License-Identifier: MIT */
/*
 * The HTTP API: libmicrohttpd on its own threads, a const table of routes (api/routes.h), answers
 * out of the store. Everything that a route takes and gives is in its row, and /openapi.json is
 * written from the rows and the schemas, so a route that is not described cannot exist.
 */
#ifndef API_API_H
#define API_API_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/memory.h"
#include "pipeline/control.h"
#include "pipeline/pipeline.h"

struct access;
struct lists;
struct metrics;
struct symbols;
struct tls;
struct api;

struct api_options {
	int api_listener;     /* listening sockets; not taken */
	int metrics_listener; /* -1: none */
	struct pipeline *pipeline;
	struct control *control;
	struct lists *lists;
	struct metrics *metrics; /* NULL: programs have none to show */
	struct symbols *symbols;
	struct access *access;	   /* NULL: everybody may do everything */
	struct tls *tls;	   /* NULL: plain HTTP */
	bool protect_metrics;	   /* credentials and TLS for metrics too */
	bool open_loopback;	   /* callers from a loopback address are asked for no credential */
	uint64_t query_timeout_ns; /* 0: none */
	const char *version;
	unsigned int threads; /* 0: 2 */
	/* Set at the start of shutdown: readiness fails from then on. May be NULL. */
	const atomic_bool *stopping;
	bool program_stats;	  /* the kernel's run accounting was asked for */
	unsigned int max_streams; /* at once; 0: 256 */
};

/* Serves until api_stop(), on threads that take no signals; the options are copied, what they
 * point to must outlive the API. Returns 0, or -errno with a line in `error`. */
int api_start(const struct api_options *options, struct api **ret_api, char *error,
	      size_t error_size);
/* Waits for the requests that are being answered, closes all connections. The listening sockets go
 * on listening, for a server to come. Accepts NULL. */
void api_stop(struct api *api);
DEFINE_CLEANUP(api, api_stop)

#endif
