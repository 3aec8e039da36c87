/* SPDX-License-Identifier: MIT */
/* Fields and streams as JSON Schema (draft 2020-12, as OpenAPI 3.1 takes it). */
#include "schema/encode.h"

#include "schema/value.h"

const char *field_type_name(const struct field *field)
{
	static const char *const names[] = {
		[FIELD_INTEGER] = "integer", [FIELD_BOOLEAN] = "boolean", [FIELD_ENUM] = "enum",
		[FIELD_STRING] = "string",   [FIELD_BYTES] = "bytes",	  [FIELD_IP] = "ip",
		[FIELD_MAC] = "mac",	     [FIELD_SYMBOL] = "symbol",	  [FIELD_HEX] = "hex",
	};

	if (field->derivation == FIELD_ENDPOINT_OF)
		return "string";
	if (field->derivation == FIELD_ERRNO_OF)
		return "enum";
	return field->count > 1 ? "list" : names[field->kind];
}

static bool is_nullable(const struct stream_schema *stream, const struct field *field)
{
	return field->offset + field->size * field->count > stream->minimum_size ||
	       field->has_condition || field->zero_is_null || field->derivation == FIELD_ERRNO_OF;
}

/* "type": "integer", or ["integer", "null"] */
static void describe_type(struct json *json, const char *type, bool nullable)
{
	json_key(json, "type");
	if (nullable)
		json_array_begin(json);
	json_string(json, type);
	if (nullable) {
		json_string(json, "null");
		json_array_end(json);
	}
}

static void describe_integer(const struct field *field, struct json *json)
{
	uint64_t all = field->size == 8 ? UINT64_MAX : (1ULL << field->size * 8) - 1;
	uint64_t largest = field->is_signed ? all >> 1 : all;

	json_member_string(json, "format",
			   field->size == 8 ? (field->is_signed ? "int64" : "uint64")
			   : field->size == 4 && field->is_signed ? "int32"
								  : "int64");
	json_member_i64(json, "minimum", field->is_signed ? -(int64_t)largest - 1 : 0);
	/* A reader that holds numbers as doubles could not read this one exactly. */
	if (field->size < 8)
		json_member_u64(json, "maximum", largest);
}

/* Numbers that have names: "TCP": 6 */
static void describe_names_of_numbers(const struct field *field, struct json *json)
{
	json_key(json, "x-names");
	json_object_begin(json);
	for (size_t i = 0; i < field->enumeration.count; i++) {
		const struct enumerator *entry = &field->enumeration.entries[i];
		uint64_t value = field_from_ordered(entry->value, field->is_signed);

		if (field->is_signed)
			json_member_i64(json, entry->name, (int64_t)value);
		else
			json_member_u64(json, entry->name, value);
	}
	json_object_end(json);
}

/* The known names, or the number of a value that has none. */
static void describe_enum(const struct field *field, bool nullable, struct json *json)
{
	json_key(json, "anyOf");
	json_array_begin(json);
	if (field->enumeration.count) {
		json_object_begin(json);
		json_key(json, "enum");
		json_array_begin(json);
		for (size_t i = 0; i < field->enumeration.count; i++)
			json_string(json, field->enumeration.entries[i].name);
		json_array_end(json);
		json_object_end(json);
	}
	json_object_begin(json);
	json_member_string(json, "pattern",
			   field->derivation == FIELD_ERRNO_OF ? "^(E[A-Z0-9_]+|[0-9]+)$"
							       : "^-?[0-9]+$");
	json_object_end(json);
	if (nullable) {
		json_object_begin(json);
		json_member_string(json, "type", "null");
		json_object_end(json);
	}
	json_array_end(json);
}

static void describe_list(const struct field *field, struct json *json)
{
	json_key(json, "items");
	json_object_begin(json);
	json_member_string(json, "type", "integer");
	describe_integer(field, json);
	json_object_end(json);
	json_member_u64(json, "minItems", field->count);
	json_member_u64(json, "maxItems", field->count);
}

static void describe_string(const struct field *field, bool nullable, struct json *json)
{
	if (field->derivation == FIELD_ENDPOINT_OF)
		return;
	switch (field->kind) {
	case FIELD_ENUM:
		describe_enum(field, nullable, json);
		break;
	case FIELD_STRING:
		json_member_u64(json, "maxLength", field->size);
		break;
	case FIELD_BYTES:
		json_member_string(json, "pattern", "^([0-9a-f]{2})+$");
		json_member_u64(json, "maxLength", field->size * 2u);
		break;
	case FIELD_IP:
		if (field->size == 4)
			json_member_string(json, "format", "ipv4");
		else
			json_member_string(json, "pattern", "^[0-9a-f.:]+$");
		break;
	case FIELD_MAC:
		json_member_string(json, "pattern", "^([0-9a-f]{2}:){5}[0-9a-f]{2}$");
		break;
	case FIELD_HEX:
		json_member_string(json, "pattern", "^0x[0-9a-f]+$");
		break;
	default:
		break;
	}
}

void field_describe(const struct stream_schema *stream, const struct field *field,
		    struct json *json)
{
	bool nullable = is_nullable(stream, field);

	json_object_begin(json);
	if (field->derivation == FIELD_STORED && field->count > 1) {
		describe_type(json, "array", nullable);
		if (field->kind == FIELD_INTEGER)
			describe_list(field, json);
	} else if (!value_is_bare(field)) {
		describe_type(json, "string", nullable);
		describe_string(field, nullable, json);
	} else if (field->kind == FIELD_BOOLEAN) {
		describe_type(json, "boolean", nullable);
	} else {
		describe_type(json, "integer", nullable);
		describe_integer(field, json);
		if (field->as_number)
			describe_names_of_numbers(field, json);
	}
	if (*field->description)
		json_member_string(json, "description", field->description);
	if (*field->unit)
		json_member_string(json, "x-unit", field->unit);
	json_object_end(json);
}

static void describe_fixed(struct json *json, const char *name, const char *keyword,
			   const char *value, const char *description)
{
	json_key(json, name);
	json_object_begin(json);
	json_member_string(json, "type", "string");
	json_member_string(json, keyword, value);
	json_member_string(json, "description", description);
	json_object_end(json);
}

void stream_describe(const struct stream_schema *stream, struct json *json)
{
	static const char *const always[] = { "id", "type", "time" };

	json_object_begin(json);
	json_member_string(json, "type", "object");
	if (*stream->description)
		json_member_string(json, "description", stream->description);
	json_key(json, "properties");
	json_object_begin(json);
	describe_fixed(json, "id", "pattern", "^[0-9a-f]{8}-[0-9a-f]{15}-[0-9a-f]{10}$",
		       "Unique, sorted by time; a cursor");
	describe_fixed(json, "type", "const", stream->name, "The stream the event is of");
	describe_fixed(json, "time", "format", "date-time", "Wall time of the event, UTC");
	for (size_t i = 0; i < stream->field_count; i++) {
		if (stream->fields[i].hidden)
			continue;
		json_key(json, stream->fields[i].name);
		field_describe(stream, &stream->fields[i], json);
	}
	json_object_end(json);
	json_key(json, "required"); /* what has no value is there as null */
	json_array_begin(json);
	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		json_string(json, always[i]);
	for (size_t i = 0; i < stream->field_count; i++)
		if (!stream->fields[i].hidden)
			json_string(json, stream->fields[i].name);
	json_array_end(json);
	json_object_end(json);
}
