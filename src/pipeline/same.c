/* SPDX-License-Identifier: MIT */
/* Whether two schemas say the same: a program that is loaded again then goes on in its streams. */
#include <string.h>

#include "pipeline/internal.h"
#include "schema/metric.h"

static bool same_enumeration(const struct enumeration *a, const struct enumeration *b)
{
	if (a->count != b->count ||
	    strcmp(a->prefix ? a->prefix : "", b->prefix ? b->prefix : "") != 0)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (a->entries[i].value != b->entries[i].value ||
		    strcmp(a->entries[i].name, b->entries[i].name) != 0)
			return false;
	}
	return true;
}

static bool same_condition(const struct field *a, const struct field *b)
{
	const struct field_condition *left = &a->condition, *right = &b->condition;

	if (a->has_condition != b->has_condition)
		return false;
	if (!a->has_condition)
		return true;
	return left->field == right->field && left->count == right->count &&
	       memcmp(left->values, right->values, left->count * sizeof(left->values[0])) == 0;
}

static bool same_field(const struct field *a, const struct field *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->unit, b->unit) == 0 &&
	       a->kind == b->kind && a->derivation == b->derivation && a->offset == b->offset &&
	       a->size == b->size && a->count == b->count && a->is_signed == b->is_signed &&
	       a->as_number == b->as_number && a->zero_is_null == b->zero_is_null &&
	       a->hidden == b->hidden && a->source == b->source && a->port == b->port &&
	       a->path == b->path && same_condition(a, b) &&
	       same_enumeration(&a->enumeration, &b->enumeration);
}

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

bool stream_schema_same(const struct stream_schema *a, const struct stream_schema *b)
{
	if (a->record_size != b->record_size || a->minimum_size != b->minimum_size ||
	    a->field_count != b->field_count || !same_text(a->print_line, b->print_line) ||
	    !same_text(a->print_opening, b->print_opening) ||
	    !same_text(a->only_with, b->only_with))
		return false;
	for (size_t i = 0; i < a->field_count; i++) {
		if (!same_field(&a->fields[i], &b->fields[i]))
			return false;
	}
	return true;
}

static bool same_parameter(const struct parameter *a, const struct parameter *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->description, b->description) == 0 &&
	       strcmp(a->unit, b->unit) == 0 && a->kind == b->kind &&
	       a->is_signed == b->is_signed && a->offset == b->offset && a->size == b->size &&
	       memcmp(a->default_value, b->default_value, sizeof(a->default_value)) == 0;
}

static bool same_descriptions(const struct stream_schema *a, const struct stream_schema *b)
{
	if (strcmp(a->name, b->name) != 0 || strcmp(a->description, b->description) != 0)
		return false;
	for (size_t i = 0; i < a->field_count; i++) {
		if (strcmp(a->fields[i].description, b->fields[i].description) != 0)
			return false;
	}
	return true;
}

static bool same_family(const struct metric_family *a, const struct metric_family *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->help, b->help) == 0 &&
	       strcmp(a->unit, b->unit) == 0 && a->type == b->type && a->decimals == b->decimals &&
	       a->is_signed == b->is_signed && a->offset == b->offset && a->slots == b->slots &&
	       a->sum == b->sum;
}

static bool same_label(const struct metric_label *a, const struct metric_label *b)
{
	return strcmp(a->name, b->name) == 0 && a->in_value == b->in_value &&
	       same_field(a->field, b->field);
}

static bool same_metric(const struct metric_map *a, const struct metric_map *b)
{
	if (strcmp(a->name, b->name) != 0 || a->is_array != b->is_array ||
	    a->per_cpu != b->per_cpu || a->key_size != b->key_size ||
	    a->value_size != b->value_size || a->max_entries != b->max_entries ||
	    a->ended != b->ended || a->stamp != b->stamp || a->label_count != b->label_count ||
	    a->family_count != b->family_count)
		return false;
	for (size_t i = 0; i < a->label_count; i++)
		if (!same_label(&a->labels[i], &b->labels[i]))
			return false;
	for (size_t i = 0; i < a->family_count; i++)
		if (!same_family(&a->families[i], &b->families[i]))
			return false;
	return true;
}

bool program_schema_same(const struct program_schema *a, const struct program_schema *b)
{
	if (strcmp(a->description, b->description) != 0 || a->off_by_default != b->off_by_default ||
	    a->stream_count != b->stream_count || a->parameter_count != b->parameter_count ||
	    a->metric_count != b->metric_count)
		return false;
	for (size_t i = 0; i < a->stream_count; i++) {
		if (!stream_schema_same(&a->streams[i], &b->streams[i]) ||
		    !same_descriptions(&a->streams[i], &b->streams[i]))
			return false;
	}
	for (size_t i = 0; i < a->metric_count; i++) {
		if (!same_metric(&a->metrics[i], &b->metrics[i]))
			return false;
	}
	for (size_t i = 0; i < a->parameter_count; i++) {
		if (!same_parameter(&a->parameters[i], &b->parameters[i]))
			return false;
	}
	return true;
}
