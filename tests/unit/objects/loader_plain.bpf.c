/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* One needed function, parameters of several kinds, a stream: an event for each getpgid(2) of one
 * process, which shows what the constants were. */
#include "program.bpf.h"

PROGRAM("Tells what its parameters were");

const volatile __u32 loader_pid PARAMETER("The process to listen to")
= 0;
const volatile __u64 loader_mark PARAMETER("Comes back in the event")
= 11;
const volatile char loader_word[8] PARAMETER("Comes back in the event")
= "none";

struct loader_plain_event {
	struct event_header header;
	__u64 mark;
	__u32 wakeup_bytes;
	char word[8];
	__u32 reserved HIDDEN;
};

STREAM(loader_plain, struct loader_plain_event);

SEC("tp/syscalls/sys_enter_getpgid")
int loader_getpgid(void *context)
{
	struct loader_plain_event *event;

	(void)context;
	if ((__u32)(bpf_get_current_pid_tgid() >> 32) != loader_pid)
		return 0;
	event = stream_reserve(loader_plain, sizeof(*event));
	if (!event)
		return 0;
	event_header_fill(&event->header);
	event->mark = loader_mark;
	event->wakeup_bytes = loader_plain_wakeup_bytes;
	for (unsigned int i = 0; i < sizeof(event->word); i++)
		event->word[i] = loader_word[i];
	event->reserved = 0;
	stream_submit(loader_plain, event, sizeof(*event));
	return 0;
}
