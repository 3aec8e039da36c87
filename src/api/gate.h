/* SPDX-License-Identifier: MIT */
/* Who asks, and whether that is enough for the route. */
#ifndef API_GATE_H
#define API_GATE_H

#include "api/answer.h"
#include "api/http.h"
#include "api/routes.h"

/* What the route asks for: what its row says, else ROLE_ADMIN where it changes something, and
 * ROLE_READ where not. */
enum role route_role(const struct route *route);
/* Answered to everybody, by this server. */
bool route_is_open(const struct api *api, const struct route *route);

/* Fills the request's `role` and `user`. Returns 0, or -EINVAL with the answer filled: 401, 403, or
 * 429 when too many wrong credentials came from the caller's address. */
int gate_pass(const struct route *route, struct request *request, struct answer *answer);

#endif
