/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "loader/internal.h"
#include "loader/object.h"

static struct message message_about(const struct loader *loader, const struct program *program,
				    enum message_type type)
{
	return (struct message){ .type = type, .program = (uint32_t)(program - loader->programs) };
}

void announce_program(struct loader *loader, const struct program *program)
{
	struct message message = message_about(loader, program, MESSAGE_PROGRAM);

	message.status = program->status;
	message.flags = (program->enabled ? MESSAGE_FLAG_ENABLED : 0) |
			(program->object ? MESSAGE_FLAG_LOADED : 0) |
			(program->attached ? MESSAGE_FLAG_ATTACHED : 0);
	message_set_text(message.name, "%s", program->name);
	message_set_text(message.text, "%s", program->error);
	if (program->object)
		interfaces_describe(program, message.hook, sizeof(message.hook), message.reason,
				    sizeof(message.reason));
	server_send(loader, &message, -1);
}

void announce_parameter(struct loader *loader, const struct program *program, size_t parameter)
{
	struct message message = message_about(loader, program, MESSAGE_PARAMETER);
	const struct parameter *described = &program->schema->parameters[parameter];

	message_set_text(message.name, "%s", described->name);
	message.value_size = described->size;
	memcpy(message.value, program->values[parameter], described->size);
	server_send(loader, &message, -1);
}

void announce_new(struct loader *loader, const struct program *program)
{
	struct message message = message_about(loader, program, MESSAGE_OBJECT);

	announce_program(loader, program);
	if (!program->schema)
		return;
	server_send(loader, &message, program->object_fd);
	for (size_t i = 0; i < program->schema->parameter_count; i++) {
		const struct parameter *parameter = &program->schema->parameters[i];

		if (memcmp(program->values[i], parameter->default_value, parameter->size))
			announce_parameter(loader, program, i);
	}
}

struct map_target {
	struct loader *loader;
	const struct program *program;
};

static int announce_map(void *context, const char *name, int fd)
{
	const struct map_target *target = context;
	struct message message = message_about(target->loader, target->program, MESSAGE_MAP);

	message_set_text(message.name, "%s", name);
	server_send(target->loader, &message, fd);
	return 0;
}

void announce_maps(struct loader *loader, const struct program *program)
{
	struct map_target target = { .loader = loader, .program = program };
	int r = object_each_map(program->object, announce_map, &target);

	if (r < 0)
		log_warn("%s: cannot hand over its maps: %s", program->name, strerror(-r));
}

void announce_interfaces(struct loader *loader, const struct program *program)
{
	struct message message = message_about(loader, program, MESSAGE_INTERFACE);

	message.numbers[1] = program->attachment_count;
	if (!program->attachment_count)
		server_send(loader, &message, -1);
	for (size_t i = 0; i < program->attachment_count; i++) {
		const struct attachment *attachment = &program->attachments[i];
		bool attached = attachment->link.ifindex != 0;

		message.numbers[0] = i;
		message.status = attachment->direction;
		message_set_text(message.name, "%s", attachment->interface);
		message_set_text(message.hook, "%s",
				 attached ? interface_mode_name(attachment->link.mode) : "");
		message_set_text(message.reason, "%s", attachment->reason);
		server_send(loader, &message, -1);
	}
}

void announce_unloaded(struct loader *loader, const struct program *program)
{
	struct message message = message_about(loader, program, MESSAGE_UNLOADED);

	server_send(loader, &message, -1);
}

void announce_ready(struct loader *loader)
{
	struct message message = { .type = MESSAGE_READY };

	server_send(loader, &message, -1);
}

void announce_all(struct loader *loader)
{
	for (size_t i = 0; i < loader->program_count; i++) {
		const struct program *program = &loader->programs[i];

		announce_new(loader, program);
		if (!program->object)
			continue;
		announce_maps(loader, program);
		if (program->attachment_count)
			announce_interfaces(loader, program);
		announce_program(loader, program);
	}
	announce_ready(loader);
}
