/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Makes the events that a test asks for, by BPF_PROG_TEST_RUN: it is never attached. */
#include "program.bpf.h"

PROGRAM("Beats that a test asks for");

#define MOST_AT_ONCE 64

struct pipeline_beat_event {
	struct event_header header;
	__u64 number;
	__u64 inverse; /* with it a record does not divide the ring: its end cuts some */
};

STREAM(pipeline_beat, struct pipeline_beat_event);

__u64 beats;

/* arguments[0]: how many events, arguments[1]: how many to filter out first. */
SEC("raw_tp/sys_enter")
int beat(__u64 *arguments)
{
	__u64 count = arguments[0], filtered = arguments[1];

	for (__u64 i = 0; i < MOST_AT_ONCE; i++) {
		if (i < filtered)
			stream_filter_out(pipeline_beat);
	}
	for (__u64 i = 0; i < MOST_AT_ONCE; i++) {
		struct pipeline_beat_event *event;

		if (i >= count)
			break;
		event = stream_reserve(pipeline_beat, sizeof(*event));
		if (!event)
			continue;
		event_header_fill(&event->header);
		event->number = beats++;
		event->inverse = ~event->number;
		stream_submit(pipeline_beat, event, sizeof(*event));
	}
	return 0;
}
