/* SPDX-License-Identifier: MIT */
#include "loader/hooks_private.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "loader/kernel_features.h"

#define GROUP_TAG "hook:"
#define INTERFACE_TAG "interface:"
#define PARAMETERS_TAG "with:"

/* ---- reading ---- */

void hooks_free(struct hooks *hooks)
{
	if (!hooks)
		return;
	for (size_t i = 0; i < hooks->function_count; i++)
		free(hooks->functions[i].parameters);
	free(hooks->functions);
	free(hooks->groups);
	free(hooks);
}

static struct hook_function *find_function(struct hooks *hooks, const char *name)
{
	for (size_t i = 0; i < hooks->function_count; i++) {
		if (!strcmp(hooks->functions[i].name, name))
			return &hooks->functions[i];
	}
	return NULL;
}

/* libbpf takes "tp/" for "tracepoint/"; people read one name. */
static void set_section(struct hook_function *function, const char *section)
{
	if (!strncmp(section, "tp/", 3))
		message_set_text(function->section, "tracepoint/%s", section + 3);
	else
		message_set_text(function->section, "%s", section);
}

static int read_functions(struct hooks *hooks, const struct bpf_object *bpf)
{
	struct bpf_program *program = NULL;
	size_t count = 0;

	while ((program = bpf_object__next_program(bpf, program)))
		count++;
	hooks->functions = calloc(count + 1, sizeof(*hooks->functions));
	hooks->groups = calloc(count + 1, sizeof(*hooks->groups));
	if (!hooks->functions || !hooks->groups)
		return -ENOMEM;
	while ((program = bpf_object__next_program(bpf, program))) {
		struct hook_function *function = &hooks->functions[hooks->function_count++];

		message_set_text(function->name, "%s", bpf_program__name(program));
		set_section(function, bpf_program__section_name(program));
		function->group = NO_GROUP;
		function->on_interface = hooks_attaches_to_interface(program);
	}
	return 0;
}

static size_t find_group(struct hooks *hooks, const char *name, size_t length)
{
	size_t i;

	for (i = 0; i < hooks->group_count; i++) {
		if (strlen(hooks->groups[i].name) == length &&
		    !memcmp(hooks->groups[i].name, name, length))
			return i;
	}
	message_set_text(hooks->groups[i].name, "%.*s", (int)length, name);
	hooks->group_count++;
	return i;
}

/* `text` is what follows "hook:". */
static int apply_group(struct hooks *hooks, struct hook_function *function, const char *text)
{
	const char *colon = strchr(text, ':');
	uint64_t rank;

	if (!colon || colon == text || (size_t)(colon - text) >= MESSAGE_NAME_SIZE ||
	    function->group != NO_GROUP || text_parse_u64(colon + 1, 1, RANK_LIMIT, &rank) < 0)
		return -EINVAL;
	function->group = find_group(hooks, text, (size_t)(colon - text));
	function->rank = (unsigned int)rank;
	return 0;
}

static int apply_parameters(struct hooks *hooks, struct hook_function *function, const char *text)
{
	(void)hooks;
	if (function->parameters)
		return -EINVAL;
	function->parameters = strdup(text);
	return function->parameters ? 0 : -ENOMEM;
}

static const struct {
	const char *prefix;
	int (*apply)(struct hooks *hooks, struct hook_function *function, const char *text);
	const char *form;
} tags[] = {
	{ GROUP_TAG, apply_group, "must be the only hook:GROUP:RANK" },
	{ INTERFACE_TAG, hooks_apply_direction,
	  "must be the only interface:ingress:RANK or interface:egress:RANK, on an XDP or tc "
	  "function" },
	{ PARAMETERS_TAG, apply_parameters, "must be the only with:PARAMETERS" },
};

static int read_tag(struct hooks *hooks, struct hook_function *function, const char *text,
		    char *error, size_t error_size)
{
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		size_t length = strlen(tags[i].prefix);
		int r;

		if (strncmp(text, tags[i].prefix, length))
			continue;
		r = tags[i].apply(hooks, function, text + length);
		if (r == 0)
			return 0;
		if (r == -ENOMEM) {
			message_format(error, error_size, "%s", strerror(ENOMEM));
			return r;
		}
		message_format(error, error_size, "function %s: \"%s\" %s", function->name, text,
			       tags[i].form);
		return -EINVAL;
	}
	return 0;
}

static int read_tags(struct hooks *hooks, const struct btf *btf, char *error, size_t error_size)
{
	for (uint32_t id = 1; btf && id < btf__type_cnt(btf); id++) {
		const struct btf_type *tag = btf__type_by_id(btf, id);
		const struct btf_type *target;
		struct hook_function *function;
		const char *text;
		int r;

		if (!btf_is_decl_tag(tag) || btf_decl_tag(tag)->component_idx != -1)
			continue;
		target = btf__type_by_id(btf, tag->type);
		text = btf__name_by_offset(btf, tag->name_off);
		if (!target || !text || !btf_is_func(target))
			continue;
		function = find_function(hooks, btf__name_by_offset(btf, target->name_off));
		if (!function)
			continue;
		r = read_tag(hooks, function, text, error, error_size);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The lowest rank of a group above `rank`, or 0. */
static unsigned int next_rank(const struct hooks *hooks, size_t group, unsigned int rank)
{
	unsigned int best = 0;

	for (size_t i = 0; i < hooks->function_count; i++) {
		const struct hook_function *function = &hooks->functions[i];

		if (function->group == group && function->rank > rank &&
		    (!best || function->rank < best))
			best = function->rank;
	}
	return best;
}

int hooks_new(const struct bpf_object *bpf, struct hooks **ret_hooks, char *error,
	      size_t error_size)
{
	CLEANUP(hooks) struct hooks *hooks = calloc(1, sizeof(*hooks));
	int r = hooks ? read_functions(hooks, bpf) : -ENOMEM;

	if (r < 0) {
		message_format(error, error_size, "%s", strerror(-r));
		return r;
	}
	r = read_tags(hooks, bpf_object__btf(bpf), error, error_size);
	if (!r)
		r = hooks_settle_interfaces(hooks, bpf, error, error_size);
	if (r < 0)
		return r;
	for (size_t i = 0; i < hooks->group_count; i++)
		hooks->groups[i].rank = next_rank(hooks, i, 0);
	*ret_hooks = TAKE(hooks);
	return 0;
}

/* ---- what this kernel does not have ---- */

static bool lacks_tracepoint(struct kernel_features *kernel, const char *target, char *why,
			     size_t size)
{
	if (kernel_has_tracepoint(kernel, target))
		return false;
	if (!kernel_tracefs(kernel))
		message_format(why, size,
			       "tracefs is not mounted and cannot be (mount -t tracefs tracefs "
			       "/sys/kernel/tracing)");
	else
		message_format(why, size, "does not exist in this kernel%s",
			       !strncmp(target, "syscalls/", 9) ? " (CONFIG_FTRACE_SYSCALLS)" : "");
	return true;
}

static bool lacks_btf_tracepoint(struct kernel_features *kernel, const char *target, char *why,
				 size_t size)
{
	char name[MESSAGE_HOOK_SIZE];

	message_set_text(name, "btf_trace_%s", target);
	if (kernel_has_btf_name(kernel, name))
		return false;
	message_format(why, size, "not in this kernel's BTF");
	return true;
}

static bool lacks_btf_function(struct kernel_features *kernel, const char *target, char *why,
			       size_t size)
{
	if (kernel_has_btf_name(kernel, target))
		return false;
	message_format(why, size, "not in this kernel's BTF");
	return true;
}

static bool lacks_kprobes(struct kernel_features *kernel, const char *target, char *why,
			  size_t size)
{
	(void)target;
	if (kernel_has_kprobes(kernel))
		return false;
	message_format(why, size, "this kernel has no kprobes (CONFIG_KPROBES)");
	return true;
}

/* Questions that cost microseconds, where a failed load costs milliseconds and says less. */
static const struct {
	const char *prefix;
	bool (*lacks)(struct kernel_features *kernel, const char *target, char *why, size_t size);
} prechecks[] = {
	{ .prefix = "tracepoint/", .lacks = lacks_tracepoint },
	{ .prefix = "tp_btf/", .lacks = lacks_btf_tracepoint },
	{ .prefix = "fentry/", .lacks = lacks_btf_function },
	{ .prefix = "fexit/", .lacks = lacks_btf_function },
	{ .prefix = "fmod_ret/", .lacks = lacks_btf_function },
	{ .prefix = "kprobe/", .lacks = lacks_kprobes },
	{ .prefix = "kretprobe/", .lacks = lacks_kprobes },
	{ .prefix = "ksyscall/", .lacks = lacks_kprobes },
	{ .prefix = "kretsyscall/", .lacks = lacks_kprobes },
};

static bool is_hopeless(struct kernel_features *kernel, const struct hook_function *function,
			char *why, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(prechecks); i++) {
		size_t length = strlen(prechecks[i].prefix);

		if (!strncmp(function->section, prechecks[i].prefix, length))
			return prechecks[i].lacks(kernel, function->section + length, why, size);
	}
	return false;
}

/* ---- choosing ---- */

static bool is_chosen(const struct hooks *hooks, const struct hook_function *function)
{
	if (function->left_out)
		return false;
	if (function->on_interface)
		return hooks_is_best_on_interface(hooks, function);
	return function->group == NO_GROUP || hooks->groups[function->group].rank == function->rank;
}

static int set_parameters(struct hook_function *function,
			  int (*is_set)(void *context, const char *name), void *context,
			  char *error, size_t error_size)
{
	FREE char *names = strdup(function->parameters);
	char *rest = NULL;

	if (!names) {
		message_format(error, error_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	function->left_out = true;
	for (char *name = strtok_r(names, "|", &rest); name; name = strtok_r(NULL, "|", &rest)) {
		int r = is_set(context, name);

		if (r < 0) {
			message_format(error, error_size,
				       "function %s: \"with:%s\" names no parameter",
				       function->name, name);
			return r;
		}
		if (r)
			function->left_out = false;
	}
	return 0;
}

int hooks_set_parameters(struct hooks *hooks, int (*is_set)(void *context, const char *name),
			 void *context, char *error, size_t error_size)
{
	for (size_t i = 0; i < hooks->function_count; i++) {
		int r = 0;

		if (hooks->functions[i].parameters)
			r = set_parameters(&hooks->functions[i], is_set, context, error,
					   error_size);
		if (r < 0)
			return r;
	}
	return 0;
}

bool hooks_give_way(struct hooks *hooks, const char *function_name, const char *why, char *error,
		    size_t error_size)
{
	struct hook_function *function = find_function(hooks, function_name);
	struct hook_group *group;
	char line[MESSAGE_TEXT_SIZE];

	if (function && function->on_interface)
		return hooks_refuse_on_interface(hooks, function, why, error, error_size);
	if (!function || function->group == NO_GROUP) {
		message_format(error, error_size, "%s: %s",
			       function ? function->section : function_name, why);
		return false;
	}
	group = &hooks->groups[function->group];
	message_set_text(line, "%s: %s", function->section, why);
	message_append(group->reason, sizeof(group->reason), "; ", line);
	message_append(hooks->reason, sizeof(hooks->reason), "; ", line);
	group->rank = next_rank(hooks, function->group, function->rank);
	if (group->rank)
		return true;
	message_format(error, error_size, "no hook works: %s", group->reason);
	return false;
}

/* Passes over what cannot work; each step moves one group on, so this ends. */
static int settle(struct hooks *hooks, struct kernel_features *kernel, char *error,
		  size_t error_size)
{
	char why[MESSAGE_TEXT_SIZE];

	for (size_t i = 0; i < hooks->function_count;) {
		const struct hook_function *function = &hooks->functions[i++];

		if (!is_chosen(hooks, function) || !is_hopeless(kernel, function, why, sizeof(why)))
			continue;
		if (!hooks_give_way(hooks, function->name, why, error, error_size))
			return -EOPNOTSUPP;
		i = 0;
	}
	return 0;
}

int hooks_select(struct hooks *hooks, struct kernel_features *kernel, struct bpf_object *bpf,
		 char *error, size_t error_size)
{
	struct bpf_program *program = NULL;
	int r = settle(hooks, kernel, error, error_size);

	if (r < 0)
		return r;
	hooks->chosen[0] = '\0';
	while ((program = bpf_object__next_program(bpf, program))) {
		const struct hook_function *function =
			find_function(hooks, bpf_program__name(program));
		bool chosen = function && is_chosen(hooks, function);

		if (hooks_is_tcx(program))
			bpf_program__set_type(program, BPF_PROG_TYPE_SCHED_CLS);
		r = bpf_program__set_autoload(program, chosen);
		if (r < 0) {
			message_format(error, error_size, "%s: %s", bpf_program__name(program),
				       strerror(-r));
			return r;
		}
		if (chosen && !function->on_interface)
			message_append(hooks->chosen, sizeof(hooks->chosen), ", ",
				       function->section);
	}
	return 0;
}

const char *hooks_chosen(const struct hooks *hooks)
{
	return hooks->chosen;
}

const char *hooks_reason(const struct hooks *hooks)
{
	return hooks->reason;
}
