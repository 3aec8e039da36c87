/* SPDX-License-Identifier: MIT */
/*
 * From an event struct to the fields of a stream, in two steps: members.c walks the struct and
 * drafts one field a member, with what its tags ask for beside it; fields.c adds the derived ones,
 * puts all in order and ties together what refers to each other by name. Internal to this folder.
 */
#ifndef SCHEMA_FIELDS_H
#define SCHEMA_FIELDS_H

#include "schema/arena.h"
#include "schema/object_reader.h"
#include "schema/schema.h"

/* What both steps need. */
struct schema_source {
	const struct object_reader *reader;
	const struct btf *kernel; /* may be NULL */
	struct arena *arena;
	const struct refusal *refusal;
};

struct draft {
	struct field field; /* stored; index, condition still open */
	const char
		*scope; /* what the names of its nested struct begin with; "" for the outer one */
	/* Texts of tags, after the colon; NULL when absent. */
	const char *code, *error_name, *endpoint, *only;
	const char *role; /* the tag that `roles` knows, or NULL */
	bool hidden;
};

struct drafts {
	struct draft *items;
	size_t count, capacity;
	size_t members; /* looked at, hidden ones included */
	/* Tags besides those that all members may have, at most one a member; what ends in ':' is
	 * the beginning of one. NULL at the end, or NULL for none. */
	const char *const *roles;
	const struct schema_source *source;
};

/* Appends a draft for each member. 0, -EINVAL, -ENOMEM. drafts->items is freed by the caller. */
int members_read(struct drafts *drafts, uint32_t event_struct);

/* Fills in fields, field_count, record_size, minimum_size of a stream. 0, -EINVAL, -ENOMEM. */
int stream_fields_read(const struct schema_source *source, uint32_t event_struct,
		       struct stream_schema *stream);

/* The first of the header's fields that is not as every event has it; HEADER_FIELDS when all
 * are. */
size_t header_misfit(const struct field *fields, size_t count);
/* Every placeholder of the lines for printing is one that it may be. 0 or -EINVAL. */
int stream_lines_check(const struct refusal *refusal, const struct stream_schema *stream,
		       const char *name);

#endif
