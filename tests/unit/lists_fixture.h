/* SPDX-License-Identifier: MIT */
/* A data directory for tests of lists. */
#ifndef TESTS_LISTS_FIXTURE_H
#define TESTS_LISTS_FIXTURE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/memory.h"

static char folder[64];
static int directory = -1;

static inline int make_directory(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/ebpf-lists-XXXXXX");
	assert_non_null(mkdtemp(folder));
	directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(directory >= 0);
	clock_boot_epoch_seconds();
	return 0;
}

static inline int remove_directory(void **state)
{
	static const char *const names[] = { "ip_list",		 "ip_list.new",
					     "ip_list.corrupt",	 "process_list",
					     "process_list.new", "process_list.corrupt" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(directory, names[i], 0);
	close(TAKE_FD(directory));
	assert_int_equal(rmdir(folder), 0);
	return 0;
}

static inline bool is_there(const char *name)
{
	struct stat status;

	return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void put_text(const char *name, const char *text)
{
	CLOSE int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static inline void get_text(const char *name, char *text, size_t size)
{
	CLOSE int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	assert_true(fd >= 0);
	length = read(fd, text, size - 1);
	assert_true(length >= 0);
	text[length] = '\0';
}

#endif
