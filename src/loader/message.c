/* SPDX-License-Identifier: MIT */
#include "loader/message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"

/* Both ends are one program, but a hole would carry bytes of the loader's stack to the server. */
_Static_assert(sizeof(struct message) == 8 * sizeof(uint32_t) + 4 * sizeof(uint64_t) +
						 MESSAGE_VALUE_SIZE + MESSAGE_NAME_SIZE +
						 MESSAGE_HOOK_SIZE + 2 * MESSAGE_TEXT_SIZE,
	       "a message has no holes");

/* Room for more descriptors than may come, so that the surplus is seen and closed here. */
#define MAX_DESCRIPTORS 8

static int peer_error(int error)
{
	switch (error) {
	case ECONNRESET:
	case ECONNREFUSED:
	case ENOTCONN:
		return -EPIPE;
	default:
		return -error;
	}
}

/* A full queue: 0 when it is worth another try. */
static int wait_writable(int socket)
{
	struct pollfd entry = { .fd = socket, .events = POLLOUT };
	int flags = fcntl(socket, F_GETFL);

	if (flags < 0)
		return -errno;
	if (!(flags & O_NONBLOCK))
		return -ETIMEDOUT;
	if (poll(&entry, 1, -1) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

int message_send(int socket, const struct message *message, int fd)
{
	/* sendmsg(2) does not write through it. */
	struct iovec part = { .iov_base = (void *)(uintptr_t)message, .iov_len = sizeof(*message) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	for (;;) {
		int r;

		if (sendmsg(socket, &header, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return peer_error(errno);
		r = wait_writable(socket);
		if (r < 0)
			return r;
	}
}

/* Collects what came along; the first becomes *ret_fd. Returns how many there were. */
static size_t take_descriptors(struct msghdr *header, int *ret_fd)
{
	size_t total = 0;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		size_t count;

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS ||
		    part->cmsg_len < CMSG_LEN(0))
			continue;
		count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
			if (total++ == 0)
				*ret_fd = fd;
			else
				close(fd);
		}
	}
	return total;
}

static bool text_ends(const char *field, size_t size)
{
	return memchr(field, '\0', size) != NULL;
}

static bool message_is_sound(const struct message *message)
{
	return message->value_size <= sizeof(message->value) &&
	       text_ends(message->name, sizeof(message->name)) &&
	       text_ends(message->hook, sizeof(message->hook)) &&
	       text_ends(message->reason, sizeof(message->reason)) &&
	       text_ends(message->text, sizeof(message->text));
}

int message_receive(int socket, struct message *ret_message, int *ret_fd)
{
	struct message message;
	struct iovec part = { .iov_base = &message, .iov_len = sizeof(message) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(MAX_DESCRIPTORS * sizeof(int))];
	} control;
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	CLOSE int fd = -1;
	size_t descriptors;
	ssize_t length;

	do
		length = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	while (length < 0 && errno == EINTR);
	if (length < 0)
		return peer_error(errno);
	descriptors = take_descriptors(&header, &fd);
	if (length == 0)
		return -EPIPE;
	if (length != sizeof(message) || header.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    descriptors > 1 || !message_is_sound(&message))
		return -EPROTO;
	*ret_message = message;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* A cut must not leave half a character: JSON would show it as U+FFFD. */
static void trim_partial_sequence(char *text, size_t length)
{
	size_t start = length;
	unsigned char lead;
	size_t need;

	while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0)
		return;
	lead = (unsigned char)text[start - 1];
	need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	if (length - (start - 1) < need)
		text[start - 1] = '\0';
}

void message_format(char *field, size_t size, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(field, size, format, arguments);
	va_end(arguments);
	if (length < 0)
		field[0] = '\0';
	else if ((size_t)length >= size)
		trim_partial_sequence(field, size - 1);
}

void message_append(char *field, size_t size, const char *separator, const char *more)
{
	size_t length = strlen(field);

	message_format(field + length, size - length, "%s%s", length ? separator : "", more);
}

const char *program_status_name(enum program_status status)
{
	static const char *const names[] = {
		[PROGRAM_DISABLED] = "disabled", [PROGRAM_LOADING] = "loading",
		[PROGRAM_RUNNING] = "running",	 [PROGRAM_WAITING] = "waiting",
		[PROGRAM_FAILED] = "failed",
	};

	return (size_t)status < ARRAY_SIZE(names) ? names[status] : "unknown";
}
