/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "metric_refused.bpf.h"

REFUSED_MAP(LPM_TRIE, 16, struct refused_key, struct refused_value, METRIC_TYPE("counter"));
