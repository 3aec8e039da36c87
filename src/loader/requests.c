/* SPDX-License-Identifier: MIT */
/* What the server asks for. It parses what comes from the network, so nothing that it says is
 * believed. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "loader/internal.h"
#include "loader/object.h"

static void answer(struct loader *loader, const struct message *request, int result,
		   const char *text)
{
	struct message message = { .type = MESSAGE_RESULT,
				   .request = request->request,
				   .program = request->program,
				   .result = result };

	message_set_text(message.text, "%s", text);
	server_send(loader, &message, -1);
}

static void enable(struct loader *loader, struct program *program, const struct message *request)
{
	int r = program_start(loader, program);

	answer(loader, request, r, r < 0 ? program->error : "");
}

static void disable(struct loader *loader, struct program *program, const struct message *request)
{
	program_stop(loader, program);
	answer(loader, request, 0, "");
}

/* Text as parameter_parse() makes it: ended, and zero after its end. */
static bool is_text(const uint8_t *value, size_t size)
{
	const uint8_t *end = memchr(value, '\0', size);

	for (const uint8_t *byte = end; byte && byte < value + size; byte++) {
		if (*byte)
			return false;
	}
	return end != NULL;
}

static bool is_good_value(const struct parameter *parameter, const struct message *request)
{
	if (request->value_size != parameter->size)
		return false;
	switch (parameter->kind) {
	case PARAMETER_BOOLEAN:
		return request->value[0] <= 1;
	case PARAMETER_STRING:
		return is_text(request->value, parameter->size);
	case PARAMETER_INTEGER:
		break;
	}
	return true;
}

static void set_parameter(struct loader *loader, struct program *program,
			  const struct message *request)
{
	FREE uint8_t(*values)[MESSAGE_VALUE_SIZE] = NULL;
	const struct parameter *parameter = NULL;
	char error[MESSAGE_TEXT_SIZE] = "";
	size_t index;
	int r;

	if (program->schema)
		parameter = program_schema_parameter(program->schema, request->name);
	if (!parameter) {
		answer(loader, request, -ENOENT, "no such parameter");
		return;
	}
	if (!is_good_value(parameter, request)) {
		answer(loader, request, -EINVAL, "not a value of this parameter");
		return;
	}
	values = program_values_new(program);
	if (!values) {
		answer(loader, request, -ENOMEM, strerror(ENOMEM));
		return;
	}
	memcpy(values, program->values, program->schema->parameter_count * MESSAGE_VALUE_SIZE);
	index = (size_t)(parameter - program->schema->parameters);
	memset(values[index], 0, MESSAGE_VALUE_SIZE);
	memcpy(values[index], request->value, parameter->size);
	r = program_set_values(loader, program, (const uint8_t(*)[MESSAGE_VALUE_SIZE])values, error,
			       sizeof(error));
	if (r < 0)
		log_warn("%s: parameter %s stays as it was: %s", program->name, parameter->name,
			 error);
	answer(loader, request, r, error);
}

/* The answer is the figures themselves. */
static void tell_statistics(struct loader *loader, struct program *program,
			    const struct message *request)
{
	struct message message = { .type = MESSAGE_STATISTICS,
				   .request = request->request,
				   .program = request->program };
	bool measured = false;
	int r = 0;

	if (program->object)
		r = object_statistics(program->object, &message.numbers[0], &message.numbers[1],
				      &measured);
	if (r < 0) {
		answer(loader, request, r, strerror(-r));
		return;
	}
	if (measured || (program->object && loader->statistics >= 0))
		message.flags = MESSAGE_FLAG_MEASURED;
	server_send(loader, &message, -1);
}

/* One row a request that is about a program. */
static void (*const handlers[])(struct loader *loader, struct program *program,
				const struct message *request) = {
	[MESSAGE_ENABLE] = enable,
	[MESSAGE_DISABLE] = disable,
	[MESSAGE_SET_PARAMETER] = set_parameter,
	[MESSAGE_ASK_STATISTICS] = tell_statistics,
};

static void set_list(struct loader *loader, const struct message *request, int fd)
{
	struct shared_list_image image = { .fd = fd, .option = (uint32_t)request->numbers[2] };
	char error[MESSAGE_TEXT_SIZE] = "";
	enum shared_list which;
	int r;

	/* Of addresses the option is the mode: nothing that the server has a say in. */
	if (request->numbers[0] >= SHARED_LISTS || request->numbers[1] > UINT32_MAX ||
	    request->numbers[2] > (request->numbers[0] == SHARED_PROCESSES)) {
		answer(loader, request, -EINVAL, "no such list");
		return;
	}
	which = (enum shared_list)request->numbers[0];
	image.count = (uint32_t)request->numbers[1];
	if (which == SHARED_IPS)
		image.option = loader->config->ip_list_mode;
	r = list_maps_set(loader->lists, which, &image, error, sizeof(error));
	if (r < 0)
		log_warn("%s: %s", shared_list_kinds[which].map, error);
	loader->lists_told |= 1u << which;
	answer(loader, request, r, error);
}

static void stop(struct loader *loader, const struct message *request)
{
	const char *why = *request->text ? request->text : "it gives no reason";

	loader->ending = true;
	if (request->result < 0) {
		log_error("server: %s", why);
		loader->exit_status = EXIT_FAILURE;
	} else {
		log_info("stopping: %s", why);
	}
}

static void handle(struct loader *loader, const struct message *request, int fd)
{
	if (request->type == MESSAGE_STOP) {
		stop(loader, request);
		return;
	}
	if (request->type == MESSAGE_SET_LIST) {
		set_list(loader, request, fd);
		return;
	}
	if (request->type >= ARRAY_SIZE(handlers) || !handlers[request->type]) {
		server_give_up(loader, "it sent what is no request");
		return;
	}
	if (request->program >= loader->program_count) {
		answer(loader, request, -ENOENT, "no such program");
		return;
	}
	handlers[request->type](loader, &loader->programs[request->program], request);
}

void requests_hear(struct loader *loader)
{
	struct message request;
	CLOSE int fd = -1;
	int r = message_receive(loader->server.socket, &request, &fd);

	if (r == 0)
		handle(loader, &request, fd);
	else if (r == -EPIPE)
		close(TAKE_FD(loader->server.socket)); /* its death is reported by SIGCHLD */
	else if (r != -EAGAIN)
		server_give_up(loader, "it sent what is no message");
}

/* ---- lists before programs ---- */

#define LISTS_TIMEOUT_NS NS_PER_SECOND
#define ALL_LISTS ((1u << SHARED_LISTS) - 1)

/* Without hearing it: whatever else comes is no matter of this moment. */
static bool next_is_list(int socket)
{
	uint32_t type = 0;

	return recv(socket, &type, sizeof(type), MSG_PEEK | MSG_DONTWAIT) == sizeof(type) &&
	       type == MESSAGE_SET_LIST;
}

void requests_await_lists(struct loader *loader)
{
	uint64_t deadline = clock_boot_ns() + LISTS_TIMEOUT_NS, now;

	while (loader->lists_told != ALL_LISTS && loader->server.socket >= 0 &&
	       (now = clock_boot_ns()) < deadline) {
		struct pollfd entry = { .fd = loader->server.socket, .events = POLLIN };

		if (poll(&entry, 1, (int)((deadline - now) / NS_PER_MS) + 1) > 0) {
			if (!next_is_list(entry.fd))
				break;
			requests_hear(loader);
		}
	}
	loader->lists_told = ALL_LISTS;
}
