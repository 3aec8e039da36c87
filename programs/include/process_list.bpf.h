/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The list of processes that users of the API ask for. One list for all programs: maps tagged
 * "shared" are the same ones in every program that has them. For the programs that include it
 * (program.bpf.h does not): they ask before they reserve or count anything.
 */
#ifndef PROCESS_LIST_BPF_H
#define PROCESS_LIST_BPF_H

#include "program.bpf.h"

#define PROCESS_LIST_SIZE 10240

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PROCESS_LIST_SIZE);
	__type(key, __u32); /* process id, in the initial PID namespace */
	__type(value, __u8);
} process_list SEC(".maps") ANNOTATION("shared");

struct process_list_state {
	__u32 count;	 /* entries of the list; 0 asks for everything */
	__u32 print_all; /* not 0: everything, whatever the list holds */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct process_list_state);
} process_list_state SEC(".maps") ANNOTATION("shared");

static __always_inline bool process_is_wanted(__u32 pid)
{
	__u32 zero = 0;
	const struct process_list_state *state = bpf_map_lookup_elem(&process_list_state, &zero);

	/* Never NULL in fact; the verifier wants the check. */
	if (!state || !state->count || state->print_all)
		return true;
	return bpf_map_lookup_elem(&process_list, &pid) != NULL;
}

#endif
