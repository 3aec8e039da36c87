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
	return 0;
}

/* ---- counts ---- */

#define GROUPS_MAX 256

/* Counts by the values of an enum field; events that have none are with those of the rarest. */
static void write_groups(const struct report *report, const struct aggregate *aggregate,
			 const struct aggregate_result *result, struct json *json)
{
	uint64_t other = result->other.count;

	json_key(json, report->groups);
	json_object_begin(json);
	for (size_t i = 0; i < result->group_count; i++) {
		const struct aggregate_group *group = &result->groups[i];
		BUFFER text = BUFFER_INIT;
		const enum value_form form = aggregate_key(aggregate, group->number, 0, &text);
		FREE char *name = buffer_take_string(&text);

		if (form == VALUE_NULL || !name)
			other += group->figures.count;
		else
			json_member_u64(json, name, group->figures.count);
	}
	if (other)
		json_member_u64(json, "other", other);
	json_object_end(json);
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

static void write_report(const struct question *question, const struct report *report,
			 const struct asked *asked, const struct aggregate *aggregate,
			 const struct aggregate_result *result, struct answer *answer)
{
	const uint64_t lost = question_lost(question), total = result->total.count;
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
	if (report->groups)
		write_groups(report, aggregate, result, &json);
	write_message(&json, report, asked, total);
	json_member_bool(&json, "complete", question_complete(question, lost));
	json_member_u64(&json, "lost", lost);
	question_write_partial(question, &json);
	answer_query_time(&json);
	json_object_end(&json);
}

static int answer_report(struct request *request, const struct report *report,
			 const struct arguments *arguments, struct answer *answer)
{
	struct aggregate_options options = {
		.by = { report->grouped_by },
		.by_count = report->grouped_by != NULL,
		.top = GROUPS_MAX,
	};
	CLEANUP(aggregate) struct aggregate *aggregate = NULL;
	struct aggregate_result result;
	QUESTION question = { .streams = NULL };
	struct rule_value values[SUMMARY_RULES];
	struct asked asked = { .by_pid = false };

	if (rules_read(summary_rules, SUMMARY_RULES, arguments, clock_real_ns(), values, NULL,
		       answer) < 0 ||
	    understand(report, arguments, values, &asked, answer) < 0 ||
	    question_init_report(&question, request->api, report->type, answer) < 0 ||
	    ask(&question, &asked, answer) < 0)
		return -EINVAL;
	options.encoding = question_encoding(&question);
	aggregate = aggregate_new(&options);
	if (!aggregate)
		return answer_out_of_memory(answer);
	if (question_aggregate(&question, aggregate, &result, answer) < 0)
		return -EINVAL;
	write_report(&question, report, &asked, aggregate, &result, answer);
	return 0;
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
