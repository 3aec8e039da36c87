/* SPDX-License-Identifier: MIT */
#include "api/gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "access/access.h"
#include "api/guard.h"
#include "base/log.h"

enum role route_role(const struct route *route)
{
	if (route->role != ROLE_NONE)
		return route->role;
	return route->changes ? ROLE_ADMIN : ROLE_READ;
}

bool route_is_open(const struct api *api, const struct route *route)
{
	switch (route->open) {
	case OPEN_NEVER:
		return false;
	case OPEN_UNLESS_PROTECTED:
		return !api->options.protect_metrics;
	case OPEN_ALWAYS:
		break;
	}
	return true;
}

static bool comes_from_loopback(const struct sockaddr *peer)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)peer;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)peer;

	if (!peer)
		return false;
	if (peer->sa_family == AF_INET)
		return ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return peer->sa_family == AF_INET6 && (IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) ||
					       (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) &&
						six->sin6_addr.s6_addr[12] == IN_LOOPBACKNET));
}

/* A browser here that a foreign page sends here comes from loopback too, and tells by Host whose
 * page it is. */
static bool needs_no_credential(const struct request *request)
{
	const struct api_options *options = &request->api->options;

	if (!options->access)
		return true;
	return options->open_loopback && comes_from_loopback(request->peer) &&
	       (!request->host || guard_is_loopback(request->host));
}

/* Not whose: people type their password where the name belongs. */
static void log_wrong(const struct sockaddr *peer)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)peer;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)peer;
	char text[INET6_ADDRSTRLEN] = "an unknown address";

	if (peer && peer->sa_family == AF_INET)
		inet_ntop(AF_INET, &four->sin_addr, text, sizeof(text));
	else if (peer && peer->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof(text));
	log_warn("access: a wrong credential from %s", text);
}

/* 401 has to say which ways there are (RFC 7235, 3.1). */
static int ask_for_credentials(struct answer *answer, const char *what)
{
	answer_error(answer, STATUS_UNAUTHORIZED,
		     "%s; give a token (Authorization: Bearer TOKEN) or name and secret (Basic)",
		     what);
	answer_header(answer, "WWW-Authenticate", "Bearer realm=\"ebpf-server\"");
	answer_header(answer, "WWW-Authenticate", "Basic realm=\"ebpf-server\", charset=\"UTF-8\"");
	return -EINVAL;
}

static int refuse_attempt(const struct grant *grant, struct answer *answer)
{
	answer_error(answer, STATUS_TOO_MANY_REQUESTS,
		     "too many credentials to check, or too many wrong ones from your address; try "
		     "again in %u s",
		     grant->retry_after);
	answer_header(answer, "Retry-After", "%u", grant->retry_after);
	return -EINVAL;
}

static int identify(struct request *request, struct answer *answer)
{
	struct grant grant;
	int r = access_authorization(request->api->options.access, request->peer,
				     request->authorization, &grant);

	switch (r) {
	case 0:
		request->role = grant.role;
		memcpy(request->user, grant.name, sizeof(request->user));
		return 0;
	case -ENOENT:
		return ask_for_credentials(answer, "a credential is needed here");
	case -EAGAIN:
		return refuse_attempt(&grant, answer);
	case -EACCES:
		log_wrong(request->peer);
		return ask_for_credentials(answer, "this credential is none of ours");
	default:
		return answer_out_of_memory(answer);
	}
}

int gate_pass(const struct route *route, struct request *request, struct answer *answer)
{
	const enum role needed = route_role(route);

	if (needs_no_credential(request)) {
		request->role = ROLE_ADMIN;
		return 0;
	}
	/* A browser that is sent to the dashboard is told nothing, and asks there. */
	if (route_is_open(request->api, route) || (route->redirect && assets_wanted(request)))
		return 0;
	if (identify(request, answer) < 0)
		return -EINVAL;
	if (request->role < needed)
		return answer_error(answer, STATUS_FORBIDDEN,
				    "the role of \"%s\" is %s, and here %s is needed",
				    request->user, role_name(request->role), role_name(needed));
	return 0;
}
