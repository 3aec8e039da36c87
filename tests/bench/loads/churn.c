/* SPDX-License-Identifier: MIT */
/* churn: a process that lives for one connect(2): no two events have the same pid. */
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/memory.h"
#include "load.h"

struct churn {
	struct load_targets targets;
	int fd;
};

static void close_churn(void *state)
{
	struct churn *churn = state;

	if (churn->fd >= 0)
		close(churn->fd);
	free(churn);
}

static void *open_churn(const struct load_options *options)
{
	struct churn *churn = malloc(sizeof(*churn));

	if (!churn)
		return NULL;
	load_targets_init(&churn->targets, options);
	churn->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (churn->fd >= 0)
		return churn;
	free(churn);
	return NULL;
}

static bool call_churn(void *state, uint64_t *bytes)
{
	struct churn *churn = state;
	const struct sockaddr *target = load_next_target(&churn->targets);
	int status;
	/* Not fork(): copying the tables would be most of the time. */
	pid_t child = vfork();

	(void)bytes;
	if (child == 0)
		_exit(connect(churn->fd, target, sizeof(struct sockaddr_in)) ? EXIT_FAILURE
									     : EXIT_SUCCESS);
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

const struct load_kind load_churn = {
	.name = "churn",
	.help = "a new process for each connect",
	.batch = 1,
	.open = open_churn,
	.call = call_churn,
	.close = close_churn,
};
