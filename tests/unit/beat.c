/* SPDX-License-Identifier: MIT */
#include "beat.h"

#define COMMON(place, member, what)                                                                \
	.name = #member, .description = "", .unit = "", .kind = what, .index = place,              \
	.offset = offsetof(struct beat_record, member),                                            \
	.size = sizeof(((struct beat_record *)0)->member), .count = 1

static const struct field fields[] = {
	{ COMMON(HEADER_TIMESTAMP, timestamp, FIELD_INTEGER) },
	{ COMMON(HEADER_PID, pid, FIELD_INTEGER) },
	{ COMMON(HEADER_TID, tid, FIELD_INTEGER) },
	{ COMMON(HEADER_UID, uid, FIELD_INTEGER) },
	{ COMMON(HEADER_CGROUP_ID, cgroup_id, FIELD_INTEGER) },
	{ COMMON(HEADER_COMMAND, command, FIELD_STRING) },
	{ COMMON(HEADER_FIELDS, number, FIELD_INTEGER) },
	{ COMMON(HEADER_FIELDS + 1, more, FIELD_INTEGER) },
};

#define STREAM_SCHEMA(type, field_total, bytes)                                                    \
	{                                                                                          \
		.name = type, .description = "", .fields = fields, .field_count = field_total,     \
		.record_size = bytes, .minimum_size = BEAT_HEADER_SIZE, .ring_bytes = 1 << 20      \
	}

static const struct parameter limit = {
	.name = "limit",
	.description = "",
	.unit = "",
	.kind = PARAMETER_INTEGER,
	.size = 4,
	.default_value = { 5 },
};

static const struct stream_schema beat_stream = STREAM_SCHEMA("beat", 7, BEAT_SIZE);
static const struct stream_schema wide_stream = STREAM_SCHEMA("beat", 8, BEAT_WIDE_SIZE);
static const struct stream_schema pulse_stream = STREAM_SCHEMA("pulse", 7, BEAT_SIZE);
static const struct stream_schema both_streams[] = {
	STREAM_SCHEMA("both", 7, BEAT_SIZE),
	STREAM_SCHEMA("both_more", 8, BEAT_WIDE_SIZE),
};

#define PROGRAM_SCHEMA(program, first, total)                                                      \
	{                                                                                          \
		.name = program, .description = "", .streams = first, .stream_count = total,       \
		.parameters = &limit, .parameter_count = 1                                         \
	}

const struct program_schema beat_schema = PROGRAM_SCHEMA("beat", &beat_stream, 1);
const struct program_schema beat_wide_schema = PROGRAM_SCHEMA("beat", &wide_stream, 1);
const struct program_schema pulse_schema = PROGRAM_SCHEMA("pulse", &pulse_stream, 1);
const struct program_schema both_schema = PROGRAM_SCHEMA("both", both_streams, 2);

struct beat_record beat_record(uint64_t number)
{
	return (struct beat_record){
		.timestamp = 1000 + number,
		.pid = (uint32_t)(number % 100),
		.tid = (uint32_t)(number % 100),
		.cgroup_id = 1,
		.command = "beat",
		.number = number,
		.more = ~number,
	};
}
