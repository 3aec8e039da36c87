/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Members that are null when they are zero. It is read, never loaded. */
#include "program.bpf.h"

PROGRAM("Members that may be absent");

enum absent_reason { REASON_FIRST = 1, REASON_SECOND = 2 };

struct absent_event {
	struct event_header header;
	__u32 number NULL_IF_ZERO;
	enum absent_reason reason NULL_IF_ZERO WITH_CODE(reason_code);
	char text[16] NULL_IF_ZERO;
	__u8 ip[16] FORMAT_IP NULL_IF_ZERO;
};

STREAM(absent, struct absent_event);
