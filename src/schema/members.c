/* SPDX-License-Identifier: MIT */
#include "schema/fields.h"

#include <string.h>

#include "schema/enumerations.h"

#define MAX_DEPTH 8
#define MAX_MEMBERS 1024 /* hidden ones included: empty structs could go on for ever */

/* One member of a struct, and all that is said about it. */
struct member {
	const char *name; /* as shown */
	const char *scope;
	uint32_t type;	 /* as declared */
	uint32_t offset; /* bytes from the record's start */
	const char *description, *unit, *format, *enumeration;
	bool number, hidden, zero_is_null;
	const char *code, *error_name, *endpoint, *only;
	const char *role;
};

/* The tags that take a text, and where it goes. */
static const struct {
	const char *prefix;
	size_t where;
} text_tags[] = {
	{ "description:", offsetof(struct member, description) },
	{ "unit:", offsetof(struct member, unit) },
	{ "format:", offsetof(struct member, format) },
	{ "enum:", offsetof(struct member, enumeration) },
	{ "code:", offsetof(struct member, code) },
	{ "errno:", offsetof(struct member, error_name) },
	{ "endpoint:", offsetof(struct member, endpoint) },
	{ "only:", offsetof(struct member, only) },
};

static bool is_role(const struct drafts *drafts, const char *text)
{
	for (const char *const *role = drafts->roles; role && *role; role++) {
		size_t length = strlen(*role);

		/* "sum:" has something after it, "label" has not. */
		if (!strncmp(text, *role, length) && ((*role)[length - 1] == ':' || !text[length]))
			return true;
	}
	return false;
}

static int read_tag(const struct drafts *drafts, struct member *member, const char *text)
{
	const struct schema_source *source = drafts->source;

	if (is_role(drafts, text)) {
		if (member->role)
			return refuse(source->refusal, "member \"%s\" is \"%.40s\" and \"%.40s\"",
				      member->name, member->role, text);
		member->role = text;
		return 0;
	}
	if (!strcmp(text, "hidden")) {
		member->hidden = true;
		return 0;
	}
	if (!strcmp(text, "zero:null")) {
		member->zero_is_null = true;
		return 0;
	}
	if (!strcmp(text, "number")) {
		member->number = true;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(text_tags); i++) {
		const char **where = (const char **)((char *)member + text_tags[i].where);
		size_t length = strlen(text_tags[i].prefix);

		if (strncmp(text, text_tags[i].prefix, length))
			continue;
		if (*where)
			return refuse(source->refusal, "member \"%s\" has two tags \"%s…\"",
				      member->name, text_tags[i].prefix);
		*where = text + length;
		return 0;
	}
	return refuse(source->refusal,
		      "member \"%s\" has the unknown tag \"%.60s\"; known are description:, unit:, "
		      "format:, enum:, code:, errno:, endpoint:, only:, zero:null, number, hidden",
		      member->name, text);
}

static int wrong_type(const struct schema_source *source, const struct member *member,
		      const char *what)
{
	return refuse(source->refusal, "member \"%s\" is %s", member->name, what);
}

/* An integer of 1, 2, 4 or 8 whole bytes; enums count. */
static int describe_integer(const struct schema_source *source, const struct member *member,
			    const struct btf_type *type, struct field *field)
{
	uint8_t encoding = 0;

	if (type->size != 1 && type->size != 2 && type->size != 4 && type->size != 8)
		return wrong_type(source, member, "an integer of neither 1, 2, 4 nor 8 bytes");
	if (btf_is_int(type)) {
		encoding = btf_int_encoding(type);
		if (btf_int_offset(type) || btf_int_bits(type) != type->size * 8)
			return wrong_type(source, member,
					  "a bit-field; give it an integer of its own");
	}
	field->size = (uint16_t)type->size;
	field->kind = FIELD_INTEGER;
	field->is_signed = btf_is_int(type) ? encoding & BTF_INT_SIGNED : enum_is_signed(type);
	if (encoding & BTF_INT_BOOL) {
		if (type->size != 1)
			return wrong_type(source, member, "a bool of more than one byte");
		field->kind = FIELD_BOOLEAN;
		field->is_signed = false;
	}
	return 0;
}

/* "enum:TYPE:PREFIX", or the member's own enum type. */
static int add_names(const struct schema_source *source, const struct member *member,
		     const struct btf_type *type, struct field *field)
{
	const struct btf *btf = source->reader->btf;
	const char *prefix = NULL, *colon;

	if (member->enumeration) {
		FREE char *name = NULL;

		if (field->kind != FIELD_INTEGER)
			return wrong_type(source, member, "tagged \"enum:\" but no integer");
		colon = strchr(member->enumeration, ':');
		name = strndup(member->enumeration, colon ? (size_t)(colon - member->enumeration)
							  : strlen(member->enumeration));
		if (!name)
			return -ENOMEM;
		prefix = colon ? colon + 1 : "";
		/* The running kernel first: numbers differ between kernels. */
		btf = source->kernel;
		type = btf_enum_by_name(btf, name);
		if (!type) {
			btf = source->reader->btf;
			type = btf_enum_by_name(btf, name);
		}
	}
	field->kind = member->number ? FIELD_INTEGER : FIELD_ENUM;
	field->as_number = member->number;
	if (!type)
		return 0; /* known nowhere: numbers are all there is to show */
	return enumeration_read(source->arena, btf, type, prefix, field->size, field->is_signed,
				&field->enumeration);
}

static bool is_char(const struct object_reader *reader, const struct btf_type *type)
{
	return btf_is_int(type) && type->size == 1 &&
	       (!strcmp(object_name(reader, type->name_off), "char") ||
		btf_int_encoding(type) & BTF_INT_CHAR);
}

static int describe_array(const struct schema_source *source, const struct member *member,
			  const struct btf_type *type, struct field *field)
{
	const struct object_reader *reader = source->reader;
	const struct btf_type *element = object_type(reader, btf_array(type)->type, NULL);
	uint32_t count = btf_array(type)->nelems;
	int r;

	if (!element || (!btf_is_int(element) && !btf_is_any_enum(element)))
		return wrong_type(source, member, "an array of something that is no integer");
	if (!count || count > SCHEMA_MAX_RECORD)
		return wrong_type(source, member, "an array of no fixed, reasonable length");
	r = describe_integer(source, member, element, field);
	if (r)
		return r;
	if (field->kind != FIELD_INTEGER || btf_is_any_enum(element))
		return wrong_type(source, member, "an array of bools or enums; use integers");
	if (is_char(reader, element)) {
		field->kind = FIELD_STRING;
		field->is_signed = false;
		field->size = (uint16_t)count;
	} else {
		field->count = (uint16_t)count;
	}
	return 0;
}

static int describe_type(const struct schema_source *source, const struct member *member,
			 struct field *field)
{
	const struct btf_type *type = object_type(source->reader, member->type, NULL);
	int r;

	switch (type ? btf_kind(type) : BTF_KIND_UNKN) {
	case BTF_KIND_INT:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		r = describe_integer(source, member, type, field);
		break;
	case BTF_KIND_ARRAY:
		r = describe_array(source, member, type, field);
		break;
	case BTF_KIND_UNION:
		return wrong_type(source, member, "a union; give each meaning a member of its own");
	case BTF_KIND_PTR:
		return wrong_type(source, member,
				  "a pointer; use __u64, with format:symbol for code");
	case BTF_KIND_FLOAT:
		return wrong_type(source, member, "a float; use an integer with a unit");
	default:
		return wrong_type(source, member, "of a type that cannot be a field");
	}
	if (r)
		return r;
	if (btf_is_any_enum(type) || member->enumeration)
		return field->count == 1
			       ? add_names(source, member, type, field)
			       : wrong_type(source, member, "a list; \"enum:\" is for one integer");
	return member->number ? wrong_type(source, member, "tagged \"number\" but no enum") : 0;
}

/* Formats of bytes look at the size alone: __u8[16], __u32[4] and struct in6_addr are all
 * addresses. */
static int describe_bytes(const struct schema_source *source, const struct member *member,
			  struct field *field)
{
	uint32_t size;

	if (object_type_size(source->reader, member->type, &size))
		return wrong_type(source, member, "of a type without a size");
	if (!strcmp(member->format, "ip")) {
		if (size != 16 && size != 4)
			return wrong_type(source, member,
					  "no IP address: those have 16 or 4 bytes");
		field->kind = FIELD_IP;
	} else if (!strcmp(member->format, "mac")) {
		if (size != 6)
			return wrong_type(source, member, "no MAC address: those have 6 bytes");
		field->kind = FIELD_MAC;
	} else {
		const struct btf_type *type = object_type(source->reader, member->type, NULL);
		const struct btf_type *element =
			type && btf_is_array(type)
				? object_type(source->reader, btf_array(type)->type, NULL)
				: NULL;

		if (!element || !btf_is_int(element) || element->size != 1 || !size ||
		    size > SCHEMA_MAX_RECORD)
			return wrong_type(source, member, "no byte array, as format:bytes asks");
		field->kind = FIELD_BYTES;
	}
	field->size = (uint16_t)size;
	return 0;
}

static int describe(const struct schema_source *source, const struct member *member,
		    struct field *field)
{
	const char *format = member->format;
	int r;

	if (format &&
	    (!strcmp(format, "ip") || !strcmp(format, "mac") || !strcmp(format, "bytes"))) {
		if (member->enumeration || member->number)
			return wrong_type(source, member, "of two formats at once");
		return describe_bytes(source, member, field);
	}
	r = describe_type(source, member, field);
	if (r || !format)
		return r;
	if (strcmp(format, "symbol") && strcmp(format, "hex"))
		return refuse(source->refusal,
			      "member \"%s\" has the unknown format \"%.40s\"; known are ip, mac, "
			      "symbol, hex, bytes",
			      member->name, format);
	if (field->kind != FIELD_INTEGER || field->count != 1 || field->as_number)
		return wrong_type(source, member, "no plain integer, as its format asks");
	if (!strcmp(format, "symbol") && field->size != 8)
		return wrong_type(source, member, "no __u64, as format:symbol asks");
	field->kind = format[0] == 's' ? FIELD_SYMBOL : FIELD_HEX;
	field->is_signed = false; /* what is shown are its bits */
	return 0;
}

static int check_beside(const struct schema_source *source, const struct member *member,
			const struct field *field)
{
	if (member->code && !field->enumeration.entries && !member->enumeration)
		return wrong_type(source, member, "tagged \"code:\" but no enum");
	if (member->error_name && !(field->kind == FIELD_INTEGER && field->is_signed &&
				    field->count == 1 && field->size >= 2))
		return wrong_type(source, member, "tagged \"errno:\" but no signed integer");
	if (member->zero_is_null && (field->is_signed || field->count != 1))
		return wrong_type(source, member,
				  "tagged \"zero:null\" but a signed integer or a list");
	if (member->endpoint && field->kind != FIELD_IP)
		return wrong_type(source, member, "tagged \"endpoint:\" but no format:ip");
	return 0;
}

static int append(struct drafts *drafts, const struct draft *draft)
{
	if (drafts->count == drafts->capacity) {
		size_t capacity = drafts->capacity ? drafts->capacity * 2 : 32;
		struct draft *items = reallocarray(drafts->items, capacity, sizeof(*items));

		if (!items)
			return -ENOMEM;
		drafts->items = items;
		drafts->capacity = capacity;
	}
	drafts->items[drafts->count++] = *draft;
	return 0;
}

static int add_member(struct drafts *drafts, const struct member *member)
{
	const struct schema_source *source = drafts->source;
	const struct refusal nobody = { NULL, 0 };
	struct schema_source quiet = *source;
	struct draft draft = {
		.field = { .name = member->name,
			   .description = member->description ? member->description : "",
			   .unit = member->unit ? member->unit : "",
			   .offset = (uint16_t)member->offset,
			   .count = 1,
			   .zero_is_null = member->zero_is_null },
		.scope = member->scope,
		.code = member->code,
		.error_name = member->error_name,
		.endpoint = member->endpoint,
		.only = member->only,
		.role = member->role,
		.hidden = member->hidden,
	};
	int r;

	if (member->hidden) {
		/* Whatever it is; an integer may be looked at by a condition. */
		quiet.refusal = &nobody;
		r = describe(&quiet, member, &draft.field);
		draft.code = draft.error_name = draft.endpoint = draft.only = NULL;
		draft.field.description = draft.field.unit = "";
		return r == -EINVAL ? 0 : r ? r : append(drafts, &draft);
	}
	r = describe(source, member, &draft.field);
	if (!r)
		r = check_beside(source, member, &draft.field);
	if (r)
		return r;
	draft.field.description =
		arena_copy(source->arena, draft.field.description, strlen(draft.field.description));
	draft.field.unit = arena_copy(source->arena, draft.field.unit, strlen(draft.field.unit));
	return draft.field.description && draft.field.unit ? append(drafts, &draft) : -ENOMEM;
}

static char *join(struct arena *arena, const char *scope, const char *name, const char *after)
{
	size_t a = strlen(scope), b = strlen(name), c = strlen(after);
	char *joined = arena_allocate(arena, a + b + c + 1, 1);

	if (joined)
		stpcpy(stpcpy(stpcpy(joined, scope), name), after);
	return joined;
}

static int walk(struct drafts *drafts, uint32_t id, uint32_t offset, uint32_t size,
		const char *scope, unsigned int depth);

/* A struct without a format of its own is looked into. */
static bool is_nested(const struct object_reader *reader, const struct member *member)
{
	const struct btf_type *type = object_type(reader, member->type, NULL);

	return type && btf_is_struct(type) && !member->format && !member->hidden;
}

static int walk_nested(struct drafts *drafts, const struct member *member, const char *own_name,
		       unsigned int depth)
{
	const struct schema_source *source = drafts->source;
	const char *scope = member->scope;
	uint32_t id, size;
	const struct btf_type *type = object_type(source->reader, member->type, &id);

	size = type->size;
	/* The header's members, and those of an anonymous struct, are the outer struct's own. */
	if (*own_name && strcmp(object_name(source->reader, type->name_off), "event_header"))
		scope = join(source->arena, member->scope, own_name, "_");
	return scope ? walk(drafts, id, member->offset, size, scope, depth + 1) : -ENOMEM;
}

static int walk_member(struct drafts *drafts, uint32_t struct_id, uint32_t number,
		       uint32_t outer_offset, uint32_t outer_size, const char *scope,
		       unsigned int depth)
{
	const struct schema_source *source = drafts->source;
	const struct object_reader *reader = source->reader;
	const struct btf_type *outer = btf__type_by_id(reader->btf, struct_id);
	const struct btf_member *btf_member = btf_members(outer) + number;
	const char *own_name = object_name(reader, btf_member->name_off);
	uint32_t bits = btf_member_bit_offset(outer, number), size;
	const struct object_tag *tag = NULL;
	struct member member = { .name = *own_name ? own_name : "(anonymous)",
				 .scope = scope,
				 .type = btf_member->type };
	int r;

	if (++drafts->members > MAX_MEMBERS)
		return refuse(source->refusal, "the event struct has more than %d members",
			      MAX_MEMBERS);
	while ((tag = object_next_tag(reader, struct_id, (int)number, tag))) {
		r = read_tag(drafts, &member, tag->text);
		if (r)
			return r;
	}
	if (btf_member_bitfield_size(outer, number) || bits % 8)
		return member.hidden ? 0
				     : wrong_type(source, &member,
						  "a bit-field; give it an integer of its own");
	if (object_type_size(reader, member.type, &size)) {
		/* Pointers have no size in BTF; that and whatever is stranger gets its own
		 * words. */
		size = 0;
	}
	if (bits / 8 > outer_size || size > outer_size - bits / 8)
		return wrong_type(source, &member, "not inside its struct");
	member.offset = outer_offset + bits / 8;
	if (is_nested(reader, &member))
		return walk_nested(drafts, &member, own_name, depth);
	if (*own_name) {
		member.name = join(source->arena, scope, own_name, "");
		if (!member.name)
			return -ENOMEM;
		if (!object_name_is_valid(member.name))
			return wrong_type(source, &member, "named too long, or not as C names are");
	} else if (!member.hidden) {
		return wrong_type(source, &member, "neither named nor a struct");
	}
	return add_member(drafts, &member);
}

static int walk(struct drafts *drafts, uint32_t id, uint32_t offset, uint32_t size,
		const char *scope, unsigned int depth)
{
	const struct btf_type *type = btf__type_by_id(drafts->source->reader->btf, id);

	if (depth > MAX_DEPTH)
		return refuse(drafts->source->refusal, "structs are nested more than %d deep",
			      MAX_DEPTH);
	for (uint32_t i = 0; i < btf_vlen(type); i++) {
		int r = walk_member(drafts, id, i, offset, size, scope, depth);

		if (r)
			return r;
	}
	return 0;
}

int members_read(struct drafts *drafts, uint32_t event_struct)
{
	const struct btf_type *type = btf__type_by_id(drafts->source->reader->btf, event_struct);

	return walk(drafts, event_struct, 0, type->size, "", 0);
}
