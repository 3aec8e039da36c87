/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "program.bpf.h"

PROGRAM("Must be refused");

struct demo_event {
	struct event_header header;
	__u64 seen;
};

STREAM(demo, struct demo_event, PRINT_OPENING("Port {api_port}, {pid}"));
