/* SPDX-License-Identifier: MIT */
#include "loader/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"

#define SOCKET_VARIABLE "NOTIFY_SOCKET"

void notify_manager(const char *state)
{
	const char *path = getenv(SOCKET_VARIABLE);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = path ? strlen(path) : 0;
	CLOSE int fd = -1;

	if (!length)
		return;
	if ((*path != '/' && *path != '@') || length >= sizeof(address.sun_path)) {
		log_warn(SOCKET_VARIABLE ": '%s' is no path of a socket", path);
		return;
	}
	memcpy(address.sun_path, path, length);
	/* An abstract one: its name begins with a NUL, and ends where its length says. */
	if (*path == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		log_warn("telling the service manager: %s", strerror(errno));
}

void notify_reloading(void)
{
	struct timespec now;
	char state[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
	notify_manager(state);
}
