/* SPDX-License-Identifier: MIT */
/* A schema made by hand for tests of what stands above the schema layer: a header, a number, and in
 * the wide form one more number. */
#ifndef TESTS_BEAT_H
#define TESTS_BEAT_H

#include "schema/schema.h"

struct beat_record {
	uint64_t timestamp;
	uint32_t pid, tid, uid, reserved;
	uint64_t cgroup_id;
	char command[16];
	uint64_t number;
	uint64_t more; /* wide form only */
};

#define BEAT_HEADER_SIZE 48
#define BEAT_SIZE 56
#define BEAT_WIDE_SIZE 64

/* Each lives for ever. `beat`, `pulse`: one program each with a stream of its own name and one
 * parameter `limit` (u32, 5). The wide one is a later form of `beat`. `both` has the streams "both"
 * and "both_more". */
extern const struct program_schema beat_schema, beat_wide_schema, pulse_schema, both_schema;

/* A record with this number; timestamps grow with it. */
struct beat_record beat_record(uint64_t number);

#endif
