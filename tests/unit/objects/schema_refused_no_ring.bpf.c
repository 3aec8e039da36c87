/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "program.bpf.h"

PROGRAM("Must be refused");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct event_header);
} demo SEC(".maps") ANNOTATION("stream");
