/* SPDX-License-Identifier: MIT */
/* The schema of objects/schema_demo.bpf.c, and records for it made member by member or at
 * random. */
#ifndef TESTS_DEMO_STREAM_H
#define TESTS_DEMO_STREAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "schema/encode.h"
#include "schema/schema.h"

#define DEMO_RECORD_SIZE 288

struct object_file {
	uint8_t *bytes;
	size_t size;
};

static inline struct object_file object_file_read(const char *folder, const char *name)
{
	struct object_file file = { NULL, 0 };
	char path[512];
	FILE *stream;
	long size;

	snprintf(path, sizeof(path), "%s/%s.bpf.o", folder, name);
	stream = fopen(path, "rb");
	if (!stream)
		fail_msg("%s is missing", path);
	fseek(stream, 0, SEEK_END);
	size = ftell(stream);
	rewind(stream);
	file.bytes = malloc((size_t)size);
	file.size = fread(file.bytes, 1, (size_t)size, stream);
	fclose(stream);
	assert_int_equal(file.size, size);
	return file;
}

/* Reads an object that must be right. The caller frees it. */
static inline struct program_schema *schema_read(const char *folder, const char *object,
						 const char *program, const struct btf *kernel)
{
	struct object_file file = object_file_read(folder, object);
	struct program_schema *schema = NULL;
	char error[512] = "";

	if (program_schema_read(program, file.bytes, file.size, kernel, &schema, error,
				sizeof(error)))
		fail_msg("%s: %s", object, error);
	free(file.bytes);
	return schema;
}

static inline struct program_schema *demo_schema(void)
{
	return schema_read(TEST_OBJECT_DIR, "schema_demo", "demo", NULL);
}

/* A field that must be there. */
static inline const struct field *field_of(const struct stream_schema *stream, const char *name)
{
	const struct field *field = stream_schema_field(stream, name);

	if (!field)
		fail_msg("there is no field %s", name);
	return field;
}

/* Also finds hidden fields. */
static inline const struct field *any_field(const struct stream_schema *stream, const char *name)
{
	for (size_t i = 0; i < stream->field_count; i++)
		if (!strcmp(stream->fields[i].name, name))
			return &stream->fields[i];
	fail_msg("there is no field %s", name);
	return NULL;
}

static inline void set_number(const struct stream_schema *stream, uint8_t *record, const char *name,
			      uint64_t value)
{
	const struct field *field = any_field(stream, name);

	memcpy(record + field->offset, &value, field->size);
}

static inline void set_bytes(const struct stream_schema *stream, uint8_t *record, const char *name,
			     const void *bytes, size_t size)
{
	const struct field *field = any_field(stream, name);

	assert_true(size <= (size_t)field->size * field->count);
	memcpy(record + field->offset, bytes, size);
}

static inline void set_text(const struct stream_schema *stream, uint8_t *record, const char *name,
			    const char *text)
{
	const struct field *field = any_field(stream, name);

	memset(record + field->offset, 0, field->size);
	memcpy(record + field->offset, text, strnlen(text, field->size));
}

/* xorshift64: the same numbers each time. */
static inline uint64_t random_number(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Any bytes, but mostly with conditions that hold and values that have names. */
static inline void random_record(const struct stream_schema *stream, uint64_t *state,
				 uint8_t record[DEMO_RECORD_SIZE])
{
	static const uint8_t kinds[] = { 1, 4, 6, 6, 1, 200 };
	static const uint32_t colors[] = { 1, 2, 40, 40, 77 };

	for (size_t i = 0; i < DEMO_RECORD_SIZE; i++)
		record[i] = (uint8_t)random_number(state);
	set_number(stream, record, "kind", kinds[random_number(state) % sizeof(kinds)]);
	set_number(stream, record, "color", colors[random_number(state) % ARRAY_SIZE(colors)]);
	set_number(stream, record, "gate", random_number(state) % 2);
	set_number(stream, record, "itself", random_number(state) % 5);
	set_number(stream, record, "result",
		   0 - random_number(state) % (random_number(state) % 2 ? 134 : 5000));
	set_number(stream, record, "state", random_number(state) % 4);
	set_number(stream, record, "level", random_number(state) % 7 - 1);
	set_number(stream, record, "size", random_number(state) % 3 ? 77 : 80);
	set_number(stream, record, "inner_kind", random_number(state) % 5);
	if (random_number(state) % 2)
		set_bytes(stream, record, "ip", "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	if (random_number(state) % 4 == 0)
		memset(record + any_field(stream, "inner_ip")->offset + random_number(state) % 8, 0,
		       random_number(state) % 9);
}

static inline uint32_t random_length(uint64_t *state)
{
	return random_number(state) % 2 ? DEMO_RECORD_SIZE
					: 48 + (uint32_t)(random_number(state) % 241);
}

#endif
