/* SPDX-License-Identifier: MIT */
/*
 * What the running kernel can do, asked before bpf(2) says no in a way that nobody understands.
 * Privileged; loader process only; one thread.
 */
#ifndef LOADER_KERNEL_FEATURES_H
#define LOADER_KERNEL_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

struct kernel_features {
	char *btf_strings; /* of the kernel's BTF: "\0name\0name…" */
	size_t btf_strings_size;
	bool btf_asked;
	bool tracefs_ours;   /* mounted by us */
	bool tracefs_failed; /* cannot be mounted */
};

/* Whether this process and this kernel can run programs at all. 0, or -errno with one line in
 * `error` that says what to do: -EPERM privileges, -ENOSYS no bpf(2), -ENOENT no BTF. */
int kernel_check(char *error, size_t error_size);

void kernel_features_init(struct kernel_features *kernel);
/* Frees, and unmounts what was mounted; may be used again. */
void kernel_features_fini(struct kernel_features *kernel);
/* Frees what can be read again; for after a batch of questions. */
void kernel_features_trim(struct kernel_features *kernel);

/* False only when nothing in the kernel's BTF has this name: functions are there under their own,
 * tracepoints as "btf_trace_NAME". */
bool kernel_has_btf_name(struct kernel_features *kernel, const char *name);
/*
 * Where tracefs is mounted, or NULL. Mounts it when it is missing, in a mount namespace of this
 * process's own where the kernel allows that: it then goes with the process, however that ends.
 */
const char *kernel_tracefs(struct kernel_features *kernel);
/* "syscalls/sys_enter_connect". */
bool kernel_has_tracepoint(struct kernel_features *kernel, const char *name);
bool kernel_has_kprobes(struct kernel_features *kernel);

/* Returns when every function that was running at the time of the call, on any CPU, has ended. */
void kernel_synchronize(void);

#endif
