/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Functions that run only with a parameter, one that needs a map that no kernel has, and what the
 * loader tells of itself. A function that runs adds one to `counts[…]`. */
#include "own.bpf.h"
#include "program.bpf.h"

PROGRAM("Counts which of its functions ran, and for whom");

#define NO_SUCH_MAP_TYPE 250

const volatile bool loader_first PARAMETER("One")
= false;
const volatile char loader_second[8] PARAMETER("Another")
= "";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, NO_SUCH_MAP_TYPE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} impossible SEC(".maps");

static __always_inline int count(__u32 key)
{
	__u64 *value = bpf_map_lookup_elem(&counts, &key);

	if (value && is_own_process())
		__sync_fetch_and_add(value, 1);
	return 0;
}

SEC("?tp/syscalls/sys_enter_getpgid")
int loader_impossible(void *context) RANKED(enter, 1)
{
	__u32 zero = 0;

	(void)context;
	return bpf_map_lookup_elem(&impossible, &zero) ? count(1) : 0;
}

SEC("?tp/syscalls/sys_enter_getpgid")
int loader_always(void *context) RANKED(enter, 2)
{
	(void)context;
	return count(2);
}

SEC("?tp/syscalls/sys_exit_getpgid")
int loader_with_one(void *context) ONLY_WITH("loader_first")
{
	(void)context;
	return count(3);
}

SEC("?tp/syscalls/sys_exit_getpgid")
int loader_with_either(void *context) ONLY_WITH("loader_first|loader_second")
{
	(void)context;
	return count(4);
}
