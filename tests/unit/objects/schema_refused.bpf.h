/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The frame of an object that must be refused for one thing alone: its event's members. */
#ifndef SCHEMA_REFUSED_BPF_H
#define SCHEMA_REFUSED_BPF_H

#include "program.bpf.h"

#define REFUSED_EVENT(...)                                                                         \
	PROGRAM("Must be refused");                                                                \
	struct demo_event {                                                                        \
		struct event_header header;                                                        \
		__VA_ARGS__                                                                        \
	};                                                                                         \
	STREAM(demo, struct demo_event)

#endif
