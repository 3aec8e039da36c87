/* SPDX-License-Identifier: MIT */
#include "schema/schema.h"

#include <linux/bpf.h>
#include <string.h>

#include "schema/arena.h"
#include "schema/fields.h"
#include "schema/maps.h"
#include "schema/metrics.h"
#include "schema/parameters.h"
#include "schema/plan.h"
#include "schema/value.h"

struct reading {
	struct schema_source source;
	struct program_schema *schema;
	struct stream_schema *streams; /* SCHEMA_MAX_STREAMS */
};

static int check_stream(const struct reading *reading, const char *name, const struct btf_type *map)
{
	const struct schema_source *source = &reading->source;
	const char *program = reading->schema->name;

	if (!map || !btf_is_struct(map) ||
	    object_map_number(source->reader, map, "type") != BPF_MAP_TYPE_RINGBUF)
		return refuse(source->refusal, "map \"%s\" is tagged \"stream\" but no ring buffer",
			      name);
	if (!object_name_is_valid(name) || !name_belongs_to(name, program))
		return refuse(
			source->refusal,
			"stream \"%.70s\" must be named \"%s\", or \"%s_\" and something more",
			name, program, program);
	if (reading->schema->stream_count == SCHEMA_MAX_STREAMS)
		return refuse(source->refusal, "there are more than %d streams",
			      SCHEMA_MAX_STREAMS);
	return 0;
}

static int read_stream(struct reading *reading, uint32_t variable, const char *name,
		       const struct btf_type *map)
{
	const struct schema_source *source = &reading->source;
	struct stream_schema *stream = &reading->streams[reading->schema->stream_count];
	const struct btf_type *event;
	const char *description;
	uint32_t id;
	int r = check_stream(reading, name, map);

	if (r)
		return r;
	event = object_map_type(source->reader, map, "value", &id);
	if (!event || !btf_is_struct(event))
		return refuse(
			source->refusal,
			"stream \"%s\" has no struct as its value; say __type(value, struct …)",
			name);
	r = stream_fields_read(source, id, stream);
	if (r)
		return r;
	description = object_tag(source->reader, variable, WHOLE_TYPE, "description:");
	if (!description)
		description = object_tag(source->reader, id, WHOLE_TYPE, "description:");
	if (!description)
		description = reading->schema->description;
	stream->ring_bytes = object_map_number(source->reader, map, "max_entries");
	stream->name = arena_copy(source->arena, name, strlen(name));
	stream->description = arena_copy(source->arena, description, strlen(description));
	if (!stream->name || !stream->description)
		return -ENOMEM;
	stream->plan = encode_plan_new(source->arena, stream);
	if (!stream->plan)
		return -ENOMEM;
	reading->schema->stream_count++;
	return 0;
}

static int read_map(void *context, uint32_t variable, const struct btf_type *type)
{
	struct reading *reading = context;
	const struct object_reader *reader = reading->source.reader;
	const char *name = object_name(reader, type->name_off);
	const struct object_tag *tag = NULL;

	while ((tag = object_next_tag(reader, variable, WHOLE_TYPE, tag))) {
		const struct btf_type *map = object_type(reader, type->type, NULL);

		if (!strcmp(tag->text, "stream"))
			return read_stream(reading, variable, name, map);
		if (!strncmp(tag->text, METRIC_TAG, strlen(METRIC_TAG)))
			return metric_map_read(&reading->source, reading->schema,
					       &(struct map_variable){ variable, name, map,
								       tag->text });
	}
	return 0;
}

static int read_license(void *context, uint32_t variable, const struct btf_type *type)
{
	struct reading *reading = context;
	const struct object_reader *reader = reading->source.reader;
	const char *description = object_tag(reader, variable, WHOLE_TYPE, "description:");
	const char *by_default = object_tag(reader, variable, WHOLE_TYPE, "default:");

	(void)type;
	if (by_default && strcmp(by_default, "off"))
		return refuse(
			reading->source.refusal,
			"the program's tag \"default:%.40s\" is unknown; known is default:off",
			by_default);
	reading->schema->off_by_default = by_default != NULL;
	if (description)
		reading->schema->description =
			arena_copy(reading->source.arena, description, strlen(description));
	return reading->schema->description ? 0 : -ENOMEM;
}

static int read_all(struct reading *reading)
{
	const struct object_reader *reader = reading->source.reader;
	int r = object_each_variable(reader, "license", read_license, reading);

	if (!r)
		r = object_each_variable(reader, ".maps", read_map, reading);
	if (!r)
		r = parameters_read(&reading->source, reading->schema);
	return r;
}

static struct program_schema *schema_new(const char *program)
{
	CLEANUP(arena) struct arena *arena = arena_new();
	struct program_schema *schema = arena ? arena_allocate(arena, 1, sizeof(*schema)) : NULL;
	struct stream_schema *streams =
		schema ? arena_allocate(arena, SCHEMA_MAX_STREAMS, sizeof(*streams)) : NULL;

	if (!streams)
		return NULL;
	schema->name = arena_copy(arena, program, strlen(program));
	if (!schema->name)
		return NULL;
	schema->description = "";
	schema->streams = streams;
	schema->memory = TAKE(arena);
	return schema;
}

int program_schema_read(const char *program, const void *object, size_t object_size,
			const struct btf *kernel, struct program_schema **ret_schema, char *error,
			size_t error_size)
{
	const struct refusal refusal = { error, error_size };
	CLEANUP(program_schema) struct program_schema *schema = schema_new(program);
	struct object_reader reader;
	struct reading reading;
	int r;

	if (!schema)
		goto out_of_memory;
	r = object_reader_open(&reader, object, object_size, &refusal);
	if (r == -ENOMEM)
		goto out_of_memory;
	if (r)
		return r;
	reading = (struct reading){
		.source = { &reader, kernel, schema->memory, &refusal },
		.schema = schema,
		.streams = (struct stream_schema *)schema->streams,
	};
	r = read_all(&reading);
	object_reader_close(&reader);
	if (r == -ENOMEM)
		goto out_of_memory;
	if (r)
		return r;
	*ret_schema = TAKE(schema);
	return 0;

out_of_memory:
	refuse(&refusal, "out of memory");
	return -ENOMEM;
}

void program_schema_free(struct program_schema *schema)
{
	if (schema)
		arena_free(schema->memory);
}

const struct field *stream_schema_field(const struct stream_schema *stream, const char *name)
{
	for (size_t i = 0; i < stream->field_count; i++)
		if (!stream->fields[i].hidden && !strcmp(stream->fields[i].name, name))
			return &stream->fields[i];
	return NULL;
}

const struct parameter *program_schema_parameter(const struct program_schema *schema,
						 const char *name)
{
	for (size_t i = 0; i < schema->parameter_count; i++)
		if (!strcmp(schema->parameters[i].name, name))
			return &schema->parameters[i];
	return NULL;
}

static bool has_bytes(const struct field *field, size_t length)
{
	return (size_t)field->offset + (size_t)field->size * field->count <= length;
}

static bool condition_holds(const struct stream_schema *stream,
			    const struct field_condition *condition, const uint8_t *record,
			    size_t length)
{
	const struct field *field = &stream->fields[condition->field];
	uint64_t value;

	if (!has_bytes(field, length))
		return false;
	value = field_load_ordered(record + field->offset, field->size, field->is_signed);
	for (size_t i = 0; i < condition->count; i++)
		if (condition->values[i] == value)
			return true;
	return false;
}

bool field_is_zero(const struct field *field, const uint8_t *bytes)
{
	size_t size = (size_t)field->size * field->count;

	/* The first byte, and each one like the one before it. */
	return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

bool field_is_null(const struct stream_schema *stream, const struct field *field,
		   const uint8_t *record, size_t length)
{
	if (!has_bytes(field, length) ||
	    (field->zero_is_null && field_is_zero(field, record + field->offset)) ||
	    (field->has_condition && !condition_holds(stream, &field->condition, record, length)))
		return field->derivation != FIELD_ENDPOINT_OF || field->path == FIELD_NONE ||
		       field_is_null(stream, &stream->fields[field->path], record, length);
	if (field->derivation == FIELD_ERRNO_OF)
		return !field_error_number(field, record + field->offset);
	return false;
}
