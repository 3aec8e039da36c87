/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The least that can be known of each dropped packet in user space: the reason and the place as
 * the hook gives them. The packet is not looked at. As connect.bpf.c for connects.
 */
#include "kernel.bpf.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

enum { CONSUMED_OR_UNSPECIFIED = 2 }; /* reasons up to it are no drops on kernels since 6.5 */

struct record {
	__u64 timestamp;
	__u64 thread;
	__u64 location;
	__u64 reason;
	char command[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} events SEC(".maps");

SEC("tp_btf/kfree_skb")
int reference_drop(__u64 *context)
{
	__u64 location = context[1];
	__u32 reason = (__u32)context[2];
	struct record *record;

	if (reason <= CONSUMED_OR_UNSPECIFIED)
		return 0;
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record)
		return 0;
	record->timestamp = bpf_ktime_get_boot_ns();
	record->thread = bpf_get_current_pid_tgid();
	record->location = location;
	record->reason = reason;
	bpf_get_current_comm(record->command, sizeof(record->command));
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}
