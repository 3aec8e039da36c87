/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "metric_refused.bpf.h"

REFUSED_VALUE(__u64 calls METRIC_COUNTER METRIC_GAUGE;);
