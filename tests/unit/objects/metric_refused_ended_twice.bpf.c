/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "metric_refused.bpf.h"

REFUSED_VALUE(__u64 calls; __u64 ended METRIC_ENDED; __u64 over METRIC_ENDED;);
