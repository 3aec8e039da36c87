/* SPDX-License-Identifier: MIT */
/* The network interfaces of programs, as the loader tells of them: lists, shown only whole. */
#include <errno.h>
#include <string.h>

#include "pipeline/internal.h"

#define INTERFACES_LIMIT 8192 /* more than any machine names by hand */

static int begin_list(struct interface_list *list, uint64_t total)
{
	interface_list_free(list);
	if (total > INTERFACES_LIMIT)
		return -EINVAL;
	list->items = calloc(total + 1, sizeof(*list->items));
	if (!list->items)
		return -ENOMEM;
	list->total = (size_t)total;
	return 0;
}

void interface_list_free(struct interface_list *list)
{
	free(list->items);
	*list = (struct interface_list){ .items = NULL };
}

static int add(struct interface_list *list, const struct message *message)
{
	struct interface_view *view;

	if (!list->items || message->numbers[0] != list->count || list->count == list->total ||
	    message->numbers[1] != list->total || message->status >= INTERFACE_DIRECTIONS)
		return -EINVAL;
	view = &list->items[list->count++];
	view->direction = (enum interface_direction)message->status;
	message_set_text(view->name, "%s", message->name);
	message_set_text(view->mode, "%s", message->hook);
	message_set_text(view->reason, "%s", message->reason);
	return 0;
}

int pipeline_interface(struct pipeline *pipeline, const struct message *message)
{
	struct program *program = message->program < MESSAGE_MAX_PROGRAMS
					  ? pipeline->programs[message->program]
					  : NULL;
	struct interface_list before;
	int r = 0;

	if (!program)
		return -ENOENT;
	if (message->numbers[0] == 0)
		r = begin_list(&program->coming, message->numbers[1]);
	if (!r && message->name[0])
		r = add(&program->coming, message);
	if (r < 0) {
		interface_list_free(&program->coming);
		return r;
	}
	if (program->coming.count < program->coming.total)
		return 0;
	pthread_mutex_lock(&pipeline->registry);
	before = program->interfaces;
	program->interfaces = program->coming;
	pthread_mutex_unlock(&pipeline->registry);
	program->coming = (struct interface_list){ .items = NULL };
	interface_list_free(&before);
	return 0;
}

int pipeline_program_interfaces(const struct pipeline *const_pipeline, size_t number,
				struct interface_view **ret_list, size_t *ret_count)
{
	struct pipeline *pipeline = pipeline_unconst(const_pipeline);
	struct interface_view *copy = NULL;
	size_t count = 0;
	int r = -ENOENT;

	pthread_mutex_lock(&pipeline->registry);
	if (number < MESSAGE_MAX_PROGRAMS && pipeline->programs[number]) {
		const struct interface_list *list = &pipeline->programs[number]->interfaces;

		count = list->count;
		copy = calloc(count + 1, sizeof(*copy));
		r = copy ? 0 : -ENOMEM;
		if (copy && count)
			memcpy(copy, list->items, count * sizeof(*copy));
	}
	pthread_mutex_unlock(&pipeline->registry);
	if (r < 0)
		return r;
	*ret_list = copy;
	*ret_count = count;
	return 0;
}
