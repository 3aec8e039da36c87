/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "schema_refused.bpf.h"

REFUSED_EVENT(__u32 first : 3; __u32 rest : 29; __u32 whole;);
