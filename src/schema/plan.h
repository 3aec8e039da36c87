/* SPDX-License-Identifier: MIT */
/*
 * How to write a stream's events as JSON, worked out once: the texts between the values, in order,
 * and how much room an event takes at most. Internal to this folder. Immutable.
 */
#ifndef SCHEMA_PLAN_H
#define SCHEMA_PLAN_H

#include "schema/arena.h"
#include "schema/schema.h"

/* Keys are copied in pieces of this size, whatever their length: one move instead of a call. */
#define PLAN_KEY_SIZE 32

enum step_kind {
	STEP_NUMBER,	/* one integer */
	STEP_BARE,	/* list, true or false */
	STEP_QUOTED,	/* text that needs no escape */
	STEP_STRING,	/* char array */
	STEP_IP,	/* one address, shortcut of STEP_QUOTED */
	STEP_ENDPOINT,	/* address or path */
	STEP_TIMESTAMP, /* the header's, with everything that is said of time */
};

struct plan_step {
	const char *key; /* `,"name":`, readable up to PLAN_KEY_SIZE bytes at least */
	const struct field *field;
	enum step_kind kind;
	uint16_t key_length;
	uint16_t end; /* a record that is shorter has no such field */
	bool always;  /* no condition, no derivation: not null within the record */
};

struct encode_plan {
	const char *type; /* `","type":"NAME"`, after the id */
	size_t type_length;
	size_t room; /* bytes that an event takes at most, where no text needs escapes */
	size_t step_count;
	struct plan_step steps[];
};

/* NULL when out of memory. */
struct encode_plan *encode_plan_new(struct arena *arena, const struct stream_schema *stream);

#endif
