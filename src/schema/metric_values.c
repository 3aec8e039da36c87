/* SPDX-License-Identifier: MIT */
/* Members of a map's value to families, and what they are called. */
#include "schema/metrics.h"

#include <string.h>

/* Of a family's name: room for "_total", "_bucket", … */
#define NAME_LIMIT (METRIC_NAME_SIZE - 16)

static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_HISTOGRAM] = "histogram",
};

const char *const metric_own_stems[] = {
	"api_", "build_", "drain_", "history_", "memory_", "metric_", "program_", "stream_", NULL,
};

/* What a unit is shown as. */
static const struct {
	const char *unit, *base;
	uint8_t decimals;
} base_units[] = {
	{ "ns", "seconds", 9 }, { "us", "seconds", 6 },	 { "ms", "seconds", 3 },
	{ "s", "seconds", 0 },	{ "bytes", "bytes", 0 },
};

int metric_refuse_member(const struct metric_reading *reading, const struct draft *draft,
			 const char *what)
{
	return refuse(reading->source->refusal, "metric map \"%.70s\": member \"%s\" is %s",
		      reading->variable->name, draft->field.name, what);
}

static bool is_word(const struct field *field)
{
	return field->kind == FIELD_INTEGER && field->size == 8 && !field->as_number;
}

static bool has_role(const struct draft *draft, const char *role)
{
	return draft->role && !strncmp(draft->role, role, strlen(role));
}

/* Not shown as a family. */
static bool is_beside(const struct draft *draft)
{
	return draft->hidden || has_role(draft, "label") || has_role(draft, "ended") ||
	       has_role(draft, "stamp") || has_role(draft, "sum:");
}

static void set_unit(struct metric_family *family, const char *unit)
{
	family->unit = "";
	for (size_t i = 0; i < ARRAY_SIZE(base_units); i++) {
		if (strcmp(base_units[i].unit, unit))
			continue;
		family->unit = base_units[i].base;
		family->decimals = base_units[i].decimals;
	}
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && !strcmp(text + length - end_length, end);
}

static int check_name(const struct metric_reading *reading, const struct metric_family *family)
{
	static const char *const kept[] = { "_total", "_count", "_sum", "_bucket" };
	const struct refusal *refusal = reading->source->refusal;
	const char *name = family->name;
	const char *own = name + strlen(METRIC_PREFIX);

	if (!*name || name[strspn(name, IDENTIFIER_CHARACTERS)] ||
	    (name[0] >= '0' && name[0] <= '9') || strlen(name) > NAME_LIMIT)
		return refuse(refusal, "metric map \"%.70s\": \"%.90s\" cannot be a metric's name",
			      reading->variable->name, name);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (ends_with(name, kept[i]))
			return refuse(refusal,
				      "metric map \"%.70s\": \"%.90s\" ends in \"%s\", which has a "
				      "meaning to Prometheus",
				      reading->variable->name, name, kept[i]);
	if (strncmp(name, METRIC_PREFIX, strlen(METRIC_PREFIX)))
		return 0;
	for (size_t i = 0; reading->name_length == 0 && metric_own_stems[i]; i++)
		if (!strncmp(own, metric_own_stems[i], strlen(metric_own_stems[i])))
			return refuse(refusal,
				      "metric map \"%.70s\": metrics named %s%s… are the server's "
				      "own",
				      reading->variable->name, METRIC_PREFIX, metric_own_stems[i]);
	if (reading->name_length)
		return refuse(refusal,
			      "metric map \"%.70s\": the name \"%.90s\" begins with " METRIC_PREFIX
			      ", which the map's own name gets when none is given",
			      reading->variable->name, name);
	return 0;
}

/* NAME, or NAME_member; then the unit. A counter's _total comes when it is written. */
static int name_family(const struct metric_reading *reading, const struct draft *draft, bool alone,
		       struct metric_family *family)
{
	char name[SCHEMA_NAME_SIZE + METRIC_NAME_SIZE * 2];
	int prefix = (int)reading->name_length;

	if (reading->name_length > METRIC_NAME_SIZE)
		prefix = METRIC_NAME_SIZE;
	if (prefix)
		snprintf(name, sizeof(name), "%.*s", prefix, reading->name);
	else
		snprintf(name, sizeof(name), METRIC_PREFIX "%s", reading->variable->name);
	if (alone && family->type == METRIC_COUNTER && ends_with(name, "_total"))
		name[strlen(name) - strlen("_total")] = '\0';
	if (!alone)
		snprintf(name + strlen(name), sizeof(name) - strlen(name), "_%s",
			 draft->field.name);
	if (*family->unit && (!ends_with(name, family->unit) ||
			      name[strlen(name) - strlen(family->unit) - 1] != '_'))
		snprintf(name + strlen(name), sizeof(name) - strlen(name), "_%s", family->unit);
	family->name = arena_copy(reading->source->arena, name, strlen(name));
	return family->name ? check_name(reading, family) : -ENOMEM;
}

static int describe_histogram(const struct metric_reading *reading, const struct draft *draft,
			      struct metric_family *family)
{
	const struct field *field = &draft->field;

	if (!is_word(field) || field->is_signed || field->count < 2 ||
	    field->count > SCHEMA_MAX_SLOTS)
		return metric_refuse_member(reading, draft,
					    "\"log2:\" but no array of 2 to 64 __u64");
	family->type = METRIC_HISTOGRAM;
	family->slots = field->count;
	set_unit(family, draft->role + strlen("log2:"));
	return 0;
}

static int describe_value(const struct metric_reading *reading, const struct draft *draft,
			  struct metric_family *family)
{
	const struct field *field = &draft->field;

	family->type = has_role(draft, "counter") ? METRIC_COUNTER
		       : has_role(draft, "gauge") ? METRIC_GAUGE
						  : reading->type;
	if (!is_word(field) || field->count != 1)
		return metric_refuse_member(reading, draft,
					    "a value, and those are __u64 (or __s64)");
	if (field->is_signed && family->type == METRIC_COUNTER)
		return metric_refuse_member(reading, draft,
					    "a counter, and those cannot be negative");
	family->is_signed = field->is_signed;
	family->slots = 1;
	set_unit(family, field->unit);
	return 0;
}

static int add_family(struct metric_reading *reading, const struct draft *draft, bool alone)
{
	struct metric_map *map = &reading->map;
	struct metric_family family = { .help = draft->field.description,
					.offset = draft->field.offset,
					.sum = FIELD_NONE };
	int r;

	if (map->family_count == SCHEMA_MAX_FAMILIES)
		return metric_refuse_member(reading, draft, "one value too many");
	if (draft->code || draft->error_name || draft->endpoint || draft->only ||
	    draft->field.zero_is_null)
		return metric_refuse_member(reading, draft, "a value: those have no other tags");
	r = has_role(draft, "log2:") ? describe_histogram(reading, draft, &family)
				     : describe_value(reading, draft, &family);
	if (!r && draft->field.offset % 8)
		r = metric_refuse_member(reading, draft, "not at a multiple of 8 bytes");
	if (!r)
		r = name_family(reading, draft, alone, &family);
	if (r)
		return r;
	if (!*family.help)
		family.help = reading->help;
	for (size_t i = 0; i < map->family_count; i++)
		if (metric_families_clash(&reading->families[i], &family))
			return metric_refuse_member(reading, draft, "a value whose name is taken");
	reading->families[map->family_count++] = family;
	return 0;
}

static struct metric_family *find_family(const struct metric_reading *reading,
					 const struct drafts *drafts, const char *member)
{
	for (size_t i = 0; i < drafts->count; i++) {
		if (strcmp(drafts->items[i].field.name, member))
			continue;
		for (size_t j = 0; j < reading->map.family_count; j++)
			if (reading->families[j].offset == drafts->items[i].field.offset)
				return &reading->families[j];
	}
	return NULL;
}

static int read_beside(struct metric_reading *reading, const struct drafts *drafts,
		       const struct draft *draft)
{
	bool ended = has_role(draft, "ended"), stamp = has_role(draft, "stamp");
	struct metric_family *family;

	if (!ended && !stamp && !has_role(draft, "sum:"))
		return 0;
	if (!is_word(&draft->field) || draft->field.count != 1 || draft->field.is_signed ||
	    draft->field.offset % 8)
		return metric_refuse_member(reading, draft,
					    "\"ended\", \"stamp\" or \"sum:\", but no __u64");
	if (ended || stamp) {
		uint16_t *where = ended ? &reading->map.ended : &reading->map.stamp;

		if (*where != FIELD_NONE)
			return metric_refuse_member(reading, draft, "the second one with this tag");
		*where = draft->field.offset;
		return 0;
	}
	family = find_family(reading, drafts, draft->role + strlen("sum:"));
	if (!family || family->type != METRIC_HISTOGRAM || family->sum != FIELD_NONE)
		return metric_refuse_member(
			reading, draft,
			"\"sum:MEMBER\", where MEMBER is no histogram, or has a sum");
	family->sum = draft->field.offset;
	return 0;
}

int metric_values_read(struct metric_reading *reading, const struct drafts *drafts)
{
	size_t values = 0;
	int r;

	for (size_t i = 0; i < drafts->count; i++)
		values += !is_beside(&drafts->items[i]);
	if (!values)
		return refuse(reading->source->refusal, "metric map \"%.70s\" has no value to show",
			      reading->variable->name);
	for (size_t i = 0; i < drafts->count; i++) {
		if (is_beside(&drafts->items[i]))
			continue;
		r = add_family(reading, &drafts->items[i], values == 1);
		if (r)
			return r;
	}
	for (size_t i = 0; i < drafts->count; i++) {
		r = read_beside(reading, drafts, &drafts->items[i]);
		if (r)
			return r;
	}
	return 0;
}

/* ---- names ---- */

const char *metric_type_name(enum metric_type type)
{
	return type_names[type];
}

/* What a family's series are called, as endings of its name. */
static const char *const endings[][5] = {
	[METRIC_COUNTER] = { "", "_total", NULL },
	[METRIC_GAUGE] = { "", NULL },
	[METRIC_HISTOGRAM] = { "", "_bucket", "_count", "_sum", NULL },
};

bool metric_families_clash(const struct metric_family *a, const struct metric_family *b)
{
	char x[METRIC_NAME_SIZE], y[METRIC_NAME_SIZE];

	for (const char *const *i = endings[a->type]; *i; i++) {
		for (const char *const *j = endings[b->type]; *j; j++) {
			snprintf(x, sizeof(x), "%s%s", a->name, *i);
			snprintf(y, sizeof(y), "%s%s", b->name, *j);
			if (!strcmp(x, y))
				return true;
		}
	}
	return false;
}
