/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A needed function that loads and cannot be attached, after one that can. */
#include "program.bpf.h"

PROGRAM("Cannot be attached");

SEC("tp/syscalls/sys_enter_getpgid")
int loader_attached(void *context)
{
	(void)context;
	return 0;
}

SEC("tp/syscalls/sys_exit_getpgid")
int loader_unattached(void *context)
{
	return *(volatile __u64 *)((char *)context + 1024) == 1;
}
