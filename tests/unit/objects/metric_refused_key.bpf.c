/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "metric_refused.bpf.h"

REFUSED_MAP(HASH, 16, __u64, struct refused_value, METRIC_TYPE("counter"));
