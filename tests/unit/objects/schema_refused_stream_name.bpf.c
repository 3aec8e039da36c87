/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "program.bpf.h"

PROGRAM("Must be refused");

struct other_event {
	struct event_header header;
};

STREAM(other, struct other_event);
