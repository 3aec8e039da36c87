/* SPDX-License-Identifier: MIT */
/*
 * The directory of what must outlive the server: history, lists. The server alone reads and writes
 * in it; the loader makes it, gives it to the server's user, and shows it to the confined server
 * (loader/confine.h). Loader process only.
 */
#ifndef LOADER_DATA_DIR_H
#define LOADER_DATA_DIR_H

#include <stddef.h>

#include "loader/confine.h"

/* Opens it, and makes it (mode 0700) with its parents when it is missing. One that is there is
 * taken when it is `owner`'s, or root's and empty, and writable by nobody else. Returns a
 * descriptor, or -errno with one line in `error`. */
int data_directory_open(const char *path, struct confine_identity owner, char *error,
			size_t error_size);

#endif
