/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Shares a map of its own and both lists. For each getpgid(2) of one process, whose argument is the
 * lowest byte of 10.0.0.0, it notes what the lists say. */
#include "ip_list.bpf.h"
#include "process_list.bpf.h"
#include "program.bpf.h"

PROGRAM("Notes what the lists say");

const volatile __u32 loader_pid PARAMETER("The process to listen to")
= 0;

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

SEC("tp/syscalls/sys_enter_getpgid")
int loader_shared_one(struct syscall_enter *context)
{
	__u8 ip[16], other[16];
	__u32 argument = (__u32)context->arguments[0], zero = 0;
	__u32 pid = (__u32)(bpf_get_current_pid_tgid() >> 32);
	struct loader_note *note;

	if (pid != loader_pid)
		return 0;
	note = bpf_map_lookup_elem(&loader_note, &zero);
	if (!note)
		return 0;
	ip_from_v4(ip, bpf_htonl(0x0a000000 + argument));
	ip_from_v4(other, bpf_htonl(0xc0000201));
	note->verdict = ip_list_ask(ip, other);
	note->listed = ip_is_listed(ip);
	note->wanted = process_is_wanted(pid);
	note->calls++;
	return 0;
}
