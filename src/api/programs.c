/* SPDX-License-Identifier: MIT */
/* /api/programs: what runs, by which hooks, at what cost and with what losses; and changing it. */
#include <errno.h>
#include <string.h>

#include "api/routes.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "metrics/metrics.h"

/* Loading a large object on a busy machine takes a second or two. */
#define CHANGE_TIMEOUT_MS 10000
#define SYNC_TIMEOUT_MS 50
/* For the run counts of all programs together. */
#define STATISTICS_TIMEOUT_MS 200

/* ---- one program as JSON ---- */

static void add_ledger(struct ledger *sum, const struct ledger *part)
{
	sum->produced += part->produced;
	sum->filtered += part->filtered;
	sum->sampled_out += part->sampled_out;
	sum->lost += part->lost;
	sum->stored += part->stored;
	sum->malformed += part->malformed;
	sum->held += part->held;
	sum->expired += part->expired;
	sum->bytes_waiting += part->bytes_waiting;
	sum->persisted += part->persisted;
	sum->not_persisted += part->not_persisted;
}

static void write_ledger(struct json *json, const struct ledger *ledger)
{
	json_object_begin(json);
	json_member_u64(json, "produced", ledger->produced);
	json_member_u64(json, "filtered", ledger->filtered);
	json_member_u64(json, "sampled_out", ledger->sampled_out);
	json_member_u64(json, "lost", ledger->lost);
	json_member_u64(json, "stored", ledger->stored);
	json_member_u64(json, "malformed", ledger->malformed);
	json_member_u64(json, "held", ledger->held);
	json_member_u64(json, "expired", ledger->expired);
	json_member_u64(json, "bytes_waiting", ledger->bytes_waiting);
	json_member_u64(json, "persisted", ledger->persisted);
	json_member_u64(json, "not_persisted", ledger->not_persisted);
	json_object_end(json);
}

/* Its streams, and in `sum` what their ledgers add up to. */
static void write_streams(struct json *json, const struct pipeline *pipeline,
			  const struct program_view *program, struct ledger *sum)
{
	json_key(json, "streams");
	json_array_begin(json);
	for (size_t i = 0; i < program->stream_count; i++) {
		size_t number = (size_t)program->streams[i];
		struct stream_view stream;
		struct ledger ledger;

		if (pipeline_stream_view(pipeline, number, &stream) < 0 ||
		    pipeline_ledger(pipeline, number, &ledger) < 0)
			continue;
		add_ledger(sum, &ledger);
		json_object_begin(json);
		json_member_string(json, "name", stream.schema->name);
		json_member_bool(json, "active", stream.active);
		json_member_bool(json, "superseded", stream.superseded);
		json_key(json, "ledger");
		write_ledger(json, &ledger);
		json_object_end(json);
	}
	json_array_end(json);
}

static const char *const parameter_types[] = {
	[PARAMETER_INTEGER] = "integer",
	[PARAMETER_BOOLEAN] = "boolean",
	[PARAMETER_STRING] = "string",
};

static void write_parameters(struct json *json, const struct program_view *program)
{
	const struct program_schema *schema = program->schema;

	json_key(json, "parameters");
	json_array_begin(json);
	for (size_t i = 0; schema && i < schema->parameter_count && i < PROGRAM_MAX_PARAMETERS;
	     i++) {
		const struct parameter *parameter = &schema->parameters[i];

		json_object_begin(json);
		json_member_string(json, "name", parameter->name);
		json_member_string(json, "type", parameter_types[parameter->kind]);
		json_key(json, "value");
		parameter_encode(parameter, program->parameter_values[i], json);
		json_key(json, "default");
		parameter_encode(parameter, parameter->default_value, json);
		json_member_string(json, "unit", parameter->unit[0] ? parameter->unit : NULL);
		json_member_string(json, "description", parameter->description);
		json_object_end(json);
	}
	json_array_end(json);
}

static void write_cost(struct json *json, const struct program_view *program)
{
	if (!program->statistics_known) {
		json_member_string(json, "run_count", NULL);
		json_member_string(json, "run_time_ns", NULL);
		json_member_string(json, "ns_per_run", NULL);
		return;
	}
	json_member_u64(json, "run_count", program->run_count);
	json_member_u64(json, "run_time_ns", program->run_time_ns);
	json_key(json, "ns_per_run");
	if (program->run_count)
		json_double(json, (double)program->run_time_ns / (double)program->run_count);
	else
		json_null(json);
}

static const char *null_if_empty(const char *text)
{
	return text[0] ? text : NULL;
}

static void write_metric(void *context, const struct metric_figures *figures)
{
	struct json *json = context;

	json_object_begin(json);
	json_member_string(json, "name", figures->name);
	json_member_string(json, "type", metric_type_name(figures->type));
	json_member_string(json, "help", figures->help);
	json_member_u64(json, "series", figures->series);
	json_object_end(json);
}

static void write_metrics(struct json *json, const struct api *api,
			  const struct program_view *program)
{
	json_key(json, "metrics");
	json_array_begin(json);
	if (api->options.metrics &&
	    metrics_describe(api->options.metrics, program, write_metric, json) < 0)
		buffer_fail(json->out);
	json_array_end(json);
}

static void write_interfaces(struct json *json, const struct pipeline *pipeline,
			     const struct program_view *program)
{
	FREE struct interface_view *list = NULL;
	size_t count = 0;

	if (pipeline_program_interfaces(pipeline, program->number, &list, &count) == -ENOMEM)
		buffer_fail(json->out);
	json_key(json, "interfaces");
	json_array_begin(json);
	for (size_t i = 0; i < count; i++) {
		json_object_begin(json);
		json_member_string(json, "name", list[i].name);
		json_member_string(json, "direction", interface_direction_name(list[i].direction));
		json_member_string(json, "mode", null_if_empty(list[i].mode));
		json_member_string(json, "reason", null_if_empty(list[i].reason));
		json_object_end(json);
	}
	json_array_end(json);
}

static void write_program(struct json *json, const struct api *api,
			  const struct program_view *program)
{
	const struct pipeline *pipeline = api->options.pipeline;
	struct ledger sum = { .produced = 0 };
	uint64_t seen;

	json_object_begin(json);
	json_member_string(json, "name", program->name);
	json_member_string(json, "description",
			   program->schema ? program->schema->description : "");
	json_member_string(json, "status", program_status_name(program->status));
	json_member_bool(json, "enabled", program->enabled);
	json_member_bool(json, "loaded", program->loaded);
	json_member_bool(json, "attached", program->attached);
	json_member_string(json, "hook", null_if_empty(program->hook));
	json_member_string(json, "fallback_reason", null_if_empty(program->fallback_reason));
	write_interfaces(json, pipeline, program);
	write_cost(json, program);
	write_parameters(json, program);
	write_streams(json, pipeline, program, &sum);
	seen = sum.stored + sum.lost;
	json_member_u64(json, "event_count", sum.stored);
	json_member_u64(json, "dropped_count", sum.lost);
	json_key(json, "drop_rate");
	json_double(json, seen ? (double)sum.lost / (double)seen : 0);
	write_metrics(json, api, program);
	json_member_string(json, "error", null_if_empty(program->error));
	json_object_end(json);
}

/* ---- reading ---- */

/* The kernel counts runs only when that was asked for; then the counts are fetched for this
 * answer. */
static void refresh_statistics(const struct api *api, const struct program_view *program,
			       uint64_t deadline)
{
	uint64_t now = clock_boot_ns();

	if (!api->options.program_stats || !program->loaded || now >= deadline)
		return;
	control_refresh_statistics(api->options.control, program->number,
				   (int)((deadline - now) / NS_PER_MS) + 1);
}

static uint64_t statistics_deadline(void)
{
	return clock_boot_ns() + STATISTICS_TIMEOUT_MS * NS_PER_MS;
}

int programs_list(struct request *request, struct answer *answer)
{
	const struct api *api = request->api;
	const struct pipeline *pipeline = api->options.pipeline;
	uint64_t deadline = statistics_deadline();
	size_t total = 0, running = 0;
	struct program_view program;
	struct json json;

	pipeline_sync(api->options.pipeline, SYNC_TIMEOUT_MS);
	answer->status = STATUS_OK;
	json_init(&json, &answer->body);
	json_object_begin(&json);
	json_key(&json, "programs");
	json_array_begin(&json);
	for (size_t i = 0; i < pipeline_program_count(pipeline); i++) {
		if (pipeline_program_view(pipeline, i, &program) < 0)
			continue;
		refresh_statistics(api, &program, deadline);
		if (pipeline_program_view(pipeline, i, &program) < 0)
			continue;
		write_program(&json, api, &program);
		total++;
		running += program.status == PROGRAM_RUNNING;
	}
	json_array_end(&json);
	json_member_u64(&json, "total_programs", total);
	json_member_u64(&json, "running_programs", running);
	answer_query_time(&json);
	json_object_end(&json);
	return 0;
}

/* The program that the path names. Returns 0, or -EINVAL with the answer filled. */
static int find_program(const struct request *request, struct program_view *ret_program,
			struct answer *answer)
{
	const struct pipeline *pipeline = request->api->options.pipeline;
	int number = pipeline_find_program(pipeline, request->name);

	if (number < 0 || pipeline_program_view(pipeline, (size_t)number, ret_program) < 0)
		return answer_error(
			answer, STATUS_NOT_FOUND,
			"there is no program \"%.64s\"; /api/programs lists those there "
			"are",
			request->name);
	return 0;
}

static int answer_program(struct request *request, struct answer *answer)
{
	const struct api *api = request->api;
	struct program_view program;
	struct json json;

	pipeline_sync(api->options.pipeline, SYNC_TIMEOUT_MS);
	if (find_program(request, &program, answer) < 0)
		return -EINVAL;
	answer->status = STATUS_OK;
	json_init(&json, &answer->body);
	write_program(&json, api, &program);
	return 0;
}

int programs_get(struct request *request, struct answer *answer)
{
	struct program_view program;

	if (find_program(request, &program, answer) < 0)
		return -EINVAL;
	refresh_statistics(request->api, &program, statistics_deadline());
	return answer_program(request, answer);
}

/* ---- changing ---- */

static int refuse_change(const struct program_view *program, const struct message *message, int r,
			 const char *error, struct answer *answer)
{
	/* What the loader or the system says, after what it is about. */
	const char *parameter = message->name[0] ? ", parameter " : "";

	switch (r) {
	case -ETIMEDOUT:
		return answer_error(answer, STATUS_SERVICE_UNAVAILABLE,
				    "program %s%s%s: no answer from the loader within %d seconds; "
				    "/api/programs/%s shows what became of it",
				    program->name, parameter, message->name,
				    CHANGE_TIMEOUT_MS / 1000, program->name);
	case -EPIPE:
		return answer_error(answer, STATUS_SERVICE_UNAVAILABLE,
				    "program %s%s%s: the loader is gone", program->name, parameter,
				    message->name);
	default:
		return answer_error(answer,
				    r == -EINVAL || r == -ERANGE ? STATUS_BAD_REQUEST
								 : STATUS_INTERNAL_SERVER_ERROR,
				    "program %s%s%s: %s", program->name, parameter, message->name,
				    error[0] ? error : strerror(-r));
	}
}

static int send_change(const struct request *request, const struct program_view *program,
		       struct message *message, struct answer *answer)
{
	char error[MESSAGE_TEXT_SIZE] = "";
	int r = control_request(request->api->options.control, message, CHANGE_TIMEOUT_MS, error,
				sizeof(error));

	return r < 0 ? refuse_change(program, message, r, error, answer) : 0;
}

/* One change at a time, so that waiting for the loader never takes every thread. */
static int begin_change(struct api *api, struct answer *answer)
{
	if (atomic_exchange(&api->changing, true)) {
		answer_error(answer, STATUS_TOO_MANY_REQUESTS,
			     "another change of a program is under way; try again in a second");
		answer_header(answer, "Retry-After", "1");
		return -EBUSY;
	}
	return 0;
}

static void end_change(struct api *api)
{
	atomic_store(&api->changing, false);
}

static int switch_program(struct request *request, enum message_type type, struct answer *answer)
{
	struct program_view program;
	struct message message = { .type = type };
	int r;

	if (find_program(request, &program, answer) < 0 || begin_change(request->api, answer) < 0)
		return -EINVAL;
	message.program = program.number;
	r = send_change(request, &program, &message, answer);
	end_change(request->api);
	return r < 0 ? r : answer_program(request, answer);
}

int programs_enable(struct request *request, struct answer *answer)
{
	return switch_program(request, MESSAGE_ENABLE, answer);
}

int programs_disable(struct request *request, struct answer *answer)
{
	return switch_program(request, MESSAGE_DISABLE, answer);
}

/* ---- parameters ---- */

static int refuse_parameter(const struct program_schema *schema, const char *name,
			    struct answer *answer)
{
	BUFFER known = BUFFER_INIT;
	FREE char *text = NULL;

	for (size_t i = 0; schema && i < schema->parameter_count; i++)
		buffer_printf(&known, "%s%s", i ? ", " : "", schema->parameters[i].name);
	if (!known.length)
		buffer_append_string(&known, "none");
	text = buffer_take_string(&known);
	return answer_error(answer, STATUS_BAD_REQUEST,
			    "unknown parameter \"%.64s\"; known are: %s", name, text ? text : "");
}

static bool form_fits(const struct parameter *parameter, enum argument_form form)
{
	switch (parameter->kind) {
	case PARAMETER_STRING:
		return form == ARGUMENT_STRING;
	case PARAMETER_BOOLEAN:
		return form == ARGUMENT_BOOLEAN || form == ARGUMENT_INTEGER ||
		       form == ARGUMENT_STRING;
	default:
		/* As a string too: a number with a unit, or one that is no int64. */
		return form == ARGUMENT_INTEGER || form == ARGUMENT_STRING;
	}
}

static int parse_parameter(const struct program_view *program, const struct argument *argument,
			   struct message *ret_message, struct answer *answer)
{
	const struct parameter *parameter = NULL;
	char error[256] = "";

	if (program->schema)
		parameter = program_schema_parameter(program->schema, argument->name);
	if (!parameter || parameter->size > sizeof(ret_message->value))
		return refuse_parameter(program->schema, argument->name, answer);
	*ret_message = (struct message){
		.type = MESSAGE_SET_PARAMETER,
		.program = program->number,
		.value_size = parameter->size,
	};
	message_set_text(ret_message->name, "%s", parameter->name);
	if (!form_fits(parameter, argument->form))
		return answer_error(answer, STATUS_BAD_REQUEST, "parameter \"%s\": must be %s %s",
				    parameter->name,
				    parameter->kind == PARAMETER_INTEGER ? "an" : "a",
				    parameter_types[parameter->kind]);
	if (parameter_parse(parameter, argument->value, ret_message->value, error, sizeof(error)) <
	    0)
		return answer_error(answer, STATUS_BAD_REQUEST, "parameter \"%s\": %s",
				    parameter->name, error);
	return 0;
}

static int parse_parameters(const struct program_view *program, const struct arguments *arguments,
			    struct message *messages, struct answer *answer)
{
	if (!arguments->count)
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "the body sets no parameter; the form is "
				    "{\"parameters\":{\"name\":value}}");
	for (size_t i = 0; i < arguments->count; i++) {
		if (parse_parameter(program, &arguments->items[i], &messages[i], answer) < 0)
			return -EINVAL;
	}
	return 0;
}

int programs_set(struct request *request, struct answer *answer)
{
	ARGUMENTS arguments = ARGUMENTS_INIT;
	FREE struct message *messages = NULL;
	struct program_view program;
	int r = 0;

	if (find_program(request, &program, answer) < 0 ||
	    arguments_from_body(&arguments, request->body.data, request->body.length, "parameters",
				answer) < 0)
		return -EINVAL;
	messages = calloc(arguments.count + 1, sizeof(*messages));
	if (!messages)
		return -ENOMEM;
	if (parse_parameters(&program, &arguments, messages, answer) < 0 ||
	    begin_change(request->api, answer) < 0)
		return -EINVAL;
	for (size_t i = 0; !r && i < arguments.count; i++)
		r = send_change(request, &program, &messages[i], answer);
	end_change(request->api);
	return r < 0 ? r : answer_program(request, answer);
}
