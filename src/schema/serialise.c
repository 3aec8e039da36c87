/* SPDX-License-Identifier: MIT */
#include "schema/serialise.h"

#include <errno.h>

#include "schema/fields.h"
#include "schema/plan.h"

#define FORMAT_VERSION 1
#define TEXT_MAX 4096
#define ENUMERATORS_MAX 65536

/* ---- writing: integers little-endian, as all supported machines have them; texts with a length */

static void put(struct buffer *out, uint64_t value, size_t size)
{
	buffer_append(out, &value, size);
}

static void put_text(struct buffer *out, const char *text)
{
	const size_t length = text ? strlen(text) : 0;

	put(out, length < TEXT_MAX ? length : TEXT_MAX, sizeof(uint16_t));
	buffer_append(out, text, length < TEXT_MAX ? length : TEXT_MAX);
}

enum flag {
	FLAG_SIGNED = 1,
	FLAG_CONDITION = 2,
	FLAG_ZERO_IS_NULL = 4,
	FLAG_HIDDEN = 8,
	FLAG_AS_NUMBER = 16,
	FLAGS = 31,
};

static unsigned int flags_of(const struct field *field)
{
	return (field->is_signed ? FLAG_SIGNED : 0) | (field->has_condition ? FLAG_CONDITION : 0) |
	       (field->zero_is_null ? FLAG_ZERO_IS_NULL : 0) | (field->hidden ? FLAG_HIDDEN : 0) |
	       (field->as_number ? FLAG_AS_NUMBER : 0);
}

static void put_enumeration(struct buffer *out, const struct enumeration *enumeration)
{
	put(out, enumeration->count, sizeof(uint32_t));
	put_text(out, enumeration->prefix);
	for (size_t i = 0; i < enumeration->count; i++) {
		put(out, enumeration->entries[i].value, sizeof(uint64_t));
		put_text(out, enumeration->entries[i].name);
	}
}

static void put_field(struct buffer *out, const struct field *field)
{
	put_text(out, field->name);
	put_text(out, field->description);
	put_text(out, field->unit);
	put(out, field->kind, 1);
	put(out, field->derivation, 1);
	put(out, flags_of(field), 1);
	put(out, field->offset, sizeof(uint16_t));
	put(out, field->size, sizeof(uint16_t));
	put(out, field->count, sizeof(uint16_t));
	put(out, field->source, sizeof(uint16_t));
	put(out, field->port, sizeof(uint16_t));
	put(out, field->path, sizeof(uint16_t));
	if (field->has_condition) {
		put(out, field->condition.field, sizeof(uint16_t));
		put(out, field->condition.count, 1);
		for (size_t i = 0; i < field->condition.count; i++)
			put(out, field->condition.values[i], sizeof(uint64_t));
	}
	put_enumeration(out, &field->enumeration);
}

void stream_schema_write(const struct stream_schema *schema, struct buffer *out)
{
	put(out, FORMAT_VERSION, 1);
	put_text(out, schema->name);
	put_text(out, schema->description);
	put_text(out, schema->print_line);
	put_text(out, schema->print_opening);
	put_text(out, schema->only_with);
	put(out, schema->record_size, sizeof(uint16_t));
	put(out, schema->minimum_size, sizeof(uint16_t));
	put(out, schema->ring_bytes, sizeof(uint32_t));
	put(out, schema->field_count, sizeof(uint16_t));
	for (size_t i = 0; i < schema->field_count; i++)
		put_field(out, &schema->fields[i]);
}

/* ---- reading ---- */

struct source {
	const uint8_t *at;
	size_t left;
	struct arena *arena;
	int error; /* 0, or what was wrong first */
};

static uint64_t get(struct source *source, size_t size)
{
	uint64_t value = 0;

	if (source->left < size) {
		source->error = source->error ? source->error : -EBADMSG;
		return 0;
	}
	memcpy(&value, source->at, size);
	source->at += size;
	source->left -= size;
	return value;
}

static const char *get_text(struct source *source)
{
	const size_t length = (size_t)get(source, sizeof(uint16_t));
	char *text;

	if (source->error || length > source->left || memchr(source->at, '\0', length)) {
		source->error = source->error ? source->error : -EBADMSG;
		return "";
	}
	text = arena_copy(source->arena, (const char *)source->at, length);
	if (!text)
		source->error = -ENOMEM;
	source->at += length;
	source->left -= length;
	return text ? text : "";
}

/* NULL where there is none. */
static const char *get_optional(struct source *source)
{
	const char *text = get_text(source);

	return *text ? text : NULL;
}

static void get_enumeration(struct source *source, struct enumeration *enumeration)
{
	const size_t count = (size_t)get(source, sizeof(uint32_t));
	struct enumerator *entries;

	enumeration->prefix = get_text(source);
	/* Each takes ten bytes at least, so nobody makes us allocate more than a few times the
	 * bytes. */
	if (source->error || count > ENUMERATORS_MAX || count > source->left / 10) {
		source->error = source->error ? source->error : -EBADMSG;
		return;
	}
	entries = arena_allocate(source->arena, count, sizeof(*entries));
	if (!entries) {
		source->error = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		entries[i].value = get(source, sizeof(uint64_t));
		entries[i].name = get_text(source);
	}
	enumeration->entries = entries;
	enumeration->count = count;
}

static void get_condition(struct source *source, struct field_condition *condition)
{
	condition->field = (uint16_t)get(source, sizeof(uint16_t));
	condition->count = (uint8_t)get(source, 1);
	if (condition->count > ARRAY_SIZE(condition->values)) {
		source->error = -EBADMSG;
		return;
	}
	for (size_t i = 0; i < condition->count; i++)
		condition->values[i] = get(source, sizeof(uint64_t));
}

static void get_field(struct source *source, struct field *field)
{
	unsigned int flags;

	field->name = get_text(source);
	field->description = get_text(source);
	field->unit = get_text(source);
	field->kind = (enum field_kind)get(source, 1);
	field->derivation = (enum field_derivation)get(source, 1);
	flags = (unsigned int)get(source, 1);
	field->offset = (uint16_t)get(source, sizeof(uint16_t));
	field->size = (uint16_t)get(source, sizeof(uint16_t));
	field->count = (uint16_t)get(source, sizeof(uint16_t));
	field->source = (uint16_t)get(source, sizeof(uint16_t));
	field->port = (uint16_t)get(source, sizeof(uint16_t));
	field->path = (uint16_t)get(source, sizeof(uint16_t));
	if (flags & ~(unsigned int)FLAGS)
		source->error = -EBADMSG;
	field->is_signed = flags & FLAG_SIGNED;
	field->has_condition = flags & FLAG_CONDITION;
	field->zero_is_null = flags & FLAG_ZERO_IS_NULL;
	field->hidden = flags & FLAG_HIDDEN;
	field->as_number = flags & FLAG_AS_NUMBER;
	if (field->has_condition && !source->error)
		get_condition(source, &field->condition);
	if (!source->error)
		get_enumeration(source, &field->enumeration);
}

/* ---- what the rest of the program takes for granted ---- */

static bool is_width(uint16_t size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static bool is_sound_shape(const struct field *field)
{
	switch (field->kind) {
	case FIELD_INTEGER:
		return is_width(field->size) && field->count;
	case FIELD_ENUM:
	case FIELD_HEX:
		return is_width(field->size) && field->count == 1;
	case FIELD_BOOLEAN:
		return field->size == 1 && field->count == 1;
	case FIELD_SYMBOL:
		return field->size == 8 && field->count == 1 && !field->is_signed;
	case FIELD_STRING:
	case FIELD_BYTES:
		return field->size && field->count == 1;
	case FIELD_IP:
		return (field->size == 16 || field->size == 4) && field->count == 1;
	case FIELD_MAC:
		return field->size == 6 && field->count == 1;
	}
	return false;
}

static const struct field *stored_field(const struct stream_schema *schema, uint16_t index)
{
	if (index >= schema->field_count || schema->fields[index].derivation != FIELD_STORED)
		return NULL;
	return &schema->fields[index];
}

static bool is_integer(const struct field *field)
{
	return field && field_is_integer_like(field) && field->count == 1;
}

static bool is_port(const struct field *field)
{
	return is_integer(field) && field->size == 2 && !field->is_signed;
}

/* A derived field shows the bytes of the one that it is made of. */
static bool is_sound_derivation(const struct stream_schema *schema, const struct field *field)
{
	const struct field *source = stored_field(schema, field->source);

	if (!source || source->offset != field->offset || source->size != field->size ||
	    source->count != field->count || source->is_signed != field->is_signed)
		return false;
	switch (field->derivation) {
	case FIELD_NUMBER_OF:
		return field->kind == FIELD_INTEGER && is_integer(source);
	case FIELD_ERRNO_OF:
		return (field->kind == FIELD_ENUM || field->kind == FIELD_STRING) &&
		       is_integer(source);
	case FIELD_ENDPOINT_OF:
		return (field->kind == FIELD_IP || field->kind == FIELD_STRING) &&
		       source->kind == FIELD_IP && is_port(stored_field(schema, field->port)) &&
		       (field->path == FIELD_NONE ||
			(stored_field(schema, field->path) &&
			 schema->fields[field->path].kind == FIELD_STRING));
	default:
		return false;
	}
}

static bool is_sound_enumeration(const struct enumeration *enumeration)
{
	for (size_t i = 0; i < enumeration->count; i++) {
		const char *name = enumeration->entries[i].name;

		/* Names are written into JSON and CSV as they are. */
		if (!*name || name[strspn(name, IDENTIFIER_CHARACTERS)] ||
		    strlen(name) >= SCHEMA_NAME_SIZE)
			return false;
		if (i && enumeration->entries[i].value < enumeration->entries[i - 1].value)
			return false;
	}
	return true;
}

static bool is_sound_field(const struct stream_schema *schema, const struct field *field)
{
	if (!object_name_is_valid(field->name) || !is_sound_enumeration(&field->enumeration) ||
	    (uint32_t)field->offset + (uint32_t)field->size * field->count > schema->record_size)
		return false;
	if (field->has_condition && !is_integer(stored_field(schema, field->condition.field)))
		return false;
	if (field->derivation != FIELD_STORED)
		return is_sound_derivation(schema, field);
	return is_sound_shape(field);
}

static bool is_sound(const struct stream_schema *schema)
{
	if (!object_name_is_valid(schema->name) || schema->record_size > SCHEMA_MAX_RECORD ||
	    schema->record_size % 8 || schema->minimum_size > schema->record_size)
		return false;
	for (size_t i = 0; i < schema->field_count; i++) {
		if (!is_sound_field(schema, &schema->fields[i]))
			return false;
	}
	for (size_t i = 0; i < HEADER_FIELDS; i++) {
		if (schema->fields[i].offset + schema->fields[i].size > schema->minimum_size)
			return false;
	}
	return header_misfit(schema->fields, schema->field_count) == HEADER_FIELDS &&
	       stream_lines_check(&(struct refusal){ NULL, 0 }, schema, schema->name) == 0;
}

int stream_schema_parse(struct arena *arena, const void *bytes, size_t size,
			const struct stream_schema **ret_schema)
{
	struct source source = { .at = bytes, .left = size, .arena = arena };
	struct stream_schema *schema = arena_allocate(arena, 1, sizeof(*schema));
	struct field *fields;

	if (!schema)
		return -ENOMEM;
	if (get(&source, 1) != FORMAT_VERSION)
		return -EBADMSG;
	schema->name = get_text(&source);
	schema->description = get_text(&source);
	schema->print_line = get_optional(&source);
	schema->print_opening = get_optional(&source);
	schema->only_with = get_optional(&source);
	schema->record_size = (uint16_t)get(&source, sizeof(uint16_t));
	schema->minimum_size = (uint16_t)get(&source, sizeof(uint16_t));
	schema->ring_bytes = (uint32_t)get(&source, sizeof(uint32_t));
	schema->field_count = (size_t)get(&source, sizeof(uint16_t));
	if (source.error)
		return source.error;
	if (schema->field_count < HEADER_FIELDS || schema->field_count > SCHEMA_MAX_FIELDS)
		return -EBADMSG;
	fields = arena_allocate(arena, schema->field_count, sizeof(*fields));
	if (!fields)
		return -ENOMEM;
	schema->fields = fields;
	for (size_t i = 0; i < schema->field_count && !source.error; i++) {
		fields[i].index = (uint16_t)i;
		get_field(&source, &fields[i]);
	}
	if (source.error)
		return source.error;
	if (source.left || !is_sound(schema))
		return -EBADMSG;
	schema->plan = encode_plan_new(arena, schema);
	if (!schema->plan)
		return -ENOMEM;
	*ret_schema = schema;
	return 0;
}
