/* SPDX-License-Identifier: MIT */
#include "schema/fields.h"

#include <string.h>

#include "base/text.h"
#include "schema/enumerations.h"

/* What every event begins with (enum header_field). */
static const struct {
	const char *name;
	enum field_kind kind;
	uint16_t size; /* 0: any */
} header_fields[HEADER_FIELDS] = {
	[HEADER_TIMESTAMP] = { "timestamp", FIELD_INTEGER, 8 },
	[HEADER_PID] = { "pid", FIELD_INTEGER, 4 },
	[HEADER_TID] = { "tid", FIELD_INTEGER, 4 },
	[HEADER_UID] = { "uid", FIELD_INTEGER, 4 },
	[HEADER_CGROUP_ID] = { "cgroup_id", FIELD_INTEGER, 8 },
	[HEADER_COMMAND] = { "command", FIELD_STRING, 0 },
};

/* Names that an answer or a question has beside the fields. */
static const char *const reserved_names[] = {
	"id",	 "type",  "time",  "wall_time", "timestamp_ns", "since",
	"until", "limit", "after", "before",	"order",	"format",
	"int64", "by",	  "of",	   "top",	"buckets",
};

/* A stream's fields on their way from drafts to their final places. */
struct composition {
	const struct schema_source *source;
	struct draft *drafts;
	size_t draft_count;
	uint16_t *place; /* of each draft among the fields; FIELD_NONE for one that is dropped */
	struct field *fields; /* SCHEMA_MAX_FIELDS */
	size_t field_count;
};

/* A member that a tag names: of the same nested struct, else of the event struct. */
static struct draft *find_draft(const struct composition *composition, const struct draft *from,
				const char *name, size_t length)
{
	size_t scope = strlen(from->scope);

	for (int nested = 1; nested >= 0; nested--) {
		for (size_t i = 0; i < composition->draft_count; i++) {
			struct draft *draft = &composition->drafts[i];
			const char *own = draft->field.name;

			if (nested) {
				if (strncmp(own, from->scope, scope))
					continue;
				own += scope;
			}
			if (!strncmp(own, name, length) && !own[length])
				return draft;
		}
	}
	return NULL;
}

static int unknown_member(const struct composition *composition, const struct draft *draft,
			  const char *tag, const char *name, size_t length)
{
	return refuse(composition->source->refusal,
		      "member \"%s\": \"%s\" names \"%.*s\", which is no member of the event",
		      draft->field.name, tag, (int)(length < 60 ? length : 60), name);
}

static size_t part_length(const char *text)
{
	return strcspn(text, ":");
}

static int condition_value(const struct composition *composition, const struct draft *draft,
			   const struct field *looked_at, const char *text, uint64_t *ret_value)
{
	uint64_t bits,
		maximum = looked_at->size == 8 ? UINT64_MAX : (1ULL << looked_at->size * 8) - 1;
	int64_t number;

	if (enumeration_value(&looked_at->enumeration, text, ret_value))
		return 0;
	if (looked_at->is_signed && !text_parse_i64(text, INT64_MIN, INT64_MAX, &number) &&
	    number >= -(int64_t)(maximum / 2) - 1 && number <= (int64_t)(maximum / 2))
		bits = (uint64_t)number;
	else if (looked_at->is_signed || text_parse_u64(text, 0, maximum, &bits))
		return refuse(
			composition->source->refusal,
			"member \"%s\": \"only:\" has the value \"%.60s\", which \"%s\" cannot "
			"have",
			draft->field.name, text, looked_at->name);
	*ret_value = field_load_ordered((uint8_t *)&bits, looked_at->size, looked_at->is_signed);
	return 0;
}

/* "MEMBER:A|B|C"; the condition's field is the draft's number until fields have their places. */
static int read_condition(struct composition *composition, struct draft *draft)
{
	const struct refusal *refusal = composition->source->refusal;
	size_t length = part_length(draft->only);
	struct field_condition *condition = &draft->field.condition;
	FREE char *values = NULL;
	char *rest, *value;
	struct draft *looked_at;
	int r;

	looked_at = find_draft(composition, draft, draft->only, length);
	if (!looked_at)
		return unknown_member(composition, draft, "only:", draft->only, length);
	if (!field_is_integer_like(&looked_at->field) || looked_at->field.count != 1)
		return refuse(refusal,
			      "member \"%s\": \"only:\" looks at \"%s\", which is no integer",
			      draft->field.name, looked_at->field.name);
	if (!draft->only[length] || !draft->only[length + 1])
		return refuse(refusal, "member \"%s\": \"only:MEMBER:A|B\" lacks its values",
			      draft->field.name);
	rest = values = strdup(draft->only + length + 1);
	if (!values)
		return -ENOMEM;
	while ((value = strsep(&rest, "|"))) {
		if (condition->count == ARRAY_SIZE(condition->values))
			return refuse(refusal, "member \"%s\": \"only:\" has more than %zu values",
				      draft->field.name, ARRAY_SIZE(condition->values));
		r = condition_value(composition, draft, &looked_at->field, value,
				    &condition->values[condition->count]);
		if (r)
			return r;
		condition->count++;
	}
	condition->field = (uint16_t)(looked_at - composition->drafts);
	draft->field.has_condition = true;
	return 0;
}

static int read_conditions(struct composition *composition)
{
	for (size_t i = 0; i < composition->draft_count; i++) {
		struct draft *draft = &composition->drafts[i];
		int r = draft->only ? read_condition(composition, draft) : 0;

		if (r)
			return r;
	}
	return 0;
}

static bool is_looked_at(const struct composition *composition, size_t number)
{
	for (size_t i = 0; i < composition->draft_count; i++)
		if (composition->drafts[i].field.has_condition &&
		    composition->drafts[i].field.condition.field == number)
			return true;
	return false;
}

static int add_field(struct composition *composition, const struct field *field)
{
	const struct refusal *refusal = composition->source->refusal;

	if (composition->field_count == SCHEMA_MAX_FIELDS)
		return refuse(refusal, "the event struct gives more than %d fields",
			      SCHEMA_MAX_FIELDS);
	for (size_t i = 0; i < ARRAY_SIZE(reserved_names); i++)
		if (!field->hidden && !strcmp(field->name, reserved_names[i]))
			return refuse(
				refusal,
				"the field name \"%s\" has a meaning in the API; choose another",
				field->name);
	for (size_t i = 0; i < composition->field_count; i++)
		if (!strcmp(field->name, composition->fields[i].name))
			return refuse(refusal, "two fields have the name \"%s\"", field->name);
	composition->fields[composition->field_count] = *field;
	composition->fields[composition->field_count].index = (uint16_t)composition->field_count;
	composition->field_count++;
	return 0;
}

/* A derived field begins as what it shows. */
static int add_derived(struct composition *composition, const struct draft *source,
		       enum field_derivation derivation, const char *name, size_t length,
		       const char *description)
{
	struct field field = source->field;

	field.derivation = derivation;
	field.name = arena_copy(composition->source->arena, name, length);
	field.description = description;
	field.unit = "";
	if (!field.name)
		return -ENOMEM;
	if (!object_name_is_valid(field.name))
		return refuse(composition->source->refusal,
			      "member \"%s\": a tag names the field \"%.70s\", which is no C name",
			      source->field.name, field.name);
	if (derivation == FIELD_NUMBER_OF) {
		field.kind = FIELD_INTEGER;
		field.as_number = true;
	} else if (derivation == FIELD_ERRNO_OF) {
		field.kind = FIELD_ENUM;
		field.enumeration = (struct enumeration){ 0 };
	}
	field.source = composition->place[source - composition->drafts];
	return add_field(composition, &field);
}

/* The port or path of "endpoint:NAME:PORT:PATH"; *at moves on to the ':' or end after it. */
static int endpoint_part(const struct composition *composition, const struct draft *draft,
			 const char **at, bool is_port, struct draft **ret_part)
{
	const struct refusal *refusal = composition->source->refusal;
	size_t length = part_length(*at);
	struct draft *part;

	*ret_part = NULL;
	if (!length && !is_port)
		return 0;
	part = find_draft(composition, draft, *at, length);
	if (!part || part->hidden)
		return unknown_member(composition, draft, "endpoint:", *at, length);
	if (is_port && (part->field.kind != FIELD_INTEGER || part->field.size != 2 ||
			part->field.count != 1 || part->field.is_signed))
		return refuse(refusal, "member \"%s\": the endpoint's port \"%s\" is no __u16",
			      draft->field.name, part->field.name);
	if (!is_port && part->field.kind != FIELD_STRING)
		return refuse(refusal, "member \"%s\": the endpoint's path \"%s\" is no char array",
			      draft->field.name, part->field.name);
	*ret_part = part;
	*at += length;
	return 0;
}

struct endpoint {
	size_t name_length;
	struct draft *port, *path;
};

static int read_endpoint(const struct composition *composition, const struct draft *draft,
			 struct endpoint *ret_endpoint)
{
	const char *at = draft->endpoint + part_length(draft->endpoint);
	int r;

	ret_endpoint->name_length = (size_t)(at - draft->endpoint);
	ret_endpoint->path = NULL;
	if (*at++ != ':')
		return refuse(
			composition->source->refusal,
			"member \"%s\": \"endpoint:NAME:PORT_MEMBER:PATH_MEMBER\" lacks its port",
			draft->field.name);
	r = endpoint_part(composition, draft, &at, true, &ret_endpoint->port);
	if (!r && *at == ':') {
		at++;
		r = endpoint_part(composition, draft, &at, false, &ret_endpoint->path);
	}
	return r;
}

/* An endpoint is shown after its address and port, whichever comes later. */
static int add_endpoints_after(struct composition *composition, size_t last)
{
	for (size_t i = 0; i <= last; i++) {
		const struct draft *draft = &composition->drafts[i];
		struct endpoint endpoint;
		size_t port;
		int r;

		if (!draft->endpoint)
			continue;
		r = read_endpoint(composition, draft, &endpoint);
		if (r)
			return r;
		port = (size_t)(endpoint.port - composition->drafts);
		if ((port > i ? port : i) != last)
			continue;
		r = add_derived(composition, draft, FIELD_ENDPOINT_OF, draft->endpoint,
				endpoint.name_length, "Address and port, or path");
		if (r)
			return r;
		/* Numbers of drafts, until all have their places. */
		composition->fields[composition->field_count - 1].port = (uint16_t)port;
		composition->fields[composition->field_count - 1].path =
			endpoint.path ? (uint16_t)(endpoint.path - composition->drafts)
				      : FIELD_NONE;
	}
	return 0;
}

static int add_fields(struct composition *composition)
{
	for (size_t i = 0; i < composition->draft_count; i++) {
		struct draft *draft = &composition->drafts[i];
		int r;

		composition->place[i] = FIELD_NONE;
		if (draft->hidden && !is_looked_at(composition, i))
			continue;
		draft->field.hidden = draft->hidden;
		composition->place[i] = (uint16_t)composition->field_count;
		r = add_field(composition, &draft->field);
		if (!r && draft->code)
			r = add_derived(composition, draft, FIELD_NUMBER_OF, draft->code,
					strlen(draft->code), draft->field.description);
		if (!r && draft->error_name)
			r = add_derived(composition, draft, FIELD_ERRNO_OF, draft->error_name,
					strlen(draft->error_name),
					"Name of the error; null where there was none");
		if (!r)
			r = add_endpoints_after(composition, i);
		if (r)
			return r;
	}
	return 0;
}

/* Numbers of drafts become places of fields. */
static void tie(struct composition *composition)
{
	for (size_t i = 0; i < composition->field_count; i++) {
		struct field *field = &composition->fields[i];

		if (field->has_condition)
			field->condition.field = composition->place[field->condition.field];
		if (field->derivation != FIELD_ENDPOINT_OF) {
			field->port = field->path = FIELD_NONE;
			continue;
		}
		field->port = composition->place[field->port];
		if (field->path != FIELD_NONE)
			field->path = composition->place[field->path];
	}
}

size_t header_misfit(const struct field *fields, size_t count)
{
	size_t i = 0;

	for (; i < HEADER_FIELDS; i++) {
		const struct field *field = &fields[i];

		if (i >= count || strcmp(field->name, header_fields[i].name) ||
		    field->kind != header_fields[i].kind || field->is_signed || field->count != 1 ||
		    (header_fields[i].size && field->size != header_fields[i].size) ||
		    (i == HEADER_TIMESTAMP && (field->has_condition || field->zero_is_null)) ||
		    field->derivation != FIELD_STORED || field->hidden)
			break;
	}
	return i;
}

static int check_header(const struct composition *composition)
{
	const size_t misfit = header_misfit(composition->fields, composition->field_count);

	if (misfit == HEADER_FIELDS)
		return 0;
	return refuse(
		composition->source->refusal,
		"struct event_header is not the SDK's: \"%s\" is missing, out of its order, or "
		"of another type",
		header_fields[misfit].name);
}

/* The size of the struct event_header that the event begins with, or 0 when it does not. */
static uint32_t header_size(const struct object_reader *reader, const struct btf_type *event)
{
	const struct btf_type *header;

	if (!btf_vlen(event) || btf_member_bit_offset(event, 0))
		return 0;
	header = object_type(reader, btf_members(event)[0].type, NULL);
	if (!header || !btf_is_struct(header) ||
	    strcmp(object_name(reader, header->name_off), "event_header"))
		return 0;
	return header->size;
}

static int check_event(const struct schema_source *source, const struct btf_type *event)
{
	const char *name = object_name(source->reader, event->name_off);
	uint32_t size = header_size(source->reader, event);

	if (!size || size > event->size)
		return refuse(source->refusal,
			      "struct %s does not begin with a struct event_header", name);
	if (event->size > SCHEMA_MAX_RECORD)
		return refuse(source->refusal, "struct %s has %u bytes; %d are allowed", name,
			      event->size, SCHEMA_MAX_RECORD);
	if (event->size % 8)
		return refuse(
			source->refusal,
			"struct %s has %u bytes; make it a multiple of 8, with a hidden member",
			name, event->size);
	return 0;
}

static int compose(struct composition *composition, struct stream_schema *stream)
{
	struct field *fields;
	int r = read_conditions(composition);

	if (!r)
		r = add_fields(composition);
	if (!r)
		r = check_header(composition);
	if (r)
		return r;
	tie(composition);
	fields = arena_allocate(composition->source->arena, composition->field_count,
				sizeof(*fields));
	if (!fields)
		return -ENOMEM;
	memcpy(fields, composition->fields, composition->field_count * sizeof(*fields));
	stream->fields = fields;
	stream->field_count = composition->field_count;
	return 0;
}

int stream_fields_read(const struct schema_source *source, uint32_t event_struct,
		       struct stream_schema *stream)
{
	const struct btf_type *event = btf__type_by_id(source->reader->btf, event_struct);
	struct composition composition = { .source = source };
	struct drafts drafts = { .source = source };
	FREE struct field *fields = NULL;
	FREE struct draft *items = NULL;
	FREE uint16_t *place = NULL;
	int r = check_event(source, event);

	if (r)
		return r;
	r = members_read(&drafts, event_struct);
	items = drafts.items;
	if (r)
		return r;
	fields = calloc(SCHEMA_MAX_FIELDS, sizeof(*fields));
	place = calloc(drafts.count + 1, sizeof(*place));
	if (!fields || !place)
		return -ENOMEM;
	composition.drafts = items;
	composition.draft_count = drafts.count;
	composition.fields = fields;
	composition.place = place;
	r = compose(&composition, stream);
	if (r)
		return r;
	stream->record_size = (uint16_t)event->size;
	stream->minimum_size = (uint16_t)header_size(source->reader, event);
	return 0;
}
