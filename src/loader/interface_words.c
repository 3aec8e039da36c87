/* SPDX-License-Identifier: MIT */
/* What interfaces.c does, in words for people. */
#include <string.h>

#include "loader/internal.h"
#include "loader/object.h"

void interfaces_name_missing(const struct program *program, char *text, size_t size)
{
	message_format(text, size, "waits for network interface");
	for (size_t i = 0; i < program->attachment_count; i++) {
		const struct attachment *attachment = &program->attachments[i];
		bool again = false;

		for (size_t j = 0; j < i && !again; j++)
			again = !strcmp(program->attachments[j].interface, attachment->interface);
		if (again || attachment_is_attached(attachment) || attachment->refused_by)
			continue;
		message_append(text, size,
			       !strchr(text, ',') && text[strlen(text) - 1] == 'e' ? " " : ", ",
			       attachment->interface);
	}
}

void interfaces_name_refused(const struct program *program, char *text, size_t size)
{
	text[0] = '\0';
	for (size_t i = 0; i < program->attachment_count; i++) {
		const struct attachment *attachment = &program->attachments[i];
		char line[MESSAGE_TEXT_SIZE];

		message_set_text(line, "%s %s: %s", attachment->interface,
				 interface_direction_name(attachment->direction),
				 attachment->reason);
		message_append(text, size, "; ", line);
	}
}

static bool same_way(const struct attachment *a, const struct attachment *b)
{
	return attachment_is_attached(a) && attachment_is_attached(b) &&
	       a->direction == b->direction && a->link.mode == b->link.mode;
}

/* "xdp native ingress (eth0, eth1)", for the first one that is attached so. */
static void describe_way(const struct program *program, size_t first, char *hook, size_t size)
{
	const struct attachment *list = program->attachments;
	char text[MESSAGE_HOOK_SIZE];

	for (size_t i = 0; i < first; i++) {
		if (same_way(&list[i], &list[first]))
			return;
	}
	message_set_text(text, "%s %s (%s", interface_mode_name(list[first].link.mode),
			 interface_direction_name(list[first].direction), list[first].interface);
	for (size_t i = first + 1; i < program->attachment_count; i++) {
		if (same_way(&list[i], &list[first]))
			message_append(text, sizeof(text), ", ", list[i].interface);
	}
	message_append(hook, size, ", ", text);
	message_append(hook, size, "", ")");
}

void interfaces_describe(const struct program *program, char *hook, size_t hook_size, char *reason,
			 size_t reason_size)
{
	message_format(hook, hook_size, "%s", object_hook(program->object));
	message_format(reason, reason_size, "%s", object_fallback_reason(program->object));
	for (size_t i = 0; i < program->attachment_count; i++) {
		const struct attachment *attachment = &program->attachments[i];
		char line[MESSAGE_TEXT_SIZE];

		if (!attachment_is_attached(attachment))
			continue;
		describe_way(program, i, hook, hook_size);
		if (!attachment->reason[0])
			continue;
		message_set_text(line, "%s %s: %s", attachment->interface,
				 interface_direction_name(attachment->direction),
				 attachment->reason);
		message_append(reason, reason_size, "; ", line);
	}
}
