/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The system calls that are looked at, and their numbers. */
#ifndef CALLS_BPF_H
#define CALLS_BPF_H

#include "syscall.bpf.h"

/* As users see them. Odd ones read, even ones write. */
enum call {
	CALL_read = 1,
	CALL_write,
	CALL_readv,
	CALL_writev,
	CALL_pread64,
	CALL_pwrite64,
	CALL_preadv,
	CALL_pwritev,
	CALL_preadv2,
	CALL_pwritev2,
};
#define NO_CALL ((enum call)0)
#define LAST_PLAIN_CALL CALL_write
#define LAST_CALL CALL_pwritev2

static __always_inline bool call_writes(enum call call)
{
	return !(call & 1);
}

/*
 * CALL(name, number, number in the 32-bit interface): no number of one interface stands for another
 * of these calls in the other one. Sources: arch/x86/entry/syscalls/syscall_{64,32}.tbl,
 * include/uapi/asm-generic/unistd.h, arch/arm/tools/syscall.tbl.
 */
#define NO_NUMBER (-1)
#if defined(__TARGET_ARCH_x86)
#define PLAIN_CALLS(CALL) CALL(read, 0, 3) CALL(write, 1, 4)
#define OTHER_CALLS(CALL)                                                                          \
	CALL(readv, 19, 145)                                                                       \
	CALL(writev, 20, 146)                                                                      \
	CALL(pread64, 17, 180)                                                                     \
	CALL(pwrite64, 18, 181)                                                                    \
	CALL(preadv, 295, 333)                                                                     \
	CALL(pwritev, 296, 334)                                                                    \
	CALL(preadv2, 327, 378)                                                                    \
	CALL(pwritev2, 328, 379)
#elif defined(__TARGET_ARCH_arm64)
#define PLAIN_CALLS(CALL) CALL(read, 63, 3) CALL(write, 64, 4)
#define OTHER_CALLS(CALL)                                                                          \
	CALL(readv, 65, 145)                                                                       \
	CALL(writev, 66, 146)                                                                      \
	CALL(pread64, 67, 180)                                                                     \
	CALL(pwrite64, 68, 181)                                                                    \
	CALL(preadv, 69, 361)                                                                      \
	CALL(pwritev, 70, 362)                                                                     \
	CALL(preadv2, 286, 392)                                                                    \
	CALL(pwritev2, 287, 393)
#elif defined(__TARGET_ARCH_arm)
#define PLAIN_CALLS(CALL) CALL(read, 3, NO_NUMBER) CALL(write, 4, NO_NUMBER)
#define OTHER_CALLS(CALL)                                                                          \
	CALL(readv, 145, NO_NUMBER)                                                                \
	CALL(writev, 146, NO_NUMBER)                                                               \
	CALL(pread64, 180, NO_NUMBER)                                                              \
	CALL(pwrite64, 181, NO_NUMBER)                                                             \
	CALL(preadv, 361, NO_NUMBER)                                                               \
	CALL(pwritev, 362, NO_NUMBER)                                                              \
	CALL(preadv2, 392, NO_NUMBER)                                                              \
	CALL(pwritev2, 393, NO_NUMBER)
#else /* riscv: both interfaces have the same numbers */
#define PLAIN_CALLS(CALL) CALL(read, 63, NO_NUMBER) CALL(write, 64, NO_NUMBER)
#define OTHER_CALLS(CALL)                                                                          \
	CALL(readv, 65, NO_NUMBER)                                                                 \
	CALL(writev, 66, NO_NUMBER)                                                                \
	CALL(pread64, 67, NO_NUMBER)                                                               \
	CALL(pwrite64, 68, NO_NUMBER)                                                              \
	CALL(preadv, 69, NO_NUMBER)                                                                \
	CALL(pwritev, 70, NO_NUMBER)                                                               \
	CALL(preadv2, 286, NO_NUMBER)                                                              \
	CALL(pwritev2, 287, NO_NUMBER)
#endif

/* Which of them a number is, COMPAT_NUMBER added where it is one of the 32-bit interface; 0: none.
 * Nothing is asked of the task yet: this runs at every system call of the machine. */
#define COMPAT_NUMBER 0x100u
static __always_inline __u32 call_of_number(__s64 number, bool with_variants)
{
#define CALL_IF(name, plain, compat)                                                               \
	if (number == (plain))                                                                     \
		return CALL_##name;                                                                \
	if ((compat) != NO_NUMBER && number == (compat))                                           \
		return CALL_##name | COMPAT_NUMBER;

	PLAIN_CALLS(CALL_IF)
	if (!with_variants)
		return 0;
	OTHER_CALLS(CALL_IF)
	return 0;
#undef CALL_IF
}

/* The call, or NO_CALL when the number means another one to who makes it. */
static __always_inline enum call call_of(__u32 numbered, const struct syscall_caller *caller)
{
	if (caller->is_compat != !!(numbered & COMPAT_NUMBER))
		return NO_CALL;
	return (enum call)(numbered & ~COMPAT_NUMBER);
}

#endif
