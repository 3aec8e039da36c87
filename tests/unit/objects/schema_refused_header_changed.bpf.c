/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "annotate.bpf.h"
#include "kernel.bpf.h"
#include <bpf/bpf_helpers.h>

PROGRAM("Must be refused");

/* Not the SDK's: pid and tid have changed places. */
struct event_header {
	__u64 timestamp;
	__u32 tid;
	__u32 pid;
	__u64 uid_and_reserved;
	__u64 cgroup_id;
	char command[16];
};

struct demo_event {
	struct event_header header;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
	__type(value, struct demo_event);
} demo SEC(".maps") ANNOTATION("stream");
