/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Nothing at all at the end of each system call: what the hook alone costs. */
#include "kernel.bpf.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

SEC("tp_btf/sys_exit")
int reference_sys_exit(__u64 *context)
{
	(void)context;
	return 0;
}
