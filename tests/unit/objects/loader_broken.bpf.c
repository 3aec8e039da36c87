/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A needed function that no verifier takes, after one that is well. */
#include "program.bpf.h"

PROGRAM("Cannot be loaded");

SEC("tp/syscalls/sys_enter_getpgid")
int loader_well(void *context)
{
	(void)context;
	return 0;
}

SEC("tp/syscalls/sys_exit_getpgid")
int loader_broken(void *context)
{
	(void)context;
	/* A pointer out of nothing. */
	return *(volatile int *)(bpf_get_current_pid_tgid() + 4096);
}
