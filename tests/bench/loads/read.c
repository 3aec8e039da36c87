/* SPDX-License-Identifier: MIT */
/*
 * read-file, read-zero: read(2) of one byte, of a file in memory as programs do that read byte by
 * byte, and of /dev/zero, the cheapest that there is: what an observer adds weighs most there.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "base/memory.h"
#include "load.h"

#define FILE_BYTES ((off_t)1 << 20)

struct reader {
	int fd;
	off_t left; /* until the file begins again; what has no end never does */
};

static void close_reader(void *state)
{
	struct reader *reader = state;

	if (reader->fd >= 0)
		close(reader->fd);
	free(reader);
}

static void *open_reader(int fd, off_t left)
{
	struct reader *reader = fd >= 0 ? malloc(sizeof(*reader)) : NULL;

	if (reader)
		*reader = (struct reader){ .fd = fd, .left = left };
	else if (fd >= 0)
		close(fd);
	return reader;
}

static void *open_file(const struct load_options *options)
{
	int fd = memfd_create("load", MFD_CLOEXEC);

	(void)options;
	/* All pages are there before the first read. */
	if (fd >= 0 && posix_fallocate(fd, 0, FILE_BYTES) != 0)
		close(TAKE_FD(fd));
	return open_reader(fd, FILE_BYTES);
}

static void *open_zero(const struct load_options *options)
{
	(void)options;
	return open_reader(open("/dev/zero", O_RDONLY | O_CLOEXEC), INT64_MAX);
}

static bool call_reader(void *state, uint64_t *bytes)
{
	struct reader *reader = state;
	char byte;

	if (reader->left-- == 0) {
		lseek(reader->fd, 0, SEEK_SET);
		reader->left = FILE_BYTES - 1;
	}
	(*bytes)++;
	return read(reader->fd, &byte, 1) == 1;
}

const struct load_kind load_read_file = {
	.name = "read-file",
	.help = "read a byte of a file in memory",
	.batch = 64,
	.open = open_file,
	.call = call_reader,
	.close = close_reader,
};

const struct load_kind load_read_zero = {
	.name = "read-zero",
	.help = "read a byte of /dev/zero",
	.batch = 64,
	.open = open_zero,
	.call = call_reader,
	.close = close_reader,
};
