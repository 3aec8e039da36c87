/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "loader/internal.h"

/* "127.0.0.1:8080", "[::1]:8080" */
#define ADDRESS_SIZE (INET6_ADDRSTRLEN + 10)

static void format_address(const struct sockaddr_storage *address, char *text)
{
	char ip[INET6_ADDRSTRLEN] = "?";

	if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;

		inet_ntop(AF_INET6, &six->sin6_addr, ip, sizeof(ip));
		snprintf(text, ADDRESS_SIZE, "[%s]:%u", ip, ntohs(six->sin6_port));
	} else {
		const struct sockaddr_in *four = (const struct sockaddr_in *)address;

		inet_ntop(AF_INET, &four->sin_addr, ip, sizeof(ip));
		snprintf(text, ADDRESS_SIZE, "%s:%u", ip, ntohs(four->sin_port));
	}
}

static int listen_at(const struct config_address *address, int *ret_fd)
{
	CLOSE int fd =
		socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, off = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	/* "all interfaces" means IPv4 too, whatever net.ipv6.bindv6only says. */
	if (address->address.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address->address, address->length) < 0 ||
	    listen(fd, SOMAXCONN) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* One line that says what to do. `option` is the one that sets the address. */
static int refuse(const char *what, const struct config_address *address, const char *option,
		  int error)
{
	char text[ADDRESS_SIZE];

	format_address(&address->address, text);
	switch (error) {
	case -EADDRINUSE:
		log_error("%s: address %s is already in use: stop the program that listens there, "
			  "or choose another with %s",
			  what, text, option);
		break;
	case -EADDRNOTAVAIL:
		log_error("%s: %s is no address of this machine: choose another with %s", what,
			  text, option);
		break;
	case -EACCES:
		log_error("%s: port of %s needs CAP_NET_BIND_SERVICE (or root): choose one from "
			  "1024 on with %s",
			  what, text, option);
		break;
	default:
		log_error("%s: cannot listen at %s: %s", what, text, strerror(-error));
		break;
	}
	return error;
}

static void log_bound(const char *what, int fd, bool tls, const char *path)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof(address);
	char text[ADDRESS_SIZE];

	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return;
	format_address(&address, text);
	log_info("%s on http%s://%s%s", what, tls ? "s" : "", text, path);
}

/* What --insecure allows, in so many words. */
static void warn_about_access(const struct config *config)
{
	if (config->api.loopback)
		return;
	if (!config->credentials)
		log_warn("everybody who can reach %s may read all events and change programs: "
			 "--credentials FILE asks who they are",
			 config->api.text);
	else if (!config->tls_cert)
		log_warn("credentials and events pass the network in the clear: --tls-cert FILE "
			 "and --tls-key FILE encrypt them");
}

/* Prometheus itself likes port 9090: the default being taken is no reason not to start. */
static int open_metrics(const struct config_address *address, int *ret_fd)
{
	int r;

	if (address->off)
		return 0;
	r = listen_at(address, ret_fd);
	if (r == -EADDRINUSE && !address->given) {
		log_warn("metrics: address %s is in use: they are on the API's address alone "
			 "(/metrics); choose another with --metrics-addr",
			 address->text);
		return 0;
	}
	if (r < 0)
		return refuse("metrics", address, "--metrics-addr", r);
	return 0;
}

int listeners_open(const struct config *config, struct listeners *ret_listeners)
{
	CLOSE int api = -1;
	CLOSE int metrics = -1;
	int r = listen_at(&config->api, &api);

	if (r < 0)
		return refuse("API", &config->api, "--addr", r);
	r = open_metrics(&config->metrics, &metrics);
	if (r < 0)
		return r;
	log_bound("API", api, config->tls_cert, "/");
	if (metrics >= 0)
		log_bound("metrics", metrics, config->tls_cert && config->protect_metrics,
			  "/metrics");
	warn_about_access(config);
	*ret_listeners = (struct listeners){ .api = TAKE_FD(api), .metrics = TAKE_FD(metrics) };
	return 0;
}

void listeners_close(struct listeners *listeners)
{
	if (listeners->api >= 0)
		close(TAKE_FD(listeners->api));
	if (listeners->metrics >= 0)
		close(TAKE_FD(listeners->metrics));
}
