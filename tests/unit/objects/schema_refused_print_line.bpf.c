/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "program.bpf.h"

PROGRAM("Must be refused");

struct demo_event {
	struct event_header header;
	__u64 seen;
	__u64 padding HIDDEN;
};

STREAM(demo, struct demo_event, PRINT_LINE("{pid} {seen} {padding}"));
