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
#include "schema/template.h"
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

/* Every placeholder is a shown field of the stream. */
static int check_line(const struct refusal *refusal, const struct stream_schema *stream,
		      const char *name)
{
	const char *text = stream->print_line ? stream->print_line : "";
	struct template_part part;

	while (template_next(&text, &part)) {
		size_t i = 0;

		if (!part.is_name)
			continue;
		while (i < stream->field_count &&
		       (stream->fields[i].hidden ||
			!template_part_is(&part, stream->fields[i].name)))
			i++;
		if (i == stream->field_count)
			return refuse(refusal,
				      "stream \"%s\": its line for printing names \"%.*s\", which "
				      "is no field",
				      name, (int)part.length, part.text);
	}
	return 0;
}

static int check_opening(const struct refusal *refusal, const struct stream_schema *stream,
			 const char *name)
{
	const char *text = stream->print_opening ? stream->print_opening : "";
	struct template_part part;

	while (template_next(&text, &part))
		if (part.is_name && !template_part_is(&part, TEMPLATE_OWN_PID) &&
		    !template_part_is(&part, TEMPLATE_API_PORT))
			return refuse(refusal,
				      "stream \"%s\": its opening for printing names \"%.*s\"; "
				      "known are " TEMPLATE_OWN_PID " and " TEMPLATE_API_PORT,
				      name, (int)part.length, part.text);
	return 0;
}

int stream_lines_check(const struct refusal *refusal, const struct stream_schema *stream,
		       const char *name)
{
	int r = check_line(refusal, stream, name);

	return r ? r : check_opening(refusal, stream, name);
}

/* The text of a tag, kept; NULL when there is none. */
static int keep_tag(const struct schema_source *source, uint32_t variable, const char *prefix,
		    const char **ret_text)
{
	const char *text = object_tag(source->reader, variable, WHOLE_TYPE, prefix);

	if (!text)
		return 0;
	*ret_text = arena_copy(source->arena, text, strlen(text));
	return *ret_text ? 0 : -ENOMEM;
}

static int read_printing(const struct schema_source *source, uint32_t variable, const char *name,
			 struct stream_schema *stream)
{
	int r = keep_tag(source, variable, "with:", &stream->only_with);

	if (!r)
		r = keep_tag(source, variable, "print:", &stream->print_line);
	if (!r)
		r = keep_tag(source, variable, "print-opening:", &stream->print_opening);
	return r ? r : stream_lines_check(source->refusal, stream, name);
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
	r = read_printing(source, variable, name, stream);
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

/* Calls for each name of "A|B" until one returns non-zero, and returns that. */
static int each_parameter(const struct program_schema *schema, const char *names,
			  int (*each)(void *context, const char *name, size_t length,
				      const struct parameter *parameter),
			  void *context)
{
	while (names && *names) {
		size_t length = strcspn(names, "|");
		const struct parameter *found = NULL;
		int r;

		for (size_t i = 0; i < schema->parameter_count; i++)
			if (strlen(schema->parameters[i].name) == length &&
			    !memcmp(schema->parameters[i].name, names, length))
				found = &schema->parameters[i];
		r = each(context, names, length, found);
		if (r)
			return r;
		names += length + (names[length] ? 1 : 0);
	}
	return 0;
}

static int check_parameter(void *context, const char *name, size_t length,
			   const struct parameter *parameter)
{
	const struct refusal *refusal = context;

	return parameter ? 0
			 : refuse(refusal, "\"with:%.*s\" names no parameter", (int)length, name);
}

static int check_parameters(const struct reading *reading)
{
	int r = 0;

	for (size_t i = 0; !r && i < reading->schema->stream_count; i++)
		r = each_parameter(reading->schema, reading->streams[i].only_with, check_parameter,
				   (void *)(uintptr_t)reading->source.refusal);
	return r;
}

struct values_of {
	const struct program_schema *schema;
	const uint8_t (*values)[PARAMETER_VALUE_SIZE];
};

static int is_set(void *context, const char *name, size_t length, const struct parameter *parameter)
{
	static const uint8_t nothing[PARAMETER_VALUE_SIZE];
	const struct values_of *of = context;

	(void)name;
	(void)length;
	return parameter && memcmp(of->values[parameter - of->schema->parameters], nothing,
				   parameter->size) != 0;
}

bool stream_schema_is_on(const struct stream_schema *stream, const struct program_schema *schema,
			 const uint8_t (*values)[PARAMETER_VALUE_SIZE])
{
	return !stream->only_with || each_parameter(schema, stream->only_with, is_set,
						    &(struct values_of){ schema, values }) != 0;
}

static int read_all(struct reading *reading)
{
	const struct object_reader *reader = reading->source.reader;
	int r = object_each_variable(reader, "license", read_license, reading);

	if (!r)
		r = object_each_variable(reader, ".maps", read_map, reading);
	if (!r)
		r = parameters_read(&reading->source, reading->schema);
	return r ? r : check_parameters(reading);
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
