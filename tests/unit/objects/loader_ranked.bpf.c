/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Four ranks, of which three fail in the three ways there are: the kernel has no such hook, the
 * verifier refuses the function, the kernel refuses the attach. A function that runs adds one
 * to `counts[rank]`. */
#include "program.bpf.h"

PROGRAM("Counts which of its functions ran");

const volatile __u32 loader_pid PARAMETER("The process to listen to")
= 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

static __always_inline int count(__u32 key)
{
	__u64 *value = bpf_map_lookup_elem(&counts, &key);

	if (value && (__u32)(bpf_get_current_pid_tgid() >> 32) == loader_pid)
		__sync_fetch_and_add(value, 1);
	return 0;
}

SEC("?tp_btf/loader_no_such_tracepoint")
int loader_absent(void *context) RANKED(enter, 1)
{
	(void)context;
	return count(1);
}

/* Reads an array out of bounds. */
SEC("?tp/syscalls/sys_enter_getpgid")
int loader_refused(void *context) RANKED(enter, 2)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&counts, &key);

	(void)context;
	return value ? (int)*(volatile __u64 *)(value + 100) : 0;
}

/* Reads past the tracepoint's record, which is found out when it is attached. */
SEC("?tp/syscalls/sys_enter_getpgid")
int loader_too_far(void *context) RANKED(enter, 3)
{
	if (*(volatile __u64 *)((char *)context + 1024) == 1)
		return 0;
	return count(3);
}

SEC("?tp/syscalls/sys_enter_getpgid")
int loader_enter(void *context) RANKED(enter, 4)
{
	(void)context;
	return count(4);
}

/* Two functions of one rank go together; the rank after them is not needed. */
SEC("?tp/syscalls/sys_exit_getpgid")
int loader_exit(void *context) RANKED(exit, 1)
{
	(void)context;
	return count(5);
}

SEC("?raw_tp/sched_process_exit")
int loader_gone(void *context) RANKED(exit, 1)
{
	(void)context;
	return 0;
}

SEC("?tp/syscalls/sys_exit_getpgid")
int loader_second(void *context) RANKED(exit, 2)
{
	(void)context;
	return count(6);
}
