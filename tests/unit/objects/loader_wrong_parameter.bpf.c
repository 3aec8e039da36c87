/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "program.bpf.h"

PROGRAM("Must be refused");

SEC("?tp/syscalls/sys_enter_getpgid")
int loader_enter(void *context) ONLY_WITH("sample|nothing")
{
	(void)context;
	return 0;
}
