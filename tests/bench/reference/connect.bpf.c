/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The least that can be known of each connect(2) in user space: one hook, one record, no map but
 * the ring, no filter, no ledger. What no observer of connect(2) by events can do faster.
 */
#include "kernel.bpf.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct record {
	__u64 timestamp;
	__u64 thread;
	__u64 result;
	char command[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} events SEC(".maps");

SEC("tracepoint/syscalls/sys_exit_connect")
int reference_exit(struct syscall_exit *context)
{
	kernel_signed_word result = context->result;
	struct record *record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);

	if (!record)
		return 0;
	record->timestamp = bpf_ktime_get_boot_ns();
	record->thread = bpf_get_current_pid_tgid();
	record->result = (__u64)result;
	bpf_get_current_comm(record->command, sizeof(record->command));
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}
