/* SPDX-License-Identifier: MIT */
/* Records of the demo stream with a known value in each member, and what they look like encoded. */
#ifndef TESTS_ENCODE_FIXTURE_H
#define TESTS_ENCODE_FIXTURE_H

#include "demo_stream.h"

/* base/json.h has inline functions of these names; jansson's own are not needed here. */
#define json_string jansson_string
#define json_null jansson_null
#include <jansson.h>
#undef json_string
#undef json_null

#include "schema/value.h"

static struct program_schema *demo;
static const struct stream_schema *stream;

static const struct encoding plain = { .boot_to_real = 1700000000000000000,
				       .boot_epoch = 0x6553f100 };

static inline int set_up(void **state)
{
	(void)state;
	demo = demo_schema();
	stream = &demo->streams[0];
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	program_schema_free(demo);
	return 0;
}

static inline struct event event_of(const uint8_t *record, uint32_t length)
{
	return (struct event){ .schema = stream,
			       .record = record,
			       .length = length,
			       .stream = 3,
			       .index = 0x1122334455,
			       .timestamp = field_load_ordered(record, 8, false) };
}

/* NUL-terminated; the caller frees it. */
static inline char *json_of(const struct event *event, const struct encoding *encoding)
{
	BUFFER out = BUFFER_INIT;
	struct json json;

	json_init(&json, &out);
	event_encode_json(event, encoding, &json);
	return buffer_take_string(&out);
}

static inline char *text_of(const struct event *event, const char *name,
			    const struct encoding *encoding)
{
	BUFFER out = BUFFER_INIT;

	field_encode_text(event, field_of(event->schema, name), encoding, &out);
	return buffer_take_string(&out);
}

/* A record with a known value in each member. */
static inline void fill(uint8_t record[DEMO_RECORD_SIZE])
{
	static const int16_t list[] = { -1, 0, 32767 };
	static const uint64_t wide[] = { 0, UINT64_MAX };

	memset(record, 0, DEMO_RECORD_SIZE);
	set_number(stream, record, "timestamp", 123456789012);
	set_number(stream, record, "pid", 4294967295);
	set_number(stream, record, "tid", 12);
	set_number(stream, record, "uid", 1000);
	set_number(stream, record, "cgroup_id", 9007199254740993);
	set_text(stream, record, "command", "sh");
	set_number(stream, record, "duration", UINT64_MAX);
	set_number(stream, record, "delta", (uint64_t)INT64_MIN);
	set_number(stream, record, "location", 0xffffffff81000010);
	set_number(stream, record, "flags", 0xabc);
	set_number(stream, record, "size", 1500);
	set_number(stream, record, "result", (uint64_t)-111);
	set_number(stream, record, "color", 2);
	set_number(stream, record, "level", (uint64_t)-1);
	set_number(stream, record, "state", 9);
	set_number(stream, record, "nameless", 5);
	set_number(stream, record, "ok", 1);
	set_number(stream, record, "kind", 4);
	set_number(stream, record, "small", (uint64_t)-300);
	set_number(stream, record, "alone", 7);
	set_bytes(stream, record, "mac", "\x52\x54\x00\xab\xcd\xef", 6);
	set_bytes(stream, record, "ip4", "\x7f\x00\x00\x01", 4);
	set_bytes(stream, record, "ip", "\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\xff", 16);
	set_number(stream, record, "port", 443);
	set_bytes(stream, record, "digest", "\xde\xad\xbe\xef", 4);
	set_bytes(stream, record, "token", "\x00\x0f\xf0\xff", 4);
	set_bytes(stream, record, "list", list, sizeof(list));
	set_bytes(stream, record, "wide", wide, sizeof(wide));
	set_bytes(stream, record, "inner_ip", "\x20\x01\x0d\xb8", 4);
	set_number(stream, record, "inner_port", 53);
	set_number(stream, record, "inner_kind", 3);
	set_number(stream, record, "inner_only_inner", 31);
	set_number(stream, record, "anonymous_member", 32);
	set_number(stream, record, "last", 33);
}

/* The id of its event. */
#define ID_OF_FILL "6553f100-000001cbe991a14-0322334455"

#endif
