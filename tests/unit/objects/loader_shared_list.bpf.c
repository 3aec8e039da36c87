/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Declares a list of the server's with fewer entries: refused, also where it comes first. */
#include "program.bpf.h"

PROGRAM("Has another idea of the list of processes");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 7);
	__type(key, __u32);
	__type(value, __u8);
} process_list SEC(".maps") SHARED;

SEC("tp/syscalls/sys_enter_getpgid")
int loader_shared_list(void *context)
{
	__u32 zero = 0;

	(void)context;
	return bpf_map_lookup_elem(&process_list, &zero) != NULL;
}
