/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The list of processes that people keep through the API (POST /add_pids): one map that all
 * programs share. A program that reports only processes that are asked for says
 *
 *	if (!process_is_wanted(pid)) {
 *		stream_filter_out(name);
 *		return 0;
 *	}
 *
 * An empty list is no list: every process is wanted then, as with POST /set_print_all.
 */
#ifndef PROCESS_LIST_BPF_H
#define PROCESS_LIST_BPF_H

#include "program.bpf.h"

#define PROCESS_LIST_ENTRIES 10240

struct process_list_state {
	__u32 count; /* entries */
	__u32 print_all;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PROCESS_LIST_ENTRIES);
	__type(key, __u32); /* pid (thread group), in the initial PID namespace */
	__type(value, __u8);
} process_list SEC(".maps") SHARED;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct process_list_state);
} process_list_state SEC(".maps") SHARED;

static __always_inline bool process_is_wanted(__u32 pid)
{
	__u32 zero = 0;
	const struct process_list_state *state = bpf_map_lookup_elem(&process_list_state, &zero);

	return !state || !state->count || state->print_all ||
	       bpf_map_lookup_elem(&process_list, &pid) != NULL;
}

#endif
