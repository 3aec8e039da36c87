/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "metric_refused.bpf.h"

REFUSED_VALUE(__u64 volume UNIT("bytes"); __u64 volume_bytes METRIC_GAUGE;);
