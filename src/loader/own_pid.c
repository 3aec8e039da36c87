/* SPDX-License-Identifier: MIT */
#include "loader/own_pid.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/memory.h"

/* PROC_PID_INIT_INO, include/linux/proc_ns.h: the same in every kernel. */
#define INITIAL_PID_NAMESPACE 0xEFFFFFFCU

/* A raw tracepoint's program that is attached nowhere: the kernel runs it once, in this process's
 * own context (bpf_prog_test_run_raw_tp(), net/bpf/test_run.c, since 5.10), and it returns whom it
 * ran in. */
static int ask_kernel(uint32_t *ret_pid)
{
	static const struct bpf_insn instructions[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_current_pid_tgid },
		{ .code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = BPF_REG_0, .imm = 32 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_test_run_opts, run);
	CLOSE int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "own_pid", "GPL", instructions,
				     ARRAY_SIZE(instructions), NULL);

	if (fd < 0)
		return -errno;
	if (bpf_prog_test_run_opts(fd, &run) < 0)
		return -errno;
	if (run.retval == 0)
		return -ESRCH;
	*ret_pid = run.retval;
	return 0;
}

int own_pid_read(uint32_t *ret_pid)
{
	struct stat namespace;

	if (ask_kernel(ret_pid) == 0)
		return 0;
	if (stat("/proc/self/ns/pid", &namespace) < 0 || namespace.st_ino != INITIAL_PID_NAMESPACE)
		return -ENOENT;
	*ret_pid = (uint32_t)getpid();
	return 0;
}
