/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "schema_refused.bpf.h"

struct demo_pair {
	__u32 a, b;
};

REFUSED_EVENT(struct demo_pair pairs[2];);
