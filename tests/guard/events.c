/* SPDX-License-Identifier: MIT */
#include "events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "loader/registry.h"

void require(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "guard: %s\n", what);
	exit(EXIT_FAILURE);
}

struct program_schema *events_schema(const char *program)
{
	struct program_schema *schema = NULL;
	char error[512] = "no such program is built in";

	for (size_t i = 0; i < embedded_object_count; i++) {
		const struct embedded_object *object = &embedded_objects[i];

		if (!strcmp(object->name, program))
			program_schema_read(program, object->bytes, object->size, NULL, &schema,
					    error, sizeof(error));
	}
	require(schema != NULL, error);
	require(schema->streams[0].record_size <= EVENTS_MAX_RECORD,
		"a record is longer than EVENTS_MAX_RECORD");
	return schema;
}

static const struct field *field_of(const struct stream_schema *stream, const char *name)
{
	const struct field *field = stream_schema_field(stream, name);

	require(field != NULL, name);
	return field;
}

static void set_number(const struct stream_schema *stream, uint8_t *record, const char *name,
		       uint64_t value)
{
	const struct field *field = field_of(stream, name);

	memcpy(record + field->offset, &value, field->size);
}

static void set_text(const struct stream_schema *stream, uint8_t *record, const char *name,
		     const char *text)
{
	const struct field *field = field_of(stream, name);

	memcpy(record + field->offset, text, strnlen(text, field->size));
}

static void set_ipv4(const struct stream_schema *stream, uint8_t *record, const char *name,
		     uint8_t last)
{
	const uint8_t address[16] = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = last };

	memcpy(record + field_of(stream, name)->offset, address, sizeof(address));
}

/* splitmix64: as good as random, and known from the number alone. */
static uint64_t mixed(uint64_t number)
{
	number = (number + 1) * 0x9e3779b97f4a7c15ULL;
	number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9ULL;
	number = (number ^ (number >> 27)) * 0x94d049bb133111ebULL;
	return number ^ (number >> 31);
}

static void set_header(const struct stream_schema *stream, uint8_t *record, uint64_t number,
		       uint32_t process)
{
	static const char *const commands[EVENTS_COMMANDS] = {
		"curl", "sshd", "postgres", "nginx", "redis", "systemd", "node", "fifteen-letters"
	};

	memset(record, 0, stream->record_size);
	set_number(stream, record, "timestamp", EVENTS_START + EVENTS_DISTANCE * number);
	set_number(stream, record, "pid", EVENTS_PID(process));
	set_number(stream, record, "tid", EVENTS_PID(process) + number % 4);
	set_number(stream, record, "uid", process % 3 ? 1000 : 0);
	set_number(stream, record, "cgroup_id", 0x1000 + process % 12);
	set_text(stream, record, "command", commands[process % EVENTS_COMMANDS]);
}

uint32_t events_connection(const struct stream_schema *stream, uint64_t number,
			   uint8_t record[EVENTS_MAX_RECORD])
{
	static const uint16_t ports[] = { 443, 80, 5432, 6379, 53, 22, 8080, 9090 };
	const uint64_t random = mixed(number);

	set_header(stream, record, number, (uint32_t)(random % EVENTS_PROCESSES));
	set_number(stream, record, "duration_ns", 1500 + (random >> 48));
	set_number(stream, record, "return_code", random % 10 ? 0 : (uint64_t)-111);
	set_number(stream, record, "socket_type", 1);
	if (random >> 8 & 15) {
		set_number(stream, record, "protocol", 6);
		set_number(stream, record, "address_family", 2);
		set_number(stream, record, "destination_port", ports[random >> 16 & 7]);
		set_ipv4(stream, record, "destination_ip", (uint8_t)(random >> 24));
		return field_of(stream, "destination_path")->offset;
	}
	set_number(stream, record, "address_family", 1);
	set_text(stream, record, "destination_path", "/run/postgresql/.s.PGSQL.5432");
	return stream->record_size;
}

uint32_t events_packet_drop(const struct stream_schema *stream, uint64_t number,
			    uint8_t record[EVENTS_MAX_RECORD])
{
	const uint64_t random = mixed(number);

	set_header(stream, record, number, (uint32_t)(random % EVENTS_PROCESSES));
	set_number(stream, record, "location", EVENTS_DROP_ADDRESS + 66);
	set_number(stream, record, "drop_reason", 3);
	set_number(stream, record, "skb_length", 60);
	set_number(stream, record, "packet_size_bytes", 60);
	set_number(stream, record, "network_namespace", 4026531840);
	set_text(stream, record, "interface", "eth0");
	set_number(stream, record, "ether_type", 0x0800);
	set_number(stream, record, "protocol", 6);
	set_ipv4(stream, record, "source_ip", 1);
	set_ipv4(stream, record, "destination_ip", (uint8_t)(random >> 24));
	set_number(stream, record, "source_port", 32768 + (random >> 50));
	set_number(stream, record, "destination_port", 443);
	return stream->record_size;
}
