/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The program SDK: all that a program includes. docs/architecture.md shows how the parts fit. */
#ifndef PROGRAM_BPF_H
#define PROGRAM_BPF_H

/* libbpf's headers need the kernel's types before them: the order matters. */
/* clang-format off */
#include "kernel.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "annotate.bpf.h"
#include "event.bpf.h"
#include "filter.bpf.h"
#include "metric.bpf.h"
#include "network.bpf.h"
#include "packet.bpf.h"
#include "socket.bpf.h"
#include "interface.bpf.h"
/* clang-format on */

#endif
