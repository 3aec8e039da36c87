/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "schema_refused.bpf.h"

REFUSED_EVENT(__u32 kind; __u32 value ONLY_WHEN(kind, "1|apple"););
