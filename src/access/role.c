/* SPDX-License-Identifier: MIT */
#include "access/role.h"

#include <string.h>

#include "base/memory.h"

static const char *const names[] = {
	[ROLE_NONE] = "none",
	[ROLE_READ] = "read",
	[ROLE_WRITE] = "write",
	[ROLE_ADMIN] = "admin",
};

const char *role_name(enum role role)
{
	return names[role];
}

enum role role_parse(const char *name, size_t length)
{
	for (size_t i = ROLE_READ; i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i]) == length && !memcmp(names[i], name, length))
			return (enum role)i;
	}
	return ROLE_NONE;
}
