/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "schema_refused.bpf.h"

REFUSED_EVENT(__u32 half FORMAT_SYMBOL; __u32 other;);
