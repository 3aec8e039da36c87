/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Streams that say how they are printed, and when they have events. */
#include "program.bpf.h"

PROGRAM("Says how it is printed");

const volatile bool loud PARAMETER("More")
= false;
const volatile __u16 level PARAMETER("How much")
= 0;
const volatile char word[8] PARAMETER("Text")
= "";

struct demo_event {
	struct event_header header;
	__s32 result WITH_ERRNO(error);
	char name[12];
};

STREAM(demo, struct demo_event,
       ONLY_WITH("loud|level|word") PRINT_OPENING("Begins\n{own_pid} at {api_port}")
	       PRINT_LINE("{pid}: {name} gives {result} ({error}) {"));
STREAM(demo_plain, struct demo_event);
