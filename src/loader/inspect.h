/* SPDX-License-Identifier: MIT */
/*
 * Reads what comes from a file for the first time in a process of its own, which can do nothing
 * but that: no privileges, no file system, no new descriptors, little memory, little time. What a
 * malformed object does to libelf or libbpf, it does there. Loader process only.
 */
#ifndef LOADER_INSPECT_H
#define LOADER_INSPECT_H

#include <stddef.h>

/* Returns 0, or -errno with one line in `error`. Runs in the confined process: whatever it changes
 * is gone afterwards. */
typedef int (*inspect_fn)(const char *name, const void *bytes, size_t size, char *error,
			  size_t error_size);

/* Returns what `inspect` returns (a refusal always as -EINVAL) with its line in `error`, or -errno
 * and a line of its own: the process could not be made, did not come back, or died. Blocks for at
 * most `timeout_ms`. */
int inspect_apart(inspect_fn inspect, const char *name, const void *bytes, size_t size,
		  int timeout_ms, char *error, size_t error_size);

/* Whether an object of this name can be read and opened at all; made for inspect_apart(). */
int inspect_object(const char *name, const void *bytes, size_t size, char *error,
		   size_t error_size);

#endif
