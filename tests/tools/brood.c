/* SPDX-License-Identifier: MIT */
/*
 * Makes many short-lived processes, each of which connects a TCP socket once and ends, and says as
 * JSON how many did: {"pid","made"}. Some live at the same time, the others before or after them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_USAGE 2

/* Refused at once where nobody listens; the attempt is what counts. */
static void connect_once(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		_exit(EXIT_FAILURE);
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	    errno != ECONNREFUSED)
		_exit(EXIT_FAILURE);
	_exit(EXIT_SUCCESS);
}

static void reap(unsigned long *made)
{
	int status;

	if (wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
		++*made;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(1) };
	unsigned long count, together, made = 0, living = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: brood COUNT TOGETHER NAME\n");
		return EXIT_USAGE;
	}
	count = strtoul(argv[1], NULL, 10);
	together = strtoul(argv[2], NULL, 10);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	prctl(PR_SET_NAME, argv[3]);
	while (count--) {
		pid_t child = fork();

		if (child == 0)
			connect_once(&address);
		if (child < 0)
			break;
		if (++living >= together) {
			reap(&made);
			living--;
		}
	}
	while (living--)
		reap(&made);
	printf("{\"pid\":%d,\"made\":%lu}\n", getpid(), made);
	return EXIT_SUCCESS;
}
