/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Shares the map of loader_shared_one.bpf.c; loader_other is its own. */
#include "program.bpf.h"

PROGRAM("Shares a map");

struct loader_note {
	__u32 calls;
	__u32 verdict;
	__u32 listed;
	__u32 wanted;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct loader_note);
} loader_note SEC(".maps") SHARED;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} loader_other SEC(".maps");

SEC("tp/syscalls/sys_enter_getpgid")
int loader_shared_other(void *context)
{
	__u32 zero = 0;
	struct loader_note *note = bpf_map_lookup_elem(&loader_note, &zero);
	__u32 *other = bpf_map_lookup_elem(&loader_other, &zero);

	(void)context;
	if (note && other)
		*other = note->calls;
	return 0;
}
