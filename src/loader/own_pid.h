/* SPDX-License-Identifier: MIT */
/* The calling process's id as eBPF programs see it: in the initial PID namespace, whichever one it
 * runs in itself. */
#ifndef LOADER_OWN_PID_H
#define LOADER_OWN_PID_H

#include <stdint.h>

/* Privileged. 0, or -errno where it cannot be known: -ENOENT in another PID namespace of a kernel
 * that runs no test programs (before 5.10). */
int own_pid_read(uint32_t *ret_pid);

#endif
