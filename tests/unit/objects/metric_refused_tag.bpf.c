/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "metric_refused.bpf.h"

REFUSED_MAP(HASH, 16, struct refused_key, struct refused_value, ANNOTATION("metric:demo"));
