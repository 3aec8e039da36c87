/* SPDX-License-Identifier: MIT */
/* Functions that attach to network interfaces: which interface gets which is decided when it is
 * there (interfaces.c), so of each hook one is loaded. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "loader/hooks_private.h"

/* ---- reading ---- */

/* libbpf before 1.3 does not know it. */
bool hooks_is_tcx(const struct bpf_program *program)
{
	return !strncmp(bpf_program__section_name(program), "tcx/", 4);
}

bool hooks_attaches_to_interface(const struct bpf_program *program)
{
	switch (bpf_program__type(program)) {
	case BPF_PROG_TYPE_XDP:
	case BPF_PROG_TYPE_SCHED_CLS:
	case BPF_PROG_TYPE_SCHED_ACT:
		return true;
	default:
		return hooks_is_tcx(program);
	}
}

int hooks_apply_direction(struct hooks *hooks, struct hook_function *function, const char *text)
{
	const char *colon = strchr(text, ':');
	uint64_t rank;

	(void)hooks;
	if (!colon || function->rank || !function->on_interface ||
	    text_parse_u64(colon + 1, 1, RANK_LIMIT, &rank) < 0)
		return -EINVAL;
	for (unsigned int i = 0; i < INTERFACE_DIRECTIONS; i++) {
		const char *name = interface_direction_name((enum interface_direction)i);

		if (strlen(name) != (size_t)(colon - text) || strncmp(name, text, strlen(name)))
			continue;
		function->direction = (enum interface_direction)i;
		function->rank = (unsigned int)rank;
		return 0;
	}
	return -EINVAL;
}

/* Returns what is wrong with it, or NULL. */
static const char *settle_interface(struct hook_function *function,
				    const struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program);
	bool xdp = bpf_program__type(program) == BPF_PROG_TYPE_XDP;
	bool out = !strcmp(section, "tcx/egress");

	if (function->group != NO_GROUP)
		return "its rank is told by ON_INGRESS(rank) or ON_EGRESS(rank), not RANKED";
	if (bpf_program__type(program) == BPF_PROG_TYPE_SCHED_ACT)
		return "actions are not attached; write SEC(\"tc\")";
	if (xdp) {
		if (bpf_program__expected_attach_type(program) != BPF_XDP)
			return "attaches to a map, not to an interface; write SEC(\"xdp\")";
		if (function->direction == INTERFACE_EGRESS)
			return "XDP sees only what arrives: ON_INGRESS(rank)";
	} else if (hooks_is_tcx(program)) {
		if (!out && strcmp(section, "tcx/ingress") != 0)
			return "is neither tcx/ingress nor tcx/egress";
		if (function->rank && out != (function->direction == INTERFACE_EGRESS))
			return "its section and its tag name different directions";
		function->direction = out ? INTERFACE_EGRESS : INTERFACE_INGRESS;
	} else if (!function->rank) {
		return "must say its direction: ON_INGRESS(rank) or ON_EGRESS(rank)";
	}
	function->hook = xdp					   ? INTERFACE_XDP
			 : function->direction == INTERFACE_EGRESS ? INTERFACE_TC_EGRESS
								   : INTERFACE_TC_INGRESS;
	if (!function->rank)
		function->rank = 1;
	return NULL;
}

static bool shares_rank(const struct hooks *hooks, const struct hook_function *function)
{
	for (const struct hook_function *other = hooks->functions; other < function; other++) {
		if (other->on_interface && other->direction == function->direction &&
		    other->rank == function->rank)
			return true;
	}
	return false;
}

int hooks_settle_interfaces(struct hooks *hooks, const struct bpf_object *bpf, char *error,
			    size_t error_size)
{
	struct bpf_program *program = NULL;

	for (size_t i = 0; (program = bpf_object__next_program(bpf, program)); i++) {
		struct hook_function *function = &hooks->functions[i];
		const char *fault;

		if (!function->on_interface)
			continue;
		fault = settle_interface(function, program);
		if (!fault && shares_rank(hooks, function))
			fault = "another function has its direction and rank";
		if (!fault)
			continue;
		message_format(error, error_size, "function %s (%s): %s", function->name,
			       function->section, fault);
		return -EINVAL;
	}
	return 0;
}

/* ---- choosing ---- */

bool hooks_is_best_on_interface(const struct hooks *hooks, const struct hook_function *function)
{
	for (size_t i = 0; i < hooks->function_count; i++) {
		const struct hook_function *other = &hooks->functions[i];

		if (other->on_interface && !other->refused && !other->left_out &&
		    other->hook == function->hook && other->rank < function->rank)
			return false;
	}
	return !function->refused;
}

bool hooks_refuse_on_interface(struct hooks *hooks, struct hook_function *function, const char *why,
			       char *error, size_t error_size)
{
	char *reason = hooks->interface_reason[function->direction];
	char line[MESSAGE_TEXT_SIZE];

	function->refused = true;
	message_set_text(line, "%s: %s", function->section, why);
	message_append(reason, sizeof(hooks->interface_reason[0]), "; ", line);
	message_append(hooks->reason, sizeof(hooks->reason), "; ", line);
	for (size_t i = 0; i < hooks->function_count; i++) {
		const struct hook_function *other = &hooks->functions[i];

		if (other->on_interface && !other->refused && !other->left_out &&
		    other->direction == function->direction)
			return true;
	}
	message_format(error, error_size, "no hook works: %s", reason);
	return false;
}

bool hooks_need_interfaces(const struct hooks *hooks)
{
	for (size_t i = 0; i < hooks->function_count; i++) {
		if (hooks->functions[i].on_interface)
			return true;
	}
	return false;
}

const char *hooks_on_interface(const struct hooks *hooks, enum interface_direction direction,
			       unsigned int after, unsigned int *ret_rank,
			       enum interface_hook *ret_hook)
{
	const struct hook_function *best = NULL;

	for (size_t i = 0; i < hooks->function_count; i++) {
		const struct hook_function *function = &hooks->functions[i];

		if (function->on_interface && function->direction == direction &&
		    function->rank > after && hooks_is_best_on_interface(hooks, function) &&
		    (!best || function->rank < best->rank))
			best = function;
	}
	if (!best)
		return NULL;
	*ret_rank = best->rank;
	*ret_hook = best->hook;
	return best->name;
}

bool hooks_is_on_interface(const struct hooks *hooks, const char *function_name)
{
	for (size_t i = 0; i < hooks->function_count; i++) {
		if (!strcmp(hooks->functions[i].name, function_name))
			return hooks->functions[i].on_interface;
	}
	return false;
}
