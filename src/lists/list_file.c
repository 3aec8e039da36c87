/* SPDX-License-Identifier: MIT */
#include "lists/list_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "loader/message.h"

#define VERSION "1"
/* The longest file: a full list of the longest addresses. */
#define SIZE_MAXIMUM ((size_t)SHARED_IPS_MAX * IP_ENTRY_TEXT_SIZE)
/* Of clocks that tell when the machine booted. */
#define SAME_BOOT_SECONDS 5

#define NAME_SIZE (MESSAGE_NAME_SIZE + 16)

static const char *name_of(enum shared_list list)
{
	return shared_list_kinds[list].map;
}

static void name_with(enum shared_list list, const char *suffix, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%s%s", name_of(list), suffix);
}

/* ---- writing ---- */

static void write_entry(struct buffer *out, enum shared_list list, const uint8_t *entry)
{
	char text[IP_ENTRY_TEXT_SIZE];
	uint32_t number;

	if (list == SHARED_PROCESSES) {
		buffer_printf(out, "%" PRIu32 "\n", process_entry_pid(entry));
	} else if (ip_entry_number(entry, &number)) {
		buffer_printf(out, "%" PRIu32 "\n", number);
	} else {
		ip_entry_text(entry, text);
		buffer_append_string(out, text);
		buffer_append_char(out, '\n');
	}
}

static unsigned int checksum(const char *text, size_t length)
{
	return (unsigned int)crc32_z(crc32_z(0, NULL, 0), (const unsigned char *)text, length);
}

static void write_text(struct buffer *out, const struct entry_set *set, uint32_t option)
{
	buffer_printf(out, "ebpf-server %s " VERSION "\n", name_of(set->list));
	if (set->list == SHARED_PROCESSES)
		buffer_printf(out, "boot %" PRIu64 "\noption %" PRIu32 "\n",
			      clock_boot_epoch_seconds(), option);
	for (uint32_t i = 0; i < set->count; i++)
		write_entry(out, set->list, entry_set_at(set, i));
	buffer_printf(out, "end %" PRIu32 " %08x\n", set->count,
		      checksum(out->length ? out->data : "", out->length));
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t part = write(fd, data, size);

		if (part < 0 && errno != EINTR)
			return -errno;
		if (part == 0)
			return -EIO;
		data += part > 0 ? part : 0;
		size -= part > 0 ? (size_t)part : 0;
	}
	return 0;
}

static int write_file(int directory, const char *name, const struct buffer *text)
{
	CLOSE int fd = openat(directory, name,
			      O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, text->data, text->length);
	if (!r && fsync(fd) < 0)
		r = -errno;
	return r;
}

int list_file_prepare(int directory, const struct entry_set *set, uint32_t option)
{
	BUFFER text = BUFFER_INIT;
	char name[NAME_SIZE];
	int r;

	write_text(&text, set, option);
	if (text.failed)
		return -ENOMEM;
	name_with(set->list, ".new", name);
	r = write_file(directory, name, &text);
	if (r < 0)
		list_file_discard(directory, set->list);
	return r;
}

int list_file_commit(int directory, enum shared_list list)
{
	char name[NAME_SIZE];

	name_with(list, ".new", name);
	if (renameat(directory, name, directory, name_of(list)) < 0)
		return -errno;
	/* It is in its place for every reader; only a machine that fails now might forget it. */
	if (fsync(directory) < 0)
		log_warn("%s: bringing its directory to the disk: %s", name_of(list),
			 strerror(errno));
	return 0;
}

void list_file_discard(int directory, enum shared_list list)
{
	char name[NAME_SIZE];

	name_with(list, ".new", name);
	if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
		log_warn("%s: removing it: %s", name, strerror(errno));
}

int list_file_set_aside(int directory, enum shared_list list)
{
	char name[NAME_SIZE];

	name_with(list, ".corrupt", name);
	return renameat(directory, name_of(list), directory, name) < 0 ? -errno : 0;
}

/* ---- reading ---- */

static int read_file(int directory, const char *name, struct buffer *text)
{
	CLOSE int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat status;
	ssize_t part;
	char *at;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size > (off_t)SIZE_MAXIMUM)
		return -EBADMSG;
	do {
		at = buffer_reserve(text, BUFSIZ);
		if (!at)
			return -ENOMEM;
		part = read(fd, at, BUFSIZ);
		if (part < 0 && errno != EINTR)
			return -errno;
		text->length += part > 0 ? (size_t)part : 0;
	} while (part != 0 && text->length <= SIZE_MAXIMUM);
	return 0;
}

/* The text, cut into lines as they are read. */
struct lines {
	char *next, *end;
};

/* NULL when there is no whole line left. */
static char *next_line(struct lines *lines)
{
	char *line = lines->next;
	char *newline = memchr(line, '\n', (size_t)(lines->end - line));

	if (!newline)
		return NULL;
	*newline = '\0';
	lines->next = newline + 1;
	return strlen(line) == (size_t)(newline - line) ? line : NULL;
}

static int bad(char *error, size_t error_size, const char *what)
{
	snprintf(error, error_size, "%s", what);
	return -EBADMSG;
}

/* "name NUMBER". */
static int read_number(struct lines *lines, const char *name, uint64_t maximum, uint64_t *ret)
{
	const char *line = next_line(lines);
	size_t length = strlen(name);

	if (!line || strncmp(line, name, length) || line[length] != ' ')
		return -EBADMSG;
	return text_parse_u64(line + length + 1, 0, maximum, ret) < 0 ? -EBADMSG : 0;
}

static int read_entry(enum shared_list list, const char *line, uint8_t entry[ENTRY_SIZE_MAX])
{
	uint64_t number;

	if (text_parse_u64(line, 0, UINT32_MAX, &number) < 0)
		return list == SHARED_IPS ? ip_entry_parse(line, entry) : -EINVAL;
	if (list == SHARED_PROCESSES)
		return process_entry_make((int64_t)number, entry);
	ip_entry_from_number((uint32_t)number, entry);
	return 0;
}

static int read_entries(struct lines *lines, struct entry_set *set, uint64_t count, char *error,
			size_t error_size)
{
	for (uint64_t i = 0; i < count; i++) {
		uint8_t entry[ENTRY_SIZE_MAX];
		const char *line = next_line(lines);
		int r;

		if (!line || read_entry(set->list, line, entry) < 0)
			return bad(error, error_size, "a line is no entry");
		r = entry_set_add(set, entry);
		if (r == -ENOMEM)
			return r;
		if (r != 1)
			return bad(error, error_size, "an entry stands twice, or one too many");
	}
	return lines->next == lines->end ? 0 : bad(error, error_size, "lines too many");
}

static int read_head(struct lines *lines, const struct entry_set *set, uint32_t *ret_option,
		     char *error, size_t error_size)
{
	uint64_t boot = 0, option = 0, now = clock_boot_epoch_seconds();
	char first[NAME_SIZE + 32];
	const char *line = next_line(lines);

	snprintf(first, sizeof(first), "ebpf-server %s " VERSION, name_of(set->list));
	if (!line || strcmp(line, first))
		return bad(error, error_size, "it does not begin as version " VERSION " of it");
	if (set->list == SHARED_IPS)
		return 0;
	if (read_number(lines, "boot", UINT32_MAX, &boot) < 0 ||
	    read_number(lines, "option", 1, &option) < 0)
		return bad(error, error_size, "its head is not whole");
	if (boot + SAME_BOOT_SECONDS < now || now + SAME_BOOT_SECONDS < boot)
		return -ESTALE;
	*ret_option = (uint32_t)option;
	return 0;
}

/* Cuts the last line off, and holds the rest against it. */
static int check_end(struct lines *lines, uint64_t *ret_count)
{
	char *last = lines->end, *rest;
	unsigned long sum;

	if (last == lines->next || last[-1] != '\n')
		return -EBADMSG;
	for (last--; last > lines->next && last[-1] != '\n';)
		last--;
	lines->end[-1] = '\0';
	if (strncmp(last, "end ", 4))
		return -EBADMSG;
	errno = 0;
	*ret_count = strtoull(last + 4, &rest, 10);
	if (errno || *rest != ' ')
		return -EBADMSG;
	sum = strtoul(rest + 1, &rest, 16);
	lines->end = last;
	return errno || *rest || sum != checksum(lines->next, (size_t)(last - lines->next))
		       ? -EBADMSG
		       : 0;
}

int list_file_read(int directory, struct entry_set *set, uint32_t *ret_option, char *error,
		   size_t error_size)
{
	BUFFER text = BUFFER_INIT;
	struct lines lines;
	uint64_t count;
	int r = read_file(directory, name_of(set->list), &text);

	if (r == -EBADMSG || (!r && !text.length))
		return bad(error, error_size, "it is no file of a list");
	if (r < 0)
		return r;
	lines = (struct lines){ text.data, text.data + text.length };
	if (check_end(&lines, &count) < 0)
		return bad(error, error_size, "its end is missing, or its checksum wrong");
	r = read_head(&lines, set, ret_option, error, error_size);
	if (!r)
		r = read_entries(&lines, set, count, error, error_size);
	if (r < 0)
		entry_set_fini(set);
	return r;
}
