/* SPDX-License-Identifier: MIT */
/*
 * The choice among an object's functions (loader/object.h says the rules). It outlives the
 * bpf_object, which libbpf can load only once: each try opens a new one.
 */
#ifndef LOADER_HOOKS_H
#define LOADER_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"
#include "loader/interface_link.h"

struct bpf_object;
struct bpf_program;
struct hooks;
struct kernel_features;

/* Reads functions, groups and ranks out of an opened object. 0, or -errno with a line in
 * `error`. */
int hooks_new(const struct bpf_object *bpf, struct hooks **ret_hooks, char *error,
	      size_t error_size);
void hooks_free(struct hooks *hooks);
DEFINE_CLEANUP(hooks, hooks_free)

/* Leaves out functions tagged "with:A|B" of which `is_set` says 0 for every name; it says 1 of one
 * that is set. 0, or what it says below 0, with a line in `error`. */
int hooks_set_parameters(struct hooks *hooks, int (*is_set)(void *context, const char *name),
			 void *context, char *error, size_t error_size);

/* Sets which functions of an opened object are loaded: the needed ones, and of each group the
 * best rank that did not fail and is not hopeless on this kernel; none that is left out. 0, or
 * -errno with a line in `error`. */
int hooks_select(struct hooks *hooks, struct kernel_features *kernel, struct bpf_object *bpf,
		 char *error, size_t error_size);

/* `function` does not work, and `why` says the reason. True when another rank of its group is
 * left to try; false with a line in `error`. */
bool hooks_give_way(struct hooks *hooks, const char *function, const char *why, char *error,
		    size_t error_size);

/* "tp_btf/kfree_skb, …": sections of what hooks_select() chose, those of interfaces apart; valid
 * until the next choice. */
const char *hooks_chosen(const struct hooks *hooks);
/* "fentry/tcp_connect: …; …", or "". */
const char *hooks_reason(const struct hooks *hooks);

/* Whether any function attaches to network interfaces. */
bool hooks_need_interfaces(const struct hooks *hooks);
/* The name of the chosen function of a direction and of a rank above `after`, the lowest such, or
 * NULL; with its rank and its hook. */
const char *hooks_on_interface(const struct hooks *hooks, enum interface_direction direction,
			       unsigned int after, unsigned int *ret_rank,
			       enum interface_hook *ret_hook);
/* Whether this function is one of them, chosen or not. */
bool hooks_is_on_interface(const struct hooks *hooks, const char *function);

#endif
