/* SPDX-License-Identifier: MIT */
/* Whom a browser speaks for: what keeps foreign pages from using a service that listens on
 * loopback only. */
#ifndef API_GUARD_H
#define API_GUARD_H

#include "api/answer.h"
#include "api/http.h"

/*
 * Both return 0, or -EINVAL with the answer filled (403).
 *
 * A listener on a loopback address is reached by a loopback name or address; any other name in Host
 * means that somebody's DNS made a browser come here (DNS rebinding).
 */
int guard_host(const struct request *request, struct answer *answer);
/* A page of another origin may not change anything here. */
int guard_origin(const struct request *request, struct answer *answer);

/* "localhost", "x.localhost", "127.0.0.1:8080", "[::1]:8080". */
bool guard_is_loopback(const char *host);

#endif
