/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "schema_refused.bpf.h"

REFUSED_EVENT(__s32 result WITH_ERRNO(error); __u32 error;);
