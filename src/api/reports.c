/* SPDX-License-Identifier: MIT */
/*
 * /api/connection-summary and /api/packet-drop-summary: how many events of one process, or of one
 * command, in the last seconds. Names and messages are those that users of these routes know.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/question.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"

#define DURATION_DEFAULT 60

const struct rule summary_rules[SUMMARY_RULES] = {
	[SUMMARY_PID] = {
		.name = "pid",
		.kind = RULE_INTEGER,
		.minimum = 0,
		.maximum = UINT32_MAX,
		.description = "Events of this process.",
		.invalid = "Invalid PID parameter",
		.wrong_type = INVALID_BODY,
	},
	[SUMMARY_COMMAND] = {
		.name = "command",
		.alias = "process_name",
		.kind = RULE_TEXT,
		.description = "Events of processes with exactly this name.",
		.wrong_type = INVALID_BODY,
	},
	[SUMMARY_DURATION] = {
		.name = "duration",
		.alias = "duration_seconds",
		.kind = RULE_INTEGER,
		.minimum = 1,
		.maximum = 3600,
		.default_text = "60",
		.description = "The last so many seconds. Must be given in a body.",
		.invalid = "Invalid duration parameter",
		.too_small = "duration must be positive",
		.too_large = "duration cannot exceed 3600 seconds",
		.wrong_type = INVALID_BODY,
	},
};

/* One of the two reports. */
struct report {
	const char *type;	/* of the events */
	const char *total;	/* the member that says how many */
	const char *things;	/* in the message */
	const char *grouped_by; /* enum field to count by; NULL: none */
	const char *groups;	/* the member with those counts */
	bool pid_zero;		/* pid 0 (soft interrupts) is a process to ask for */
	bool any_process;	/* neither pid nor command need be given */
};

static const struct report connection_report = {
	.type = "connection",
	.total = "total_attempts",
	.things = "connection attempts",
};

static const struct report drop_report = {
	.type = "packet_drop",
	.total = "total_drops",
	.things = "packet drops",
	.grouped_by = "drop_reason",
	.groups = "by_reason",
	.pid_zero = true,
	.any_process = true,
};

struct asked {
	bool by_pid, by_command;
	uint32_t pid;
	const char *command;
	int64_t duration;
};

static int understand(const struct report *report, const struct arguments *arguments,
		      const struct rule_value *values, struct asked *asked, struct answer *answer)
{
	const struct rule_value *duration = &values[SUMMARY_DURATION];

	/* In this order, as ever: duration, then too much, then too little. */
	if (!duration->given && arguments->from_body)
		return answer_error(answer, STATUS_BAD_REQUEST, "%s",
				    summary_rules[SUMMARY_DURATION].too_small);
	asked->duration = duration->given ? duration->number : DURATION_DEFAULT;
	asked->pid = (uint32_t)values[SUMMARY_PID].number;
	asked->by_pid = values[SUMMARY_PID].given && (asked->pid || report->pid_zero);
	asked->command = values[SUMMARY_COMMAND].text;
	asked->by_command = asked->command && asked->command[0];
	if (asked->by_pid && asked->by_command)
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "cannot specify both PID and command");
	if (!asked->by_pid && !asked->by_command && !report->any_process)
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "must specify either PID or command");
	return 0;
}

static int ask(struct question *question, const struct asked *asked, struct answer *answer)
{
	uint64_t now = clock_real_ns();
	char pid[16];

	if (asked->by_pid) {
		snprintf(pid, sizeof(pid), "%" PRIu32, asked->pid);
		if (question_filter(question, "pid", pid, answer) < 0)
			return -EINVAL;
	}
	if (asked->by_command &&
	    question_filter_text(question, "command", asked->command, answer) < 0)
		return -EINVAL;
	question_window(question, now - (uint64_t)asked->duration * NS_PER_SECOND, now);
	question->query.want_total = true;
	return 0;
}

/* ---- counts by the values of an enum field ---- */

/* Newest events that are looked at for the values to begin with; most storms have few. */
#define SAMPLE 1000
#define GROUPS_MAX 256

struct groups {
	const char *field;
	uint64_t left; /* events that are in no group yet */
	char *names[GROUPS_MAX];
	size_t count;
};

static void groups_fini(struct groups *groups)
{
	for (size_t i = 0; i < groups->count; i++)
		free(groups->names[i]);
}

/* Counts the events with this value, unless that was done, and writes how many, if any. */
static int count_group(struct question *question, struct groups *groups, const char *name,
		       struct json *json, struct answer *answer)
{
	uint64_t total;

	for (size_t i = 0; i < groups->count; i++) {
		if (!strcmp(groups->names[i], name))
			return 0;
	}
	if (!groups->left || groups->count == GROUPS_MAX)
		return 0;
	groups->names[groups->count] = strdup(name);
	if (!groups->names[groups->count])
		return answer_out_of_memory(answer);
	groups->count++;
	if (question_count(question, groups->field, name, &total, answer) < 0)
		return -EINVAL;
	/* What came in after the whole was counted belongs to no group. */
	if (total > groups->left)
		total = groups->left;
	if (total)
		json_member_u64(json, name, total);
	groups->left -= total;
	return 0;
}

/* Values of the newest events. */
static int count_sampled(struct question *question, struct groups *groups, struct json *json,
			 struct answer *answer)
{
	__attribute__((cleanup(query_result_fini))) struct query_result sample = { .count = 0 };
	struct encoding encoding = question_encoding(question);

	question->query.limit = SAMPLE;
	question->query.want_total = false;
	if (question_run(question, &sample, answer) < 0)
		return -EINVAL;
	for (size_t i = 0; i < sample.count; i++) {
		const struct event *event = &sample.events[i];
		const struct field *field = stream_schema_field(event->schema, groups->field);
		struct buffer text = BUFFER_INIT;
		FREE char *name = NULL;

		if (field)
			field_encode_text(event, field, &encoding, &text);
		name = buffer_take_string(&text);
		if (name && name[0] && count_group(question, groups, name, json, answer) < 0)
			return -EINVAL;
	}
	return 0;
}

/* The other values that the field may have. */
static int count_named(struct question *question, struct groups *groups, struct json *json,
		       struct answer *answer)
{
	for (size_t i = 0; i < question->stream_count; i++) {
		const struct field *field =
			stream_schema_field(question->streams[i].schema, groups->field);

		for (size_t j = 0; field && groups->left && j < field->enumeration.count; j++) {
			if (count_group(question, groups, field->enumeration.entries[j].name, json,
					answer) < 0)
				return -EINVAL;
		}
	}
	return 0;
}

static int write_groups(struct question *question, const struct report *report, uint64_t total,
			struct json *json, struct answer *answer)
{
	__attribute__((cleanup(groups_fini))) struct groups groups = {
		.field = report->grouped_by,
		.left = total,
	};

	json_key(json, report->groups);
	json_object_begin(json);
	if (total && (count_sampled(question, &groups, json, answer) < 0 ||
		      count_named(question, &groups, json, answer) < 0))
		return -EINVAL;
	if (groups.left)
		json_member_u64(json, "other", groups.left);
	json_object_end(json);
	return 0;
}

/* ---- the answer ---- */

static void write_message(struct json *json, const struct report *report, const struct asked *asked,
			  uint64_t total)
{
	json_key(json, "message");
	if (asked->by_pid)
		json_printf(json,
			    "Found %" PRIu64 " %s from PID %" PRIu32 " over %" PRId64 " seconds",
			    total, report->things, asked->pid, asked->duration);
	else if (asked->by_command)
		json_printf(json, "Found %" PRIu64 " %s from command '%s' over %" PRId64 " seconds",
			    total, report->things, asked->command, asked->duration);
	else
		json_printf(json, "Found %" PRIu64 " %s over %" PRId64 " seconds", total,
			    report->things, asked->duration);
}

static int write_report(struct question *question, const struct report *report,
			const struct asked *asked, uint64_t total, struct answer *answer)
{
	uint64_t lost = question_lost(question);
	struct json json;

	answer->status = STATUS_OK;
	json_init(&json, &answer->body);
	json_object_begin(&json);
	json_member_u64(&json, report->total, total);
	json_member_u64(&json, "count", total);
	json_key(&json, "pid");
	if (asked->by_pid)
		json_u64(&json, asked->pid);
	else
		json_null(&json);
	json_member_string(&json, "command", asked->by_command ? asked->command : NULL);
	json_member_i64(&json, "duration", asked->duration);
	json_member_i64(&json, "duration_seconds", asked->duration);
	if (report->groups && write_groups(question, report, total, &json, answer) < 0)
		return -EINVAL;
	write_message(&json, report, asked, total);
	json_member_bool(&json, "complete", question_complete(question, lost));
	json_member_u64(&json, "lost", lost);
	answer_query_time(&json);
	json_object_end(&json);
	return 0;
}

static int answer_report(struct request *request, const struct report *report,
			 const struct arguments *arguments, struct answer *answer)
{
	__attribute__((cleanup(query_result_fini))) struct query_result result = { .count = 0 };
	QUESTION question = { .streams = NULL };
	struct rule_value values[SUMMARY_RULES];
	struct asked asked = { .by_pid = false };

	if (rules_read(summary_rules, SUMMARY_RULES, arguments, clock_real_ns(), values, NULL,
		       answer) < 0 ||
	    understand(report, arguments, values, &asked, answer) < 0 ||
	    question_init_report(&question, request->api, report->type, answer) < 0 ||
	    ask(&question, &asked, answer) < 0 || question_run(&question, &result, answer) < 0)
		return -EINVAL;
	return write_report(&question, report, &asked, result.total, answer);
}

static int report_request(struct request *request, const struct report *report,
			  struct answer *answer)
{
	ARGUMENTS arguments = ARGUMENTS_INIT;

	if (request_arguments(request, &arguments, answer) < 0)
		return -EINVAL;
	return answer_report(request, report, &arguments, answer);
}

int connection_summary(struct request *request, struct answer *answer)
{
	return report_request(request, &connection_report, answer);
}

int packet_drop_summary(struct request *request, struct answer *answer)
{
	return report_request(request, &drop_report, answer);
}
