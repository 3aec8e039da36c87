/* SPDX-License-Identifier: MIT */
/* What the server asks for. It parses what comes from the network, so nothing that it says is
 * believed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

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

static void handle(struct loader *loader, const struct message *request)
{
	if (request->type == MESSAGE_STOP) {
		stop(loader, request);
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
	CLOSE int fd = -1; /* none is asked for */
	int r = message_receive(loader->server.socket, &request, &fd);

	if (r == 0)
		handle(loader, &request);
	else if (r == -EPIPE)
		close(TAKE_FD(loader->server.socket)); /* its death is reported by SIGCHLD */
	else if (r != -EAGAIN)
		server_give_up(loader, "it sent what is no message");
}
