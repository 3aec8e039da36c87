/* SPDX-License-Identifier: MIT */
/* What the service says of itself: information, health, probes, schemas. */
#include <string.h>

#include "api/question.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "history/history.h"

#define SERVICE "ebpf-server"

static const struct {
	unsigned int method;
	const char *name;
} shown_methods[] = {
	{ METHOD_GET, "GET" },
	{ METHOD_POST, "POST" },
	{ METHOD_PATCH, "PATCH" },
};

int service_information(struct request *request, struct answer *answer)
{
	struct json json;

	answer_header_constant(answer, "Vary", "Accept");
	if (assets_wanted(request)) {
		answer->status = STATUS_SEE_OTHER;
		answer_header_constant(answer, "Location", "ui/");
		return 0;
	}
	answer->status = STATUS_OK;
	json_init(&json, &answer->body);
	json_object_begin(&json);
	json_member_string(&json, "service", SERVICE);
	json_member_string(&json, "version", request->api->options.version);
	json_member_string(&json, "description",
			   "Records what the Linux kernel does, by eBPF programs, and answers "
			   "questions about it.");
	json_key(&json, "endpoints");
	json_array_begin(&json);
	for (size_t i = 0; i < route_count; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(shown_methods); j++) {
			if (!(routes[i].methods & shown_methods[j].method))
				continue;
			json_object_begin(&json);
			json_member_string(&json, "method", shown_methods[j].name);
			json_member_string(&json, "path", routes[i].path);
			json_member_string(&json, "description", routes[i].summary);
			json_object_end(&json);
		}
	}
	json_array_end(&json);
	answer_query_time(&json);
	json_object_end(&json);
	return 0;
}

/* ---- health and probes ---- */

struct vitals {
	bool alive; /* the reader comes round */
	bool ready; /* programs were tried, and the server is not about to end */
	size_t enabled, running;
};

static void take_vitals(const struct api *api, struct vitals *vitals)
{
	const struct pipeline *pipeline = api->options.pipeline;
	const atomic_bool *stopping = api->options.stopping;
	struct program_view program;

	*vitals = (struct vitals){ .alive = pipeline_alive(pipeline) };
	for (size_t i = 0; i < pipeline_program_count(pipeline); i++) {
		if (pipeline_program_view(pipeline, i, &program) < 0)
			continue;
		/* One without an interface to run on is asked for by nobody. */
		vitals->enabled += program.enabled && program.status != PROGRAM_DISABLED;
		vitals->running += program.status == PROGRAM_RUNNING;
	}
	/* One that failed, or waits for an interface, holds up nobody; but with none there is
	 * nothing to be ready for. */
	vitals->ready = pipeline_ready(pipeline) && !(stopping && atomic_load(stopping)) &&
			(vitals->running || !vitals->enabled);
}

static void write_failing(struct json *json, const char *part, const char *message)
{
	json_object_begin(json);
	json_member_string(json, "part", part);
	json_member_string(json, "message", message);
	json_object_end(json);
}

static void write_history(struct json *json, struct history *history)
{
	struct history_figures figures = { .bytes = 0 };
	char oldest[CLOCK_RFC3339_SIZE];

	if (history)
		history_figures(history, &figures);
	if (figures.oldest_real)
		clock_format_rfc3339(figures.oldest_real, oldest);
	json_key(json, "history");
	json_object_begin(json);
	json_member_string(json, "state", !history ? "off" : figures.failing[0] ? "failing" : "on");
	json_member_string(json, "message", figures.failing[0] ? figures.failing : NULL);
	json_member_u64(json, "events", figures.events);
	json_member_u64(json, "bytes", figures.bytes);
	json_member_u64(json, "limit_bytes", figures.limit_bytes);
	json_member_string(json, "oldest", figures.oldest_real ? oldest : NULL);
	json_member_u64(json, "damaged_blocks", figures.damaged);
	json_member_bool(json, "taking_over", figures.taking_over);
	json_object_end(json);
}

int service_health(struct request *request, struct answer *answer)
{
	const struct api *api = request->api;
	char time[CLOCK_RFC3339_SIZE];
	uint64_t now = clock_real_ns();
	struct vitals vitals;
	bool idle, healthy;
	struct json json;

	take_vitals(api, &vitals);
	idle = !vitals.running && (vitals.enabled || !pipeline_ready(api->options.pipeline));
	healthy = vitals.alive && !idle;
	clock_format_rfc3339(now, time);

	answer->status = healthy ? STATUS_OK : STATUS_SERVICE_UNAVAILABLE;
	json_init(&json, &answer->body);
	json_object_begin(&json);
	json_member_string(&json, "status", healthy ? "healthy" : "unhealthy");
	json_member_string(&json, "service", SERVICE);
	json_member_string(&json, "version", api->options.version);
	json_member_bool(&json, "running", vitals.running > 0);
	json_member_bool(&json, "ready", vitals.ready);
	json_member_bool(&json, "alive", vitals.alive);
	json_key(&json, "failing");
	json_array_begin(&json);
	if (!vitals.alive)
		write_failing(&json, "reader",
			      "the thread that reads the kernel's ring buffers is stuck");
	if (idle)
		write_failing(&json, "programs",
			      vitals.enabled ? "no program is running; /api/programs says why"
					     : "no program was loaded yet");
	json_array_end(&json);
	write_history(&json, pipeline_history(api->options.pipeline));
	json_member_string(&json, "time", time);
	json_member_u64(&json, "timestamp", now / NS_PER_SECOND);
	json_object_end(&json);
	return 0;
}

int service_readiness(struct request *request, struct answer *answer)
{
	struct vitals vitals;

	take_vitals(request->api, &vitals);
	answer_text(answer, vitals.ready ? STATUS_OK : STATUS_SERVICE_UNAVAILABLE,
		    vitals.ready ? "Ready" : "Not ready");
	return 0;
}

int service_liveness(struct request *request, struct answer *answer)
{
	bool alive = pipeline_alive(request->api->options.pipeline);

	answer_text(answer, alive ? STATUS_OK : STATUS_SERVICE_UNAVAILABLE,
		    alive ? "OK" : "Not alive");
	return 0;
}

/* ---- /api/schema ---- */

static void write_values(struct json *json, const struct enumeration *enumeration)
{
	json_key(json, "values");
	if (!enumeration->count) {
		json_null(json);
		return;
	}
	json_array_begin(json);
	for (size_t i = 0; i < enumeration->count; i++)
		json_string(json, enumeration->entries[i].name);
	json_array_end(json);
}

static void write_field(struct json *json, const struct stream_schema *stream,
			const struct field *field)
{
	json_object_begin(json);
	json_member_string(json, "name", field->name);
	json_member_string(json, "type", field_type_name(field));
	json_member_string(json, "unit", field->unit[0] ? field->unit : NULL);
	json_member_string(json, "description", field->description);
	json_member_bool(json, "derived", field->derivation != FIELD_STORED);
	write_values(json, &field->enumeration);
	json_key(json, "schema");
	field_describe(stream, field, json);
	json_object_end(json);
}

static void write_stream(struct json *json, const struct api *api, size_t number)
{
	const struct pipeline *pipeline = api->options.pipeline;
	const struct stream_schema *schema = api_stream_schema(api, number);
	struct stream_view stream;
	struct program_view program;
	bool known = pipeline_stream_view(pipeline, number, &stream) == 0 &&
		     pipeline_program_view(pipeline, stream.program, &program) == 0;

	json_object_begin(json);
	json_member_string(json, "name", schema->name);
	json_member_string(json, "program", known ? program.name : NULL);
	json_member_string(json, "description", schema->description);
	json_member_bool(json, "active", known && stream.active);
	json_member_bool(json, "superseded", !api_stream_is_newest(api, number));
	json_key(json, "fields");
	json_array_begin(json);
	for (size_t i = 0; i < schema->field_count; i++) {
		if (!schema->fields[i].hidden)
			write_field(json, schema, &schema->fields[i]);
	}
	json_array_end(json);
	json_object_end(json);
}

/* What every event has besides its fields. */
static void write_common(struct json *json)
{
	static const struct {
		const char *name, *description;
	} members[] = {
		{ "id", "Unique; sorts by time as text; the cursor of `after` and `before`." },
		{ "type", "The stream that the event is of." },
		{ "time", "When it happened: RFC 3339, UTC, to the nanosecond." },
	};

	json_key(json, "common");
	json_array_begin(json);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		json_object_begin(json);
		json_member_string(json, "name", members[i].name);
		json_member_string(json, "type", "string");
		json_member_string(json, "description", members[i].description);
		json_object_end(json);
	}
	json_array_end(json);
}

int schema_get(struct request *request, struct answer *answer)
{
	const struct api *api = request->api;
	struct json json;

	answer->status = STATUS_OK;
	json_init(&json, &answer->body);
	json_object_begin(&json);
	write_common(&json);
	json_key(&json, "streams");
	json_array_begin(&json);
	for (size_t i = 0; i < api_stream_count(api); i++)
		write_stream(&json, api, i);
	json_array_end(&json);
	answer_query_time(&json);
	json_object_end(&json);
	return 0;
}
