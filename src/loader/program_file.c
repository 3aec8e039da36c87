/* SPDX-License-Identifier: MIT */
#include "loader/program_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "loader/message.h"

static int refuse(char *error, size_t error_size, const char *path, const char *what)
{
	message_format(error, error_size, "%s: %s", path, what);
	return -EPERM;
}

static int check_owner(const struct stat *status, const char *path, char *error, size_t error_size)
{
	if (status->st_uid != 0)
		return refuse(error, error_size, path, "must be owned by root (chown root)");
	if (status->st_mode & (S_IWGRP | S_IWOTH))
		return refuse(error, error_size, path,
			      "must not be writable by group or others (chmod go-w)");
	return 0;
}

/* ---- the directory ---- */

int program_directory_open(const char *path, char *error, size_t error_size)
{
	CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;
	int r;

	if (fd < 0) {
		r = -errno;
		message_format(error, error_size, "%s: %s", path,
			       r == -ENOENT    ? "there is no such directory"
			       : r == -ENOTDIR ? "is no directory (a symbolic link is not followed)"
					       : strerror(-r));
		return r;
	}
	if (fstat(fd, &status) < 0) {
		r = -errno;
		message_format(error, error_size, "%s: %s", path, strerror(-r));
		return r;
	}
	r = check_owner(&status, path, error, error_size);
	return r < 0 ? r : TAKE_FD(fd);
}

static int is_object_name(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name), suffix = strlen(PROGRAM_FILE_SUFFIX);

	return length > suffix && entry->d_name[0] != '.' &&
	       !strcmp(entry->d_name + length - suffix, PROGRAM_FILE_SUFFIX);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int program_directory_list(int directory, char ***ret_names)
{
	struct dirent **entries = NULL;
	int count = scandirat(directory, ".", &entries, is_object_name, by_name);
	char **names;
	int r;

	if (count < 0)
		return -errno;
	names = calloc((size_t)count + 1, sizeof(*names));
	r = names ? count : -ENOMEM;
	for (int i = 0; i < count; i++) {
		if (names && !(names[i] = strdup(entries[i]->d_name)))
			r = -ENOMEM;
		free(entries[i]);
	}
	free(entries);
	if (r >= 0) {
		*ret_names = names;
		return r;
	}
	for (int i = 0; names && i < count; i++)
		free(names[i]);
	free(names);
	return r;
}

/* ---- a file ---- */

static int check_file(int fd, const char *file, struct stat *ret_status, char *error,
		      size_t error_size)
{
	if (fstat(fd, ret_status) < 0) {
		int r = -errno;

		message_format(error, error_size, "%s: %s", file, strerror(-r));
		return r;
	}
	if (!S_ISREG(ret_status->st_mode))
		return refuse(error, error_size, file, "is no regular file");
	if (ret_status->st_size > PROGRAM_FILE_MAX_BYTES) {
		message_format(error, error_size, "%s: is larger than %u MiB", file,
			       PROGRAM_FILE_MAX_BYTES >> 20);
		return -EFBIG;
	}
	return check_owner(ret_status, file, error, error_size);
}

/* Returns how many bytes there were, at most `size`, or -errno. */
static ssize_t read_all(int fd, uint8_t *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t part = read(fd, bytes + done, size - done);

		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0)
			return -errno;
		if (part == 0)
			break;
		done += (size_t)part;
	}
	return (ssize_t)done;
}

int program_file_read(int directory, const char *file, uint8_t **ret_bytes, size_t *ret_size,
		      char *error, size_t error_size)
{
	/* Not blocking: it might be a named pipe. */
	CLOSE int fd =
		openat(directory, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	FREE uint8_t *bytes = NULL;
	struct stat status;
	ssize_t got;
	int r;

	if (fd < 0) {
		r = -errno;
		message_format(error, error_size, "%s: %s", file,
			       r == -ELOOP ? "is a symbolic link, which is not followed"
					   : strerror(-r));
		return r;
	}
	r = check_file(fd, file, &status, error, error_size);
	if (r < 0)
		return r;
	bytes = malloc((size_t)status.st_size + 1);
	got = bytes ? read_all(fd, bytes, (size_t)status.st_size + 1) : -ENOMEM;
	if (got < 0) {
		message_format(error, error_size, "%s: %s", file, strerror((int)-got));
		return (int)got;
	}
	if (got != status.st_size) {
		message_format(error, error_size, "%s: changed while it was read", file);
		return -EAGAIN;
	}
	*ret_bytes = TAKE(bytes);
	*ret_size = (size_t)got;
	return 0;
}
