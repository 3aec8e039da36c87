/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "program.bpf.h"

PROGRAM("Must be refused");

struct demo_event {
	__u64 value;
};

STREAM(demo, struct demo_event);
