/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "metric_refused.bpf.h"

REFUSED_KEY(__u32 pids[2];);
