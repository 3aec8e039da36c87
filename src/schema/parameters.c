/* SPDX-License-Identifier: MIT */
#include "schema/parameters.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "schema/units.h"

struct reading {
	const struct schema_source *source;
	struct parameter *parameters; /* SCHEMA_MAX_PARAMETERS */
	size_t count;
	bool constant; /* the section is .rodata */
};

static int describe(const struct reading *reading, const struct btf_type *type,
		    struct parameter *parameter)
{
	const struct object_reader *reader = reading->source->reader;
	const struct refusal *refusal = reading->source->refusal;
	const struct btf_type *element;

	if (type && btf_is_array(type)) {
		element = object_type(reader, btf_array(type)->type, NULL);
		if (!element || !btf_is_int(element) || element->size != 1 ||
		    strcmp(object_name(reader, element->name_off), "char") ||
		    !btf_array(type)->nelems || btf_array(type)->nelems > PARAMETER_VALUE_SIZE)
			return refuse(
				refusal,
				"parameter \"%s\" is an array, but no char array of 1 to %d bytes",
				parameter->name, PARAMETER_VALUE_SIZE);
		parameter->kind = PARAMETER_STRING;
		parameter->size = btf_array(type)->nelems;
		return 0;
	}
	if (!type || !(btf_is_int(type) || btf_is_any_enum(type)) ||
	    (type->size != 1 && type->size != 2 && type->size != 4 && type->size != 8))
		return refuse(refusal, "parameter \"%s\" is no integer, bool or char array",
			      parameter->name);
	parameter->size = type->size;
	parameter->kind = PARAMETER_INTEGER;
	if (btf_is_int(type)) {
		parameter->is_signed = btf_int_encoding(type) & BTF_INT_SIGNED;
		if (btf_int_encoding(type) & BTF_INT_BOOL && type->size == 1)
			parameter->kind = PARAMETER_BOOLEAN;
	}
	return 0;
}

static const char *tag_copy(const struct schema_source *source, uint32_t type, const char *prefix)
{
	const char *text = object_tag(source->reader, type, WHOLE_TYPE, prefix);

	return text ? arena_copy(source->arena, text, strlen(text)) : "";
}

static int read_variable(void *context, uint32_t variable, const struct btf_type *type)
{
	struct reading *reading = context;
	const struct schema_source *source = reading->source;
	const char *name = object_name(source->reader, type->name_off);
	struct parameter parameter = { .name = name };
	const uint8_t *value;
	int r;

	if (!object_tag(source->reader, variable, WHOLE_TYPE, "parameter"))
		return 0;
	if (!reading->constant)
		return refuse(source->refusal, "parameter \"%s\" is not const volatile", name);
	if (!object_name_is_valid(name))
		return refuse(source->refusal, "a parameter's name \"%.70s\" is too long", name);
	if (reading->count == SCHEMA_MAX_PARAMETERS)
		return refuse(source->refusal, "there are more than %d parameters",
			      SCHEMA_MAX_PARAMETERS);
	r = describe(reading, object_type(source->reader, type->type, NULL), &parameter);
	if (r)
		return r;
	value = object_initial_value(source->reader, name, parameter.size, &parameter.offset);
	if (!value)
		return refuse(source->refusal, "parameter \"%s\" has no value in .rodata", name);
	memcpy(parameter.default_value, value, parameter.size);
	parameter.name = arena_copy(source->arena, name, strlen(name));
	parameter.description = tag_copy(source, variable, "description:");
	parameter.unit = tag_copy(source, variable, "unit:");
	if (!parameter.name || !parameter.description || !parameter.unit)
		return -ENOMEM;
	for (size_t i = 0; i < reading->count; i++)
		if (!strcmp(reading->parameters[i].name, name))
			return refuse(source->refusal, "two parameters have the name \"%s\"", name);
	reading->parameters[reading->count++] = parameter;
	return 0;
}

int parameters_read(const struct schema_source *source, struct program_schema *schema)
{
	struct reading reading = { .source = source };
	int r;

	reading.parameters =
		arena_allocate(source->arena, SCHEMA_MAX_PARAMETERS, sizeof(*reading.parameters));
	if (!reading.parameters)
		return -ENOMEM;
	reading.constant = true;
	r = object_each_variable(source->reader, ".rodata", read_variable, &reading);
	/* Elsewhere a value could not be set before load; say so rather than ignore it. */
	reading.constant = false;
	if (!r)
		r = object_each_variable(source->reader, ".data", read_variable, &reading);
	if (!r)
		r = object_each_variable(source->reader, ".bss", read_variable, &reading);
	schema->parameters = reading.parameters;
	schema->parameter_count = reading.count;
	return r;
}

static int parse_string(const struct parameter *parameter, const char *text, uint8_t *value,
			const struct refusal *refusal)
{
	size_t length = strlen(text);

	/* The program may look for the NUL. */
	if (length >= parameter->size) {
		refuse(refusal, "\"%.80s\" is too long; %s takes at most %u bytes", text,
		       parameter->name, parameter->size - 1);
		return -ERANGE;
	}
	memcpy(value, text, length);
	return 0;
}

static int parse_integer(const struct parameter *parameter, const char *text, uint8_t *value,
			 const struct refusal *refusal)
{
	struct number_format format = { (uint16_t)parameter->size, parameter->is_signed,
					parameter->unit };
	char limits[NUMBER_LIMITS_SIZE];
	uint64_t bits;
	int r = number_parse(&format, text, &bits);

	if (r) {
		number_limits(&format, limits);
		if (r == -ERANGE)
			refuse(refusal, "\"%.80s\" is out of range; %s takes %s", text,
			       parameter->name, limits);
		else
			refuse(refusal, "\"%.80s\" is %s; %s takes %s", text,
			       number_complaint(&format), parameter->name, limits);
		return r;
	}
	memcpy(value, &bits, parameter->size);
	return 0;
}

int parameter_parse(const struct parameter *parameter, const char *text, uint8_t *ret_value,
		    char *error, size_t error_size)
{
	const struct refusal refusal = { error, error_size };
	uint8_t value[PARAMETER_VALUE_SIZE] = { 0 };
	bool truth;
	int r = 0;

	switch (parameter->kind) {
	case PARAMETER_STRING:
		r = parse_string(parameter, text, value, &refusal);
		break;
	case PARAMETER_BOOLEAN:
		r = text_parse_bool(text, &truth);
		if (r)
			refuse(&refusal,
			       "\"%.80s\" is neither true nor false; %s takes true or false", text,
			       parameter->name);
		else
			value[0] = truth;
		break;
	case PARAMETER_INTEGER:
		r = parse_integer(parameter, text, value, &refusal);
		break;
	}
	if (!r)
		memcpy(ret_value, value, sizeof(value));
	return r;
}

void parameter_encode(const struct parameter *parameter, const uint8_t *value, struct json *json)
{
	uint64_t ordered;

	switch (parameter->kind) {
	case PARAMETER_STRING:
		json_string_n(json, (const char *)value,
			      strnlen((const char *)value, parameter->size));
		break;
	case PARAMETER_BOOLEAN:
		json_bool(json, value[0]);
		break;
	case PARAMETER_INTEGER:
		ordered =
			field_load_ordered(value, (uint16_t)parameter->size, parameter->is_signed);
		if (parameter->is_signed)
			json_i64(json, (int64_t)field_from_ordered(ordered, true));
		else
			json_u64(json, ordered);
		break;
	}
}
