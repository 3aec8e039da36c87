/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "metric_refused.bpf.h"

REFUSED_VALUE(__u64 calls; __u64 total METRIC_SUM_OF(calls););
