/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The server's own processes, for programs that must not report what they cause themselves. For
 * the programs that include it: program.bpf.h does not.
 */
#ifndef OWN_BPF_H
#define OWN_BPF_H

#include "program.bpf.h"

/* Process id of the loader in the initial PID namespace, whichever one it runs in; set by itself
 * before this is loaded. 0: unknown. */
const volatile __u32 own_pid = 0;

/* Whether the current process is the loader or a child of it: the server is one, and may be started
 * again under another number. */
static __always_inline bool is_own_process(void)
{
	__u32 parent;

	if (!own_pid)
		return false;
	if ((__u32)(bpf_get_current_pid_tgid() >> 32) == own_pid)
		return true;
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
		parent = (__u32)bpf_get_current_task_btf()->real_parent->tgid;
	} else {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();

		parent = (__u32)BPF_CORE_READ(task, real_parent, tgid);
	}
	return parent == own_pid;
}

#endif
