/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* No rank of its group exists anywhere; the other function would attach. */
#include "program.bpf.h"

PROGRAM("Has no hook on any kernel");

SEC("?tp_btf/loader_no_such_tracepoint")
int loader_first(void *context) RANKED(only, 1)
{
	(void)context;
	return 0;
}

SEC("?tp/syscalls/sys_enter_loader_no_such_call")
int loader_last(void *context) RANKED(only, 2)
{
	(void)context;
	return 0;
}

SEC("tp/syscalls/sys_enter_getpgid")
int loader_beside(void *context)
{
	(void)context;
	return 0;
}
