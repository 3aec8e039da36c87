/* SPDX-License-Identifier: MIT */
#include "schema/metrics.h"

#include <linux/bpf.h>
#include <string.h>

#include "schema/maps.h"

static const char *const roles[] = {
	"label", "counter", "gauge", "ended", "stamp", "log2:", "sum:", NULL,
};

static const struct {
	uint32_t type;
	bool is_array, per_cpu;
} map_types[] = {
	{ BPF_MAP_TYPE_HASH, false, false },	   { BPF_MAP_TYPE_LRU_HASH, false, false },
	{ BPF_MAP_TYPE_PERCPU_HASH, false, true }, { BPF_MAP_TYPE_LRU_PERCPU_HASH, false, true },
	{ BPF_MAP_TYPE_ARRAY, true, false },	   { BPF_MAP_TYPE_PERCPU_ARRAY, true, true },
};

/* ---- the map ---- */

static int read_type(struct metric_reading *reading, const char *text)
{
	for (size_t i = 0; i <= METRIC_GAUGE; i++) {
		if (strcmp(text, metric_type_name((enum metric_type)i)))
			continue;
		reading->type = (enum metric_type)i;
		return 0;
	}
	return refuse(reading->source->refusal,
		      "metric map \"%.70s\": \"%.60s\" must be metric:NAME:counter or "
		      "metric:NAME:gauge, where NAME may be empty",
		      reading->variable->name, reading->variable->tag);
}

static int read_tag(struct metric_reading *reading)
{
	const char *text = reading->variable->tag + strlen(METRIC_TAG);
	const char *colon = strchr(text, ':');

	if (!colon)
		return read_type(reading, "");
	reading->name = text;
	reading->name_length = (size_t)(colon - text);
	return read_type(reading, colon + 1);
}

static int check_map(struct metric_reading *reading, const char *program)
{
	const struct schema_source *source = reading->source;
	const struct map_variable *variable = reading->variable;
	struct metric_map *map = &reading->map;
	const struct btf_type *definition = variable->definition;
	uint32_t type = 0;
	size_t i;

	if (definition && btf_is_struct(definition))
		type = object_map_number(source->reader, definition, "type");
	for (i = 0; i < ARRAY_SIZE(map_types) && map_types[i].type != type; i++)
		;
	if (i == ARRAY_SIZE(map_types))
		return refuse(source->refusal,
			      "metric map \"%.70s\" is neither a hash nor an array",
			      variable->name);
	map->is_array = map_types[i].is_array;
	map->per_cpu = map_types[i].per_cpu;
	map->max_entries = object_map_number(source->reader, definition, "max_entries");
	if (!object_name_is_valid(variable->name) || !name_belongs_to(variable->name, program))
		return refuse(source->refusal,
			      "metric map \"%.70s\" must be named \"%s\", or \"%s_\" and something "
			      "more",
			      variable->name, program, program);
	if (!map->max_entries)
		return refuse(source->refusal, "metric map \"%.70s\" has no max_entries",
			      variable->name);
	return 0;
}

/* A type's size, where it is the struct of a key or a value. */
static int read_size(const struct metric_reading *reading, const char *which, uint32_t *ret_struct,
		     uint16_t *ret_size)
{
	const struct schema_source *source = reading->source;
	const struct btf_type *type =
		object_map_type(source->reader, reading->variable->definition, which, ret_struct);
	uint32_t size;

	if (!type || object_type_size(source->reader, *ret_struct, &size) || !size ||
	    size > SCHEMA_MAX_METRIC)
		return refuse(source->refusal,
			      "metric map \"%.70s\": its %s has no type of 1 to %d bytes",
			      reading->variable->name, which, SCHEMA_MAX_METRIC);
	*ret_size = (uint16_t)size;
	return btf_is_struct(type) ? 1 : 0;
}

/* ---- labels ---- */

static int compare_labels(const void *a, const void *b)
{
	const struct metric_label *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int add_label(struct metric_reading *reading, const struct draft *draft,
		     const struct field *field, bool in_value)
{
	struct metric_map *map = &reading->map;
	const char *name = field->name;

	if (draft->code || draft->error_name || draft->endpoint || draft->only)
		return metric_refuse_member(reading, draft,
					    "a label: it can have no derived fields and "
					    "no condition");
	if (field->count != 1)
		return metric_refuse_member(reading, draft, "a list, which is no label");
	if (!strncmp(name, "__", 2) || !strcmp(name, "le") || !strcmp(name, "quantile"))
		return metric_refuse_member(reading, draft,
					    "named as a label that has a meaning to Prometheus");
	if (map->label_count == SCHEMA_MAX_LABELS)
		return metric_refuse_member(reading, draft, "one label too many");
	for (size_t i = 0; i < map->label_count; i++)
		if (!strcmp(reading->labels[i].name, name))
			return metric_refuse_member(reading, draft,
						    "the second label of this name");
	reading->labels[map->label_count++] = (struct metric_label){ name, in_value, field };
	return 0;
}

/* Fields of the members that are labels; they stand in `stream`, which encoders want. */
static int add_labels(struct metric_reading *reading, const struct drafts *drafts, bool in_value,
		      struct stream_schema *stream)
{
	struct field *fields =
		arena_allocate(reading->source->arena, drafts->count, sizeof(*fields));
	size_t count = 0;

	if (!fields)
		return -ENOMEM;
	for (size_t i = 0; i < drafts->count; i++) {
		const struct draft *draft = &drafts->items[i];
		int r;

		if (draft->hidden ||
		    (in_value && (!draft->role || strcmp(draft->role, "label") != 0)))
			continue;
		fields[count] = draft->field;
		fields[count].index = (uint16_t)count;
		fields[count].port = fields[count].path = FIELD_NONE;
		r = add_label(reading, draft, &fields[count], in_value);
		if (r)
			return r;
		count++;
	}
	*stream = (struct stream_schema){
		.name = reading->map.name,
		.description = "",
		.fields = fields,
		.field_count = count,
		.record_size = in_value ? reading->map.value_size : reading->map.key_size,
	};
	return 0;
}

static int read_key(struct metric_reading *reading)
{
	struct drafts drafts = { .source = reading->source };
	FREE struct draft *items = NULL;
	uint32_t id;
	int r = read_size(reading, "key", &id, &reading->map.key_size);

	if (r < 0)
		return r;
	if (reading->map.max_entries == 1)
		return 0;
	if (!r)
		return refuse(reading->source->refusal,
			      "metric map \"%.70s\": its key is no struct; members of that are its "
			      "labels",
			      reading->variable->name);
	r = members_read(&drafts, id);
	items = drafts.items;
	return r ? r : add_labels(reading, &drafts, false, &reading->map.key);
}

/* ---- values ---- */

static int read_value(struct metric_reading *reading)
{
	struct drafts drafts = { .source = reading->source, .roles = roles };
	struct metric_map *map = &reading->map;
	FREE struct draft *items = NULL;
	uint32_t id;
	int r = read_size(reading, "value", &id, &map->value_size);

	if (r < 0)
		return r;
	if (!r)
		return refuse(reading->source->refusal,
			      "metric map \"%.70s\": its value is no struct",
			      reading->variable->name);
	r = members_read(&drafts, id);
	items = drafts.items;
	if (!r)
		r = add_labels(reading, &drafts, true, &map->value);
	if (!r)
		r = metric_values_read(reading, &drafts);
	if (!r && map->value.field_count && map->per_cpu && map->stamp == FIELD_NONE)
		r = refuse(reading->source->refusal,
			   "metric map \"%.70s\" has a value for each CPU, and labels in it: a "
			   "\"stamp\" must say which are newest",
			   reading->variable->name);
	return r;
}

/* ---- all of it ---- */

static int check_clashes(const struct metric_reading *reading, const struct program_schema *schema)
{
	for (size_t m = 0; m < schema->metric_count; m++)
		for (size_t i = 0; i < schema->metrics[m].family_count; i++)
			for (size_t j = 0; j < reading->map.family_count; j++)
				if (metric_families_clash(&schema->metrics[m].families[i],
							  &reading->families[j]))
					return refuse(reading->source->refusal,
						      "two metrics are named \"%.90s\"",
						      reading->families[j].name);
	return 0;
}

static int keep(const struct metric_reading *reading, struct program_schema *schema)
{
	struct metric_map *maps = (struct metric_map *)schema->metrics;

	if (!maps) {
		maps = arena_allocate(reading->source->arena, SCHEMA_MAX_METRIC_MAPS,
				      sizeof(*maps));
		if (!maps)
			return -ENOMEM;
		schema->metrics = maps;
	}
	maps[schema->metric_count] = reading->map;
	maps[schema->metric_count++].labels = reading->labels;
	return 0;
}

int metric_map_read(const struct schema_source *source, struct program_schema *schema,
		    const struct map_variable *variable)
{
	struct metric_reading reading = {
		.source = source,
		.variable = variable,
		.map = { .ended = FIELD_NONE, .stamp = FIELD_NONE },
		.name = "",
		.help = object_tag(source->reader, variable->variable, WHOLE_TYPE, "description:"),
		.labels = arena_allocate(source->arena, SCHEMA_MAX_LABELS, sizeof(*reading.labels)),
		.families = arena_allocate(source->arena, SCHEMA_MAX_FAMILIES,
					   sizeof(*reading.families)),
	};
	int r;

	reading.help = reading.help ? reading.help : schema->description;
	reading.help = arena_copy(source->arena, reading.help, strlen(reading.help));
	reading.map.name = arena_copy(source->arena, variable->name, strlen(variable->name));
	reading.map.families = reading.families;
	if (!reading.labels || !reading.families || !reading.help || !reading.map.name)
		return -ENOMEM;
	if (schema->metric_count == SCHEMA_MAX_METRIC_MAPS)
		return refuse(source->refusal, "there are more than %d metric maps",
			      SCHEMA_MAX_METRIC_MAPS);
	r = read_tag(&reading);
	if (!r)
		r = check_map(&reading, schema->name);
	if (!r)
		r = read_key(&reading);
	if (!r)
		r = read_value(&reading);
	if (!r)
		r = check_clashes(&reading, schema);
	if (r)
		return r;
	qsort(reading.labels, reading.map.label_count, sizeof(*reading.labels), compare_labels);
	return keep(&reading, schema);
}
