/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "schema_refused.bpf.h"

REFUSED_EVENT(union {
	__u64 a;
	__u32 b;
} either;);
