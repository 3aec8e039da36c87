/* SPDX-License-Identifier: MIT */
#include "api/rules.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

/* How much of a text from outside is repeated in a message. */
#define QUOTE 80

void rule_allowed(const struct rule *rule, struct buffer *out)
{
	switch (rule->kind) {
	case RULE_INTEGER:
		buffer_printf(out, "an integer from %" PRId64 " to %" PRId64, rule->minimum,
			      rule->maximum);
		break;
	case RULE_TEXT:
		buffer_append_string(out, "a text");
		break;
	case RULE_LIST:
		buffer_append_string(out, "a list of the form a,b");
		break;
	case RULE_TIME:
		buffer_append_string(out, "an RFC 3339 time such as 2026-01-31T12:00:00Z, or one "
					  "relative to now such as -5m");
		break;
	case RULE_CHOICE:
		for (size_t i = 0; rule->choices[i]; i++) {
			if (i)
				buffer_append_string(out, rule->choices[i + 1] ? ", " : " or ");
			buffer_append_string(out, rule->choices[i]);
		}
		break;
	case RULE_PLACE:
		buffer_append_string(out, "the id of an event");
		break;
	}
}

/* `known`: the message that users of this route know, or NULL. */
static int refuse(const struct rule *rule, const struct argument *argument, const char *known,
		  struct answer *answer)
{
	BUFFER allowed = BUFFER_INIT;
	FREE char *text = NULL;

	if (known)
		return answer_error(answer, STATUS_BAD_REQUEST, "%s", known);
	rule_allowed(rule, &allowed);
	text = buffer_take_string(&allowed);
	return answer_error(answer, STATUS_BAD_REQUEST,
			    "parameter \"%s\": \"%.*s\" is not allowed; allowed is %s",
			    argument->name, QUOTE, argument->value, text ? text : "another value");
}

static int read_integer(const struct rule *rule, const struct argument *argument,
			struct rule_value *value, struct answer *answer)
{
	int r;

	if (argument->form != ARGUMENT_UNTYPED && argument->form != ARGUMENT_INTEGER)
		return refuse(rule, argument, rule->wrong_type ? rule->wrong_type : rule->invalid,
			      answer);
	r = text_parse_i64(argument->value, INT64_MIN, INT64_MAX, &value->number);
	if (r == -EINVAL)
		return refuse(rule, argument, rule->invalid, answer);
	if (r < 0)
		value->number = argument->value[0] == '-' ? INT64_MIN : INT64_MAX;
	if (value->number < rule->minimum)
		return refuse(rule, argument, rule->too_small ? rule->too_small : rule->invalid,
			      answer);
	if (value->number > rule->maximum)
		return refuse(rule, argument, rule->too_large ? rule->too_large : rule->invalid,
			      answer);
	return 0;
}

static int read_value(const struct rule *rule, const struct argument *argument, uint64_t now,
		      struct rule_value *value, struct answer *answer)
{
	value->given = true;
	value->text = argument->value;
	if (rule->kind == RULE_INTEGER)
		return read_integer(rule, argument, value, answer);
	if (argument->form != ARGUMENT_UNTYPED && argument->form != ARGUMENT_STRING)
		return refuse(rule, argument, rule->wrong_type ? rule->wrong_type : rule->invalid,
			      answer);

	switch (rule->kind) {
	case RULE_TIME:
		if (clock_parse_time(argument->value, now, &value->time) < 0)
			return refuse(rule, argument, rule->invalid, answer);
		return 0;
	case RULE_PLACE:
		if (event_id_parse(argument->value, &value->place) < 0)
			return refuse(rule, argument, rule->invalid, answer);
		return 0;
	case RULE_CHOICE:
		for (size_t i = 0; rule->choices[i]; i++) {
			if (!strcmp(rule->choices[i], argument->value)) {
				value->choice = i;
				return 0;
			}
		}
		return refuse(rule, argument, rule->invalid, answer);
	default:
		return 0;
	}
}

static const struct rule *find_rule(const struct rule *rules, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(rules[i].name, name) ||
		    (rules[i].alias && !strcmp(rules[i].alias, name)))
			return &rules[i];
	}
	return NULL;
}

static int refuse_unknown(const struct rule *rules, size_t count, const char *name,
			  struct answer *answer)
{
	BUFFER known = BUFFER_INIT;
	FREE char *text = NULL;

	for (size_t i = 0; i < count; i++)
		buffer_printf(&known, "%s%s", i ? ", " : "", rules[i].name);
	text = buffer_take_string(&known);
	if (!count || !text)
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "unknown parameter \"%.*s\": none is taken here", QUOTE, name);
	return answer_error(answer, STATUS_BAD_REQUEST, "unknown parameter \"%.*s\"; known are: %s",
			    QUOTE, name, text);
}

static int refuse_twice(const struct rule *rule, const char *first, const char *second,
			struct answer *answer)
{
	if (strcmp(first, second))
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "parameters \"%s\" and \"%s\" are the same: give one of them",
				    first, second);
	if (rule && rule->kind != RULE_LIST)
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "parameter \"%s\" is given more than once", first);
	return answer_error(answer, STATUS_BAD_REQUEST,
			    "parameter \"%.*s\" is given more than once; give a list instead: "
			    "%.*s=a,b",
			    QUOTE, first, QUOTE, first);
}

/* Bounded by ARGUMENTS_MAX squared: no table of names is worth its making. */
static int check_repeated(const struct rule *rules, size_t count, const struct arguments *arguments,
			  size_t which, struct answer *answer)
{
	const char *name = arguments->items[which].name;
	const struct rule *rule = find_rule(rules, count, name);

	for (size_t i = 0; i < which; i++) {
		const char *other = arguments->items[i].name;

		if (!strcmp(other, name) || (rule && find_rule(rules, count, other) == rule))
			return refuse_twice(rule, other, name, answer);
	}
	return 0;
}

int rules_read(const struct rule *rules, size_t count, const struct arguments *arguments,
	       uint64_t now, struct rule_value *values, struct rule_others *others,
	       struct answer *answer)
{
	if (count)
		memset(values, 0, count * sizeof(*values));
	if (others)
		others->count = 0;

	for (size_t i = 0; i < arguments->count; i++) {
		const struct argument *argument = &arguments->items[i];
		const struct rule *rule = find_rule(rules, count, argument->name);
		int r;

		if (!rule && !others)
			return refuse_unknown(rules, count, argument->name, answer);
		r = check_repeated(rules, count, arguments, i, answer);
		if (r < 0)
			return r;
		if (!rule) {
			others->items[others->count++] = (uint16_t)i;
			continue;
		}
		r = read_value(rule, argument, now, &values[rule - rules], answer);
		if (r < 0)
			return r;
	}
	return 0;
}
