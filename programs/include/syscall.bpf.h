/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the raw tracepoints sys_enter and sys_exit know of a system call, on every architecture. For
 * the programs that include it: program.bpf.h does not.
 */
#ifndef SYSCALL_BPF_H
#define SYSCALL_BPF_H

#include "program.bpf.h"

/* Its number, at entry and at exit alike. */
static __always_inline __s64 syscall_number(const struct pt_regs *registers)
{
#if defined(__TARGET_ARCH_x86)
	return (__s32)registers->orig_ax;
#elif defined(__TARGET_ARCH_arm64)
	return registers->syscallno;
#elif defined(__TARGET_ARCH_arm)
	return (__s32)registers->uregs[7];
#else
	return (__s32)registers->a7;
#endif
}

/*
 * What is known of the task that makes a call, read at one go: each question to a helper costs the
 * call some nanoseconds.
 */
struct syscall_caller {
	__u32 pid;
	/* The call came through the 32-bit interface of a 64-bit kernel, which has numbers of its
	 * own: of a 32-bit process, or by int 0x80 of any other one. */
	bool is_compat;
	__u64 started; /* the process, boot ns: process ids come again */
};

static __always_inline bool thread_is_compat(const struct thread_info *info)
{
#if defined(__TARGET_ARCH_x86)
	return info->status & 2; /* TS_COMPAT, arch/x86/include/asm/thread_info.h */
#elif defined(__TARGET_ARCH_arm64)
	return info->flags & 1UL << 22; /* TIF_32BIT, arch/arm64/include/asm/thread_info.h */
#else
	/* riscv numbers both interfaces alike; arm has one. */
	(void)info;
	return false;
#endif
}

static __always_inline struct syscall_caller syscall_caller(void)
{
	struct syscall_caller caller = {};

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
		const struct task_struct *task = bpf_get_current_task_btf();

		caller.pid = (__u32)task->tgid;
		caller.started = task->group_leader->start_boottime;
		caller.is_compat = thread_is_compat(&task->thread_info);
	} else {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();
		struct thread_info info;

		info.flags = BPF_CORE_READ(task, thread_info.flags);
#if defined(__TARGET_ARCH_x86)
		info.status = BPF_CORE_READ(task, thread_info.status);
#endif
		caller.pid = (__u32)BPF_CORE_READ(task, tgid);
		caller.started = BPF_CORE_READ(task, group_leader, start_boottime);
		caller.is_compat = thread_is_compat(&info);
	}
	return caller;
}

/* Its first argument, at entry and at exit alike. */
static __always_inline __u64 syscall_first_argument(const struct pt_regs *registers, bool is_compat)
{
	(void)is_compat;
#if defined(__TARGET_ARCH_x86)
	return is_compat ? (__u32)registers->bx : registers->di;
#elif defined(__TARGET_ARCH_arm64)
	return registers->orig_x0;
#elif defined(__TARGET_ARCH_arm)
	return registers->uregs[17];
#else
	return registers->orig_a0;
#endif
}

#endif
