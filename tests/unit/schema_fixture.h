/* SPDX-License-Identifier: MIT */
/*
 * Schemas made by hand, for tests that need no object file: one like the `connection` stream, and
 * one with the kinds of fields that it lacks. And events for both, from a generator that gives the
 * same numbers each time.
 */
#ifndef TESTS_SCHEMA_FIXTURE_H
#define TESTS_SCHEMA_FIXTURE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "schema/schema.h"

struct fixture_header {
	uint64_t timestamp;
	uint32_t pid, tid, uid, reserved;
	uint64_t cgroup_id;
	char command[16];
};

struct fixture_connection {
	struct fixture_header header;
	uint64_t duration_ns;
	int32_t return_code;
	uint16_t protocol;
	uint16_t address_family;
	uint8_t socket_type;
	uint8_t reserved;
	uint16_t destination_port;
	uint32_t reserved_before_ip;
	uint8_t destination_ip[16];
	char destination_path[108];
	uint32_t reserved_end;
};

enum { FIXTURE_UNIX = 1, FIXTURE_INET = 2, FIXTURE_INET6 = 10 };

/* Indices of the stored fields. */
enum {
	CONNECTION_DURATION = HEADER_FIELDS,
	CONNECTION_RETURN_CODE,
	CONNECTION_ERROR, /* derived */
	CONNECTION_PROTOCOL,
	CONNECTION_FAMILY,
	CONNECTION_SOCKET_TYPE,
	CONNECTION_PORT,
	CONNECTION_IP,
	CONNECTION_ENDPOINT, /* derived */
	CONNECTION_PATH,
	CONNECTION_FIELDS,
};

#define FIXTURE_AT(type, member)                                                                   \
	.offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member)
#define FIXTURE_PLAIN(position, field_name, field_kind)                                            \
	.index = (position), .name = (field_name), .description = "", .unit = "",                  \
	.kind = (field_kind)
#define FIXTURE_FIELD(position, field_name, field_kind, type, member)                              \
	[position] = { FIXTURE_PLAIN(position, field_name, field_kind), FIXTURE_AT(type, member),  \
		       .count = 1 }
#define FIXTURE_HEADER(type)                                                                       \
	FIXTURE_FIELD(HEADER_TIMESTAMP, "timestamp", FIELD_INTEGER, type, header.timestamp),       \
		FIXTURE_FIELD(HEADER_PID, "pid", FIELD_INTEGER, type, header.pid),                 \
		FIXTURE_FIELD(HEADER_TID, "tid", FIELD_INTEGER, type, header.tid),                 \
		FIXTURE_FIELD(HEADER_UID, "uid", FIELD_INTEGER, type, header.uid),                 \
		FIXTURE_FIELD(HEADER_CGROUP_ID, "cgroup_id", FIELD_INTEGER, type,                  \
			      header.cgroup_id),                                                   \
		FIXTURE_FIELD(HEADER_COMMAND, "command", FIELD_STRING, type, header.command)

static const struct field fixture_connection_fields[CONNECTION_FIELDS] = {
	FIXTURE_HEADER(fixture_connection),
	FIXTURE_FIELD(CONNECTION_DURATION, "duration_ns", FIELD_INTEGER, fixture_connection,
		      duration_ns),
	[CONNECTION_RETURN_CODE] = { FIXTURE_PLAIN(CONNECTION_RETURN_CODE, "return_code",
						   FIELD_INTEGER),
				     FIXTURE_AT(fixture_connection, return_code), .count = 1,
				     .is_signed = true },
	[CONNECTION_ERROR] = { FIXTURE_PLAIN(CONNECTION_ERROR, "error", FIELD_ENUM),
			       FIXTURE_AT(fixture_connection, return_code), .count = 1,
			       .is_signed = true, .derivation = FIELD_ERRNO_OF,
			       .source = CONNECTION_RETURN_CODE },
	FIXTURE_FIELD(CONNECTION_PROTOCOL, "protocol", FIELD_INTEGER, fixture_connection, protocol),
	FIXTURE_FIELD(CONNECTION_FAMILY, "address_family", FIELD_INTEGER, fixture_connection,
		      address_family),
	FIXTURE_FIELD(CONNECTION_SOCKET_TYPE, "socket_type", FIELD_INTEGER, fixture_connection,
		      socket_type),
	[CONNECTION_PORT] = { FIXTURE_PLAIN(CONNECTION_PORT, "destination_port", FIELD_INTEGER),
			      FIXTURE_AT(fixture_connection, destination_port), .count = 1,
			      .has_condition = true,
			      .condition = { CONNECTION_FAMILY,
					     2,
					     { FIXTURE_INET, FIXTURE_INET6 } } },
	[CONNECTION_IP] = { FIXTURE_PLAIN(CONNECTION_IP, "destination_ip", FIELD_IP),
			    FIXTURE_AT(fixture_connection, destination_ip), .count = 1,
			    .has_condition = true,
			    .condition = { CONNECTION_FAMILY,
					   2,
					   { FIXTURE_INET, FIXTURE_INET6 } } },
	[CONNECTION_ENDPOINT] = { FIXTURE_PLAIN(CONNECTION_ENDPOINT, "destination", FIELD_STRING),
				  FIXTURE_AT(fixture_connection, destination_ip), .count = 1,
				  .derivation = FIELD_ENDPOINT_OF, .source = CONNECTION_IP,
				  .port = CONNECTION_PORT, .path = CONNECTION_PATH },
	[CONNECTION_PATH] = { FIXTURE_PLAIN(CONNECTION_PATH, "destination_path", FIELD_STRING),
			      FIXTURE_AT(fixture_connection, destination_path), .count = 1,
			      .has_condition = true,
			      .condition = { CONNECTION_FAMILY, 1, { FIXTURE_UNIX } } },
};

static const struct stream_schema fixture_connection_schema = {
	.name = "connection",
	.description = "Connection attempts",
	.fields = fixture_connection_fields,
	.field_count = CONNECTION_FIELDS,
	.record_size = sizeof(struct fixture_connection),
	.minimum_size = sizeof(struct fixture_header),
	.ring_bytes = 4 << 20,
};

/* Every other kind and width. */
struct fixture_misc {
	struct fixture_header header;
	int64_t balance;
	uint64_t location;
	int16_t depth;
	int8_t level;
	uint8_t watched;
	uint32_t counts[3];
	uint8_t mac[6];
	uint8_t source[4];
	uint8_t payload[20];
	char note[24];
	uint16_t codes[2];
	uint8_t reserved[2];
};

enum {
	MISC_BALANCE = HEADER_FIELDS,
	MISC_LOCATION,
	MISC_DEPTH,
	MISC_LEVEL,
	MISC_WATCHED,
	MISC_COUNTS,
	MISC_MAC,
	MISC_SOURCE,
	MISC_PAYLOAD,
	MISC_NOTE,
	MISC_CODES,
	MISC_FIELDS,
};

#define FIXTURE_SIGNED(position, field_name, member)                                               \
	[position] = { FIXTURE_PLAIN(position, field_name, FIELD_INTEGER),                         \
		       FIXTURE_AT(fixture_misc, member), .count = 1, .is_signed = true }
#define FIXTURE_LIST(position, field_name, member)                                                 \
	[position] = { FIXTURE_PLAIN(position, field_name, FIELD_INTEGER),                         \
		       .offset = offsetof(struct fixture_misc, member),                            \
		       .size = sizeof(((struct fixture_misc *)0)->member[0]),                      \
		       .count = sizeof(((struct fixture_misc *)0)->member) /                       \
				sizeof(((struct fixture_misc *)0)->member[0]) }

static const struct field fixture_misc_fields[MISC_FIELDS] = {
	FIXTURE_HEADER(fixture_misc),
	FIXTURE_SIGNED(MISC_BALANCE, "balance", balance),
	FIXTURE_FIELD(MISC_LOCATION, "location", FIELD_SYMBOL, fixture_misc, location),
	FIXTURE_SIGNED(MISC_DEPTH, "depth", depth),
	FIXTURE_SIGNED(MISC_LEVEL, "level", level),
	FIXTURE_FIELD(MISC_WATCHED, "watched", FIELD_BOOLEAN, fixture_misc, watched),
	FIXTURE_LIST(MISC_COUNTS, "counts", counts),
	FIXTURE_FIELD(MISC_MAC, "mac", FIELD_MAC, fixture_misc, mac),
	FIXTURE_FIELD(MISC_SOURCE, "source", FIELD_IP, fixture_misc, source),
	FIXTURE_FIELD(MISC_PAYLOAD, "payload", FIELD_BYTES, fixture_misc, payload),
	FIXTURE_FIELD(MISC_NOTE, "note", FIELD_STRING, fixture_misc, note),
	FIXTURE_LIST(MISC_CODES, "codes", codes),
};

static const struct stream_schema fixture_misc_schema = {
	.name = "misc",
	.description = "Every other kind of field",
	.fields = fixture_misc_fields,
	.field_count = MISC_FIELDS,
	.record_size = sizeof(struct fixture_misc),
	.minimum_size = sizeof(struct fixture_header),
	.ring_bytes = 1 << 20,
};

/* ---- numbers and events ---- */

struct fixture_random {
	uint64_t state; /* not 0 */
};

static inline uint64_t fixture_next(struct fixture_random *random)
{
	/* xorshift64* */
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return random->state * 0x2545f4914f6cdd1dULL;
}

static inline uint64_t fixture_below(struct fixture_random *random, uint64_t limit)
{
	return (fixture_next(random) >> 11) % limit;
}

static inline void fixture_header(struct fixture_random *random, uint64_t timestamp,
				  uint32_t processes, struct fixture_header *header)
{
	static const char *const commands[] = { "curl",	 "sshd",    "postgres", "nginx",
						"redis", "systemd", "node",	"fifteen-letters" };
	const uint32_t process = (uint32_t)fixture_below(random, processes);

	*header = (struct fixture_header){
		.timestamp = timestamp,
		.pid = 1000 + 37 * process,
		.tid = 1000 + 37 * process + (uint32_t)fixture_below(random, 4),
		.uid = process % 3 ? 1000 : 0,
		.cgroup_id = 0x100000000ULL + 7919ULL * (process % 12),
	};
	/* What stands behind the text is not part of it. */
	memset(header->command, (int)fixture_below(random, 256), sizeof(header->command));
	memcpy(header->command, commands[process % 8], strlen(commands[process % 8]) + 1);
}

/* An event of a machine with `processes` that connect, mostly by IPv4. Returns its length. */
static inline uint32_t fixture_connection_event(struct fixture_random *random, uint64_t timestamp,
						uint32_t processes,
						struct fixture_connection *event)
{
	static const uint16_t ports[] = { 443, 80, 5432, 6379, 53, 22, 8080, 9090 };
	const uint64_t dice = fixture_below(random, 100);

	memset(event, 0, sizeof(*event));
	fixture_header(random, timestamp, processes, &event->header);
	event->duration_ns = 1500 + (fixture_next(random) >> (40 + fixture_below(random, 16)));
	event->return_code = dice % 10 ? 0 : dice % 20 ? -111 : -115;
	event->socket_type = dice % 5 ? 1 : 2;
	if (dice < 4) { /* the address could not be read */
		event->protocol = 6;
		event->address_family = FIXTURE_INET;
		return offsetof(struct fixture_connection, destination_port);
	}
	if (dice < 14) {
		event->address_family = FIXTURE_UNIX;
		memcpy(event->destination_path, "/run/service-", 13);
		event->destination_path[13] = (char)('a' + fixture_below(random, 20));
		return sizeof(*event);
	}
	event->protocol = dice % 5 ? 6 : 17;
	event->destination_port = ports[fixture_below(random, 8)];
	event->address_family = dice < 24 ? FIXTURE_INET6 : FIXTURE_INET;
	if (dice < 24) {
		memcpy(event->destination_ip, "\x20\x01\x0d\xb8", 4);
	} else {
		memset(event->destination_ip + 10, 0xff, 2);
		event->destination_ip[12] = 10;
	}
	event->destination_ip[15] = (uint8_t)fixture_below(random, 200);
	return offsetof(struct fixture_connection, destination_path);
}

/* One process that connects to one place as fast as it can. */
static inline uint32_t fixture_storm_event(struct fixture_random *random, uint64_t timestamp,
					   struct fixture_connection *event)
{
	memset(event, 0, sizeof(*event));
	event->header = (struct fixture_header){ .timestamp = timestamp,
						 .pid = 4242,
						 .tid = 4242,
						 .uid = 1000,
						 .cgroup_id = 0x1234567,
						 .command = "storm" };
	event->duration_ns = 900 + fixture_below(random, 3000);
	event->return_code = -111;
	event->protocol = 6;
	event->address_family = FIXTURE_INET;
	event->socket_type = 1;
	event->destination_port = 1;
	memset(event->destination_ip + 10, 0xff, 2);
	event->destination_ip[12] = 127;
	event->destination_ip[15] = 1;
	return offsetof(struct fixture_connection, destination_path);
}

/* Values of all sizes; `variety` is about how many different ones a field has. */
static inline uint32_t fixture_misc_event(struct fixture_random *random, uint64_t timestamp,
					  uint32_t variety, struct fixture_misc *event)
{
	const uint64_t dice = fixture_below(random, variety);

	memset(event, 0, sizeof(*event));
	fixture_header(random, timestamp, variety, &event->header);
	event->balance = (int64_t)(dice * dice * dice * 0x9e3779b9ULL) * (dice % 2 ? 1 : -1);
	event->location = 0xffffffff81000000ULL + 64 * fixture_below(random, variety);
	event->depth = (int16_t)fixture_below(random, variety);
	event->level = (int8_t)fixture_below(random, variety);
	event->watched = fixture_below(random, 2) != 0;
	for (size_t i = 0; i < 3; i++)
		event->counts[i] = (uint32_t)fixture_below(random, variety % 20 + 1);
	event->mac[5] = (uint8_t)fixture_below(random, variety);
	event->source[0] = 192;
	event->source[3] = (uint8_t)fixture_below(random, variety);
	event->payload[0] = (uint8_t)fixture_below(random, variety);
	event->payload[19] = (uint8_t)(dice >> 8);
	memset(event->note, 'n', fixture_below(random, sizeof(event->note) + 1));
	event->codes[0] = (uint16_t)fixture_below(random, variety);
	/* Some end early, some in the middle of a field. */
	if (dice % 4)
		return sizeof(*event);
	return (uint32_t)(sizeof(event->header) +
			  fixture_below(random, sizeof(*event) - sizeof(event->header) + 1));
}

#endif
