/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The frame of an object that must be refused for one thing alone in its metric map. */
#ifndef METRIC_REFUSED_BPF_H
#define METRIC_REFUSED_BPF_H

#include "program.bpf.h"

PROGRAM("Must be refused");

#define REFUSED_MAP(map_type, entries, key_type, value_type, ...)                                  \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_##map_type);                                             \
		__uint(max_entries, entries);                                                      \
		__type(key, key_type);                                                             \
		__type(value, value_type);                                                         \
	} demo SEC(".maps") __VA_ARGS__

struct refused_key {
	__u32 pid;
};

struct refused_value {
	__u64 calls;
};

/* A map whose value has these members. */
#define REFUSED_VALUE(...)                                                                         \
	struct refused_members {                                                                   \
		__VA_ARGS__                                                                        \
	};                                                                                         \
	REFUSED_MAP(HASH, 16, struct refused_key, struct refused_members, METRIC_TYPE("counter"))

/* One whose key has these. */
#define REFUSED_KEY(...)                                                                           \
	struct refused_labels {                                                                    \
		__VA_ARGS__                                                                        \
	};                                                                                         \
	REFUSED_MAP(HASH, 16, struct refused_labels, struct refused_value, METRIC_TYPE("counter"))

#endif
