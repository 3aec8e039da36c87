/* SPDX-License-Identifier: MIT */
/* What somebody may do: each role may do what the one before may. */
#ifndef ACCESS_ROLE_H
#define ACCESS_ROLE_H

#include <stddef.h>

enum role {
	ROLE_NONE,
	ROLE_READ,  /* ask */
	ROLE_WRITE, /* bring events of one's own: rooms */
	ROLE_ADMIN, /* change programs and lists */
};

/* "none", "read", "write", "admin". */
const char *role_name(enum role role);
/* The role of a name of `length` bytes, or ROLE_NONE. */
enum role role_parse(const char *name, size_t length);

#endif
