/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "metric_refused.bpf.h"

struct refused_large {
	__u64 calls;
	char text[4096];
};

REFUSED_MAP(HASH, 16, struct refused_key, struct refused_large, METRIC_TYPE("counter"));
