/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "metric_refused.bpf.h"

REFUSED_VALUE(__s64 calls;);
