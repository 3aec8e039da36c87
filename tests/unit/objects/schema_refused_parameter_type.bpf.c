/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "program.bpf.h"

PROGRAM("Must be refused");

const volatile __u32 many[4] PARAMETER("No text")
= { 1 };
