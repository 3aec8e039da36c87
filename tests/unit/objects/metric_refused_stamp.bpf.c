/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "metric_refused.bpf.h"

struct refused_named {
	char comm[16] METRIC_LABEL;
	__u64 calls;
};

REFUSED_MAP(PERCPU_HASH, 16, struct refused_key, struct refused_named, METRIC_TYPE("counter"));
