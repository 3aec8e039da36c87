/* SPDX-License-Identifier: MIT */
#include "loader/shared_list.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/memory.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

const struct shared_list_kind shared_list_kinds[SHARED_LISTS] = {
	[SHARED_IPS] = { .map = "ip_list",
			 .key_size = 20,
			 .value_size = 1,
			 .limit = SHARED_IPS_MAX },
	[SHARED_PROCESSES] = { .map = "process_list",
			       .key_size = 4,
			       .value_size = 1,
			       .limit = SHARED_PROCESSES_MAX },
};

static int write_all(int fd, const uint8_t *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t part = pwrite(fd, bytes + done, size - done, (off_t)done);

		if (part < 0 && errno != EINTR)
			return -errno;
		done += part > 0 ? (size_t)part : 0;
	}
	return 0;
}

int shared_list_image_make(enum shared_list list, const uint8_t *entries, uint32_t count)
{
	CLOSE int fd = memfd_create(shared_list_kinds[list].map, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, entries, count * shared_list_entry_size(list));
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* Of the promised size, and so sealed that it keeps it. */
static int check(int fd, size_t size)
{
	struct stat status;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &status) < 0 ||
	    status.st_size != (off_t)size)
		return -EINVAL;
	return 0;
}

int shared_list_image_read(enum shared_list list, int fd, uint32_t count, uint8_t **ret_entries)
{
	size_t size = count * shared_list_entry_size(list), done = 0;
	FREE uint8_t *entries = NULL;
	int r;

	if (count > shared_list_kinds[list].limit)
		return -E2BIG;
	r = check(fd, size);
	if (r < 0)
		return r;
	entries = malloc(size + 1);
	if (!entries)
		return -ENOMEM;
	while (done < size) {
		ssize_t part = pread(fd, entries + done, size - done, (off_t)done);

		if (part == 0)
			return -EINVAL;
		if (part < 0 && errno != EINTR)
			return -errno;
		done += part > 0 ? (size_t)part : 0;
	}
	*ret_entries = TAKE(entries);
	return 0;
}
