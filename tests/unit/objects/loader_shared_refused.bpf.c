/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Declares the map of loader_shared_one.bpf.c with another value. */
#include "program.bpf.h"

PROGRAM("Shares a map that is another one");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} loader_note SEC(".maps") SHARED;

SEC("tp/syscalls/sys_enter_getpgid")
int loader_shared_refused(void *context)
{
	__u32 zero = 0;

	(void)context;
	return bpf_map_lookup_elem(&loader_note, &zero) != NULL;
}
