/* SPDX-License-Identifier: MIT */
#include "loader/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "loader/message.h"

static int make_parents(const char *path)
{
	FREE char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *at = strchr(copy + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	return 0;
}

static int make(const char *path)
{
	int r = make_parents(path);

	if (r < 0)
		return r;
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static bool is_empty(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	bool empty = true;
	DIR *list;

	if (fd < 0)
		return false;
	list = fdopendir(fd);
	if (!list) {
		close(fd);
		return false;
	}
	while (empty && (entry = readdir(list)))
		empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
	closedir(list);
	return empty;
}

/* Whether it may be the server's. Nothing that serves another purpose (--data-dir /etc) is given
 * away. */
static bool is_fit(int fd, const struct stat *status, struct confine_identity owner)
{
	if (status->st_mode & 0022)
		return false;
	return status->st_uid == owner.user || (status->st_uid == 0 && is_empty(fd));
}

static int give(int fd, struct confine_identity owner, const char *path, char *error,
		size_t error_size)
{
	struct stat status;

	if (fstat(fd, &status) < 0) {
		int number = errno;

		message_format(error, error_size, "%s: %s", path, strerror(number));
		return -number;
	}
	if (!is_fit(fd, &status, owner)) {
		message_format(error, error_size,
			       "%s: has to be empty and root's, or the server's user's (%u), and "
			       "writable by nobody else",
			       path, (unsigned int)owner.user);
		return -EPERM;
	}
	if (status.st_uid != owner.user && fchown(fd, owner.user, owner.group) < 0) {
		int number = errno;

		message_format(error, error_size, "%s: giving it to the server's user (%u): %s",
			       path, (unsigned int)owner.user, strerror(number));
		return -number;
	}
	return 0;
}

int data_directory_open(const char *path, struct confine_identity owner, char *error,
			size_t error_size)
{
	CLOSE int fd = -1;
	int r = make(path);

	if (r == 0) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = fd < 0 ? -errno : 0;
	}
	if (r < 0) {
		message_format(error, error_size, "%s: %s", path,
			       r == -ENOTDIR || r == -ELOOP
				       ? "is no directory (a symbolic link is not followed)"
				       : strerror(-r));
		return r;
	}
	r = give(fd, owner, path, error, error_size);
	return r < 0 ? r : TAKE_FD(fd);
}
