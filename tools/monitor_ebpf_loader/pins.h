/* SPDX-License-Identifier: MIT */
/*
 * What outlives the loader, in a bpf file system:
 *
 *   PIN                  the map, for readers
 *   PIN_state/           root's alone; its existence says that PIN is ours
 *     IFINDEX-HOOK       a link
 *     IFINDEX-HOOK-prog  the program, where kernels have no link (…-qdisc: a clsact qdisc was made
 *                        for it)
 *     was-MODE           the mode of the file system's root before readers could reach PIN
 *     was-unmounted      the file system was mounted for this
 *
 * The directory is made first and PIN last, and undone the other way round, so whatever a loader
 * that was killed has left is found and removed. One thread.
 */
#ifndef MONITOR_PINS_H
#define MONITOR_PINS_H

#include <stddef.h>
#include <sys/types.h>

#include "loader/interface_link.h"

struct pins {
	char path[128], directory[144];
	char root[128]; /* of the file system that holds them */
	int lock;	/* -1: not taken */
};

struct pins_access {
	gid_t group;
	mode_t mode;
};

/* All return 0, or -errno with one line in `error`. */

/* Mounts the file system when it is not (`mount`), and locks out other loaders until pins_close().
 * -ENOENT when it is not mounted and need not be. */
int pins_open(struct pins *pins, const char *path, bool mount, char *error, size_t error_size);
void pins_close(struct pins *pins);
/* -EEXIST when something that is not ours stands at PIN. */
int pins_check(const struct pins *pins, char *error, size_t error_size);
/* Undoes whatever an earlier loader left. *ret_interfaces: how many links and programs. */
int pins_remove(struct pins *pins, unsigned int *ret_interfaces, char *error, size_t error_size);
/* Makes the directory. */
int pins_begin(struct pins *pins, char *error, size_t error_size);
/* Keeps what is attached, and forgets it without detaching. */
int pins_keep(struct pins *pins, struct interface_link *link, int program, char *error,
	      size_t error_size);
/* Pins the map and lets its readers at it. */
int pins_publish(struct pins *pins, int map, const struct pins_access *access, char *error,
		 size_t error_size);

#endif
