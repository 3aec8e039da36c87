/* SPDX-License-Identifier: MIT */
/*
 * Gives up every privilege of the calling process: a user of its own ("ebpf-server" where it
 * exists, else nobody), no groups, no capability in any set, no_new_privs, an empty file system of
 * its own as root (or, where mount namespaces are refused, Landlock without any right), death with
 * the parent, core dumps off. To be called in the server process before anything from outside is
 * read; descriptors that are needed are open by then. Single-threaded at that moment: the kernel
 * changes credentials for one thread.
 */
#ifndef LOADER_CONFINE_H
#define LOADER_CONFINE_H

#include <stddef.h>
#include <sys/types.h>

/* Who the process becomes. */
struct confine_identity {
	uid_t user;
	gid_t group;
};
/* Reads /etc/passwd, and asks no name service. */
struct confine_identity confine_identity(void);

/* The one directory that a confined process still sees, with everything in it: the process's user
 * has to be allowed there. */
struct confine_directory {
	int fd;		  /* opened before; afterwards another one for the same, or closed and -1 */
	const char *path; /* absolute; afterwards as the confined process sees it */
};
#define CONFINE_DIRECTORY_PATH "/data"

/* Closes every descriptor from 3 on that is not among the `kept` ones (-1 entries are passed over).
 * Returns 0 or -errno. */
int confine_descriptors(const int *kept, size_t count);

/* `parent`: pid of the loader, whose end sends SIGTERM here from now on; when it is gone already,
 * fails with -ESRCH. `directory`: NULL for none. Returns 0, or -errno with a line in `error`; what
 * was given up by then stays given up, so the caller can only leave. */
int confine(pid_t parent, struct confine_directory *directory, char *error, size_t error_size);

#endif
