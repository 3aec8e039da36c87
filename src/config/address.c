/* SPDX-License-Identifier: MIT */
/* Addresses to listen on. Numeric, so that starting never waits for a name server. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "config/options.h"

/* All interfaces means both families where there are both: a socket for IPv6 takes IPv4 too. */
static bool kernel_has_ipv6(void)
{
	CLOSE int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0;
}

static void set_ipv4(struct config_address *address, struct in_addr host, uint16_t port)
{
	struct sockaddr_in *to = (struct sockaddr_in *)&address->address;

	*to = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = host,
	};
	address->length = sizeof(*to);
	address->loopback = ntohl(host.s_addr) >> 24 == IN_LOOPBACKNET;
}

static void set_ipv6(struct config_address *address, struct in6_addr host, uint16_t port)
{
	struct sockaddr_in6 *to = (struct sockaddr_in6 *)&address->address;

	*to = (struct sockaddr_in6){
		.sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = host,
	};
	address->length = sizeof(*to);
	address->loopback = IN6_IS_ADDR_LOOPBACK(&host) ||
			    (IN6_IS_ADDR_V4MAPPED(&host) && host.s6_addr[12] == IN_LOOPBACKNET);
}

/* `host` is between the brackets, or before the last colon. */
static int set_host(struct draft *draft, struct config_address *address, const char *host,
		    bool bracketed, uint16_t port)
{
	struct in6_addr ipv6 = IN6ADDR_ANY_INIT;
	struct in_addr ipv4 = { .s_addr = htonl(INADDR_ANY) };

	if (bracketed) {
		if (inet_pton(AF_INET6, host, &ipv6) != 1)
			return draft_fail(draft, "'[%s]' is not an IPv6 address", host);
		set_ipv6(address, ipv6, port);
		return 0;
	}
	if (!*host && kernel_has_ipv6()) {
		set_ipv6(address, ipv6, port);
		return 0;
	}
	if (!strcasecmp(host, "localhost"))
		ipv4.s_addr = htonl(INADDR_LOOPBACK);
	else if (*host && inet_pton(AF_INET, host, &ipv4) != 1)
		return draft_fail(draft,
				  "'%s' is not an address: names are not looked up, so give an "
				  "IPv4 address, an IPv6 address in brackets, or localhost",
				  host);
	set_ipv4(address, ipv4, port);
	return 0;
}

int address_parse(struct draft *draft, const char *text, struct config_address *ret_address)
{
	struct config_address address = { .length = 0 };
	char *host = address.text, *colon;
	size_t length = strlen(text);
	uint64_t port;
	bool bracketed;
	int r;

	if (length >= sizeof(address.text))
		return draft_fail(draft, "'%s' is too long for an address", text);
	memcpy(host, text, length + 1);
	colon = strrchr(host, ':');
	bracketed = host[0] == '[';
	if (!colon || (bracketed && (colon == host || colon[-1] != ']'))) {
		/* "8080" or "[::1]": what is missing can be told. */
		return draft_fail(draft, "'%s' is not HOST:PORT, such as 127.0.0.1:8080, %s", text,
				  "[::1]:8080, or :8080 for all interfaces");
	}
	if (!bracketed && strchr(host, ':') != colon)
		return draft_fail(draft, "'%s' needs brackets round an IPv6 address: [::1]:8080",
				  text);
	if (colon[1 + strspn(colon + 1, "0123456789")] ||
	    text_parse_u64(colon + 1, 0, UINT16_MAX, &port))
		return draft_fail(draft, "'%s' is not a port from 0 to 65535", colon + 1);
	/* Cut for a moment: the text is kept as it was given. */
	*colon = '\0';
	if (bracketed)
		colon[-1] = '\0';
	r = set_host(draft, &address, host + bracketed, bracketed, (uint16_t)port);
	if (r)
		return r;
	memcpy(address.text, text, length + 1);
	*ret_address = address;
	return 0;
}
