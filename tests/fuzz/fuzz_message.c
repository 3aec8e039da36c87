/* SPDX-License-Identifier: MIT */
/*
 * What a server hears from its loader: bytes of any length as they are, or messages put together
 * from a few bytes and lines, with descriptors. The server answers none, breaks at none, and hears
 * the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/memory.h"
#include "demo_stream.h"
#include "fuzz.h"
#include "pipeline/control.h"
#include "pipeline/internal.h"

#define MESSAGES_MAX 32 /* fewer than a socket holds */

enum { FD_NONE, FD_OBJECT, FD_TEXT, FD_DIRECTORY, FD_KINDS };

static struct stream_account accounts[STREAM_ACCOUNTS];
static int descriptors[FD_KINDS] = { -1, -1, -1, -1 };

static int memory_file(const void *bytes, size_t size)
{
	int fd = memfd_create("object", MFD_CLOEXEC);

	REQUIRE(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	return fd;
}

static void open_descriptors(void)
{
	struct object_file file;

	if (descriptors[FD_OBJECT] >= 0)
		return;
	file = object_file_read(TEST_OBJECT_DIR, "schema_demo");
	descriptors[FD_OBJECT] = memory_file(file.bytes, file.size);
	descriptors[FD_TEXT] = memory_file("read dora secret\n", 17);
	descriptors[FD_DIRECTORY] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(file.bytes);
}

static void take_line(char *field, size_t size, struct input *input)
{
	FREE char *line = input_line(input);

	/* What fills the field has no NUL. */
	memcpy(field, line, strnlen(line, size));
}

/* Of small numbers the last of each kind are meant, too. */
static uint32_t number_of(uint8_t byte)
{
	return byte < 0xf0 ? byte : (uint32_t)(int8_t)byte;
}

static void send_composed(int socket, struct input *input)
{
	int fd = descriptors[input_byte(input) % FD_KINDS];
	struct message message = {
		.type = number_of(input_byte(input)),
		.program = number_of(input_byte(input)),
		.status = number_of(input_byte(input)),
		.flags = number_of(input_byte(input)),
		.result = (int8_t)input_byte(input),
		.value_size = number_of(input_byte(input)),
		.numbers = { number_of(input_byte(input)), number_of(input_byte(input)) },
	};

	/* What a server that hears them shall not change of this process. */
	if (message.type == MESSAGE_LOG_LEVEL)
		message.numbers[0] |= 4;
	take_line(message.name, sizeof(message.name), input);
	take_line(message.hook, sizeof(message.hook), input);
	take_line(message.reason, sizeof(message.reason), input);
	take_line(message.text, sizeof(message.text), input);
	memcpy(message.value, message.text, sizeof(message.value));
	REQUIRE(message_send(socket, &message, fd) == 0);
}

static int take_secret(void *context, uint32_t type, const char *text, size_t length)
{
	(void)context;
	(void)type;
	return memchr(text, 0, length) ? -EINVAL : 0;
}

static void send_all(int socket, struct input *input)
{
	open_descriptors();
	for (size_t i = 0; i < MESSAGES_MAX && input->size; i++) {
		uint8_t length = input_byte(input);

		if (length != 0xff) {
			send_composed(socket, input);
		} else {
			size_t size = input->size < sizeof(struct message) + 8
					      ? input->size
					      : sizeof(struct message) + 8;

			REQUIRE(send(socket, input->data, size, 0) == (ssize_t)size);
			input->data += size;
			input->size -= size;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(store) struct store *store = store_new(STORE_MIN_MEMORY);
	CLEANUP(pipeline) struct pipeline *pipeline = NULL;
	CLEANUP(control) struct control *control = NULL;
	struct input input = { data, size };
	struct program_view view;
	int ends[2];

	log_set_level(LOG_ERROR);
	memset(accounts, 0, sizeof(accounts));
	REQUIRE(store);
	pipeline = pipeline_new(store, accounts, 1);
	REQUIRE(pipeline);
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	control = control_new(ends[1], pipeline, -1);
	REQUIRE(control);
	control_pass_on(control, take_secret, NULL);
	send_all(ends[0], &input);
	close(ends[0]);
	REQUIRE(control_run(control, -1, NULL, NULL) == -EPIPE);
	close(ends[1]);
	for (size_t i = 0; i < pipeline_program_count(pipeline); i++) {
		if (pipeline_program_view(pipeline, i, &view) == 0)
			REQUIRE(view.name[0] && memchr(view.name, 0, sizeof(view.name)));
	}
	return 0;
}
