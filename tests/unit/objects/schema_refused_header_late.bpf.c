/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "program.bpf.h"

PROGRAM("Must be refused");

struct demo_event {
	__u64 value;
	struct event_header header;
};

STREAM(demo, struct demo_event);
