/* SPDX-License-Identifier: MIT */
/* For hooks.c and hooks_interface.c alone. */
#ifndef LOADER_HOOKS_PRIVATE_H
#define LOADER_HOOKS_PRIVATE_H

#include <stdint.h>

#include "loader/hooks.h"
#include "loader/message.h"

#define RANK_LIMIT 1000
#define NO_GROUP SIZE_MAX

struct hook_function {
	char name[MESSAGE_NAME_SIZE];
	char section[MESSAGE_HOOK_SIZE];
	size_t group; /* or NO_GROUP */
	unsigned int rank;
	/* Of one that attaches to interfaces; the rank is among those of its direction. */
	bool on_interface;
	enum interface_direction direction;
	enum interface_hook hook;
	bool refused;	  /* does not work */
	char *parameters; /* "latency|stream": one of them has to be set; NULL: none */
	bool left_out;	  /* and none is */
};

struct hook_group {
	char name[MESSAGE_NAME_SIZE];
	unsigned int rank; /* the one in force; 0 when none is left */
	/* What was wrong with the ranks before it. */
	char reason[MESSAGE_TEXT_SIZE];
};

struct hooks {
	struct hook_function *functions;
	size_t function_count;
	struct hook_group *groups;
	size_t group_count;
	/* What was wrong with functions of each direction. */
	char interface_reason[INTERFACE_DIRECTIONS][MESSAGE_TEXT_SIZE];
	char chosen[MESSAGE_HOOK_SIZE];
	char reason[MESSAGE_TEXT_SIZE];
};

/* ---- hooks_interface.c: functions that attach to network interfaces ---- */

bool hooks_attaches_to_interface(const struct bpf_program *program);
/* SEC("tcx/…"): its type has to be set. */
bool hooks_is_tcx(const struct bpf_program *program);
/* `text` is what follows "interface:". 0 or -EINVAL. */
int hooks_apply_direction(struct hooks *hooks, struct hook_function *function, const char *text);
/* When all tags are read: fills in what they leave open. 0, or -EINVAL with a line in `error`. */
int hooks_settle_interfaces(struct hooks *hooks, const struct bpf_object *bpf, char *error,
			    size_t error_size);
/* Of each hook the best that works is loaded: another interface may need another hook. */
bool hooks_is_best_on_interface(const struct hooks *hooks, const struct hook_function *function);
/* hooks_give_way() for one of them. */
bool hooks_refuse_on_interface(struct hooks *hooks, struct hook_function *function, const char *why,
			       char *error, size_t error_size);

#endif
