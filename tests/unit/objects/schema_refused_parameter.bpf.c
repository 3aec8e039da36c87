/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "program.bpf.h"

PROGRAM("Must be refused");

__u32 writable PARAMETER("Not constant")
= 1;
