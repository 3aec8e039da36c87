/* SPDX-License-Identifier: MIT */
/*
 * What arguments mean: const tables of rules, one row a parameter. Checking, error messages and the
 * OpenAPI document all come from the rows.
 */
#ifndef API_RULES_H
#define API_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/answer.h"
#include "api/arguments.h"
#include "schema/encode.h"

enum rule_kind {
	RULE_INTEGER,
	RULE_TEXT,
	RULE_LIST, /* text of the form a,b */
	RULE_TIME,
	RULE_CHOICE,
	RULE_PLACE, /* the id of an event */
};

struct rule {
	const char *name;
	const char *alias; /* another name for the same; NULL: none */
	enum rule_kind kind;
	const char *description;
	int64_t minimum, maximum;   /* RULE_INTEGER */
	const char *const *choices; /* RULE_CHOICE: ended by NULL; the first is the default */
	const char *default_text;   /* for the documentation; NULL: none */
	/* Messages that users of some routes know; NULL: one that names the parameter and says
	 * what is allowed. `wrong_type`: a member of a body has another JSON type (or, for a
	 * JSON integer, is negative where that cannot be meant: `too_small` goes first). */
	const char *invalid, *too_small, *too_large, *wrong_type;
};

struct rule_value {
	bool given;
	const char *text; /* as it came, or NULL; belongs to the arguments */
	int64_t number;	  /* RULE_INTEGER */
	uint64_t time;	  /* RULE_TIME: wall time in ns */
	size_t choice;	  /* RULE_CHOICE: index, also when not given */
	struct event_id place;
};

/* Arguments that no rule has, by their index. */
struct rule_others {
	uint16_t items[ARGUMENTS_MAX];
	size_t count;
};

/*
 * Reads the arguments by the rules into `values`, one a rule. `now`: wall time in ns that relative
 * times are relative to. A name that is given twice is an error; so is one that no rule has, unless
 * `others` takes it. Returns 0, or -EINVAL with the answer filled.
 */
int rules_read(const struct rule *rules, size_t count, const struct arguments *arguments,
	       uint64_t now, struct rule_value *values, struct rule_others *others,
	       struct answer *answer);

/* "an integer from 1 to 10000". */
void rule_allowed(const struct rule *rule, struct buffer *out);

#endif
