/* SPDX-License-Identifier: MIT */
#include "api/guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

/* The host of "host", "host:port" or "[address]:port", without brackets. False when it is too
 * long, or not of this form. */
static bool split_host(const char *text, char *host, size_t size, bool *ret_bracketed)
{
	size_t length;

	*ret_bracketed = text[0] == '[';
	if (*ret_bracketed) {
		text++;
		length = strcspn(text, "]");
		if (text[length] != ']' || (text[length + 1] && text[length + 1] != ':'))
			return false;
	} else {
		length = strcspn(text, ":");
	}
	if (length >= size)
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	return true;
}

static bool is_local_name(const char *host)
{
	static const char name[] = "localhost";
	size_t length = strlen(host);

	if (length && host[length - 1] == '.')
		length--;
	if (length < sizeof(name) - 1)
		return false;
	if (strncasecmp(host + length - (sizeof(name) - 1), name, sizeof(name) - 1) != 0)
		return false;
	return length == sizeof(name) - 1 || host[length - sizeof(name)] == '.';
}

bool guard_is_loopback(const char *host)
{
	char name[256];
	struct in6_addr ip6;
	struct in_addr ip4;
	bool bracketed;

	if (!split_host(host, name, sizeof(name), &bracketed))
		return false;
	if (bracketed) {
		if (inet_pton(AF_INET6, name, &ip6) != 1)
			return false;
		return IN6_IS_ADDR_LOOPBACK(&ip6) ||
		       (IN6_IS_ADDR_V4MAPPED(&ip6) && ip6.s6_addr[12] == IN_LOOPBACKNET);
	}
	if (inet_pton(AF_INET, name, &ip4) == 1)
		return ntohl(ip4.s_addr) >> 24 == IN_LOOPBACKNET;
	return is_local_name(name);
}

int guard_host(const struct request *request, struct answer *answer)
{
	if (!request->loopback || !request->host || guard_is_loopback(request->host))
		return 0;
	return answer_error(answer, STATUS_FORBIDDEN,
			    "Host \"%.80s\" is not this machine's loopback; use localhost, "
			    "127.0.0.1 or [::1], or have the server listen on another address",
			    request->host);
}

int guard_origin(const struct request *request, struct answer *answer)
{
	const char *authority;

	if (!request->origin)
		return 0;
	authority = strstr(request->origin, "://");
	if (authority && request->host && !strcasecmp(authority + 3, request->host))
		return 0;
	return answer_error(answer, STATUS_FORBIDDEN,
			    "a page of origin \"%.80s\" may not change anything here",
			    request->origin);
}
