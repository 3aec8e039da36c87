/* SPDX-License-Identifier: MIT */
#include "api/routes.h"

#include "base/memory.h"
#include "metrics/exposition.h"

#define GET_OR_POST (METHOD_GET | METHOD_POST)

#define RULES(table) .rules = table, .rule_count = ARRAY_SIZE(table)
#define JSON_OF(answer_shape) .contents = { { MEDIA_JSON, &answer_shape, NULL } }

#define PAGE_FILES                                                                                 \
	.contents = {                                                                              \
		{ MEDIA_HTML, NULL, NULL },                                                        \
		{ "text/javascript; charset=utf-8", NULL, NULL },                                  \
		{ "text/css; charset=utf-8", NULL, NULL },                                         \
		{ "image/svg+xml", NULL, NULL },                                                   \
		{ "font/woff2", NULL, NULL },                                                      \
	}

#define ONLY_POST "Only POST method is allowed"

static const struct content not_healthy = { MEDIA_JSON, &shape_health, "Not healthy." };
static const struct content not_ready = { MEDIA_TEXT, NULL, "`Not ready`" };
static const struct content not_alive = { MEDIA_TEXT, NULL, "`Not alive`" };

const struct route routes[] = {
	{
		.methods = METHOD_GET,
		.path = "/",
		.handler = service_information,
		.tag = "service",
		.summary = "What this service is, and its endpoints",
		JSON_OF(shape_service),
		.redirect = "To /ui/, for who prefers text/html: browsers.",
	},
	{
		.methods = METHOD_GET,
		.path = "/api/events",
		.handler = events_get,
		.tag = "events",
		.summary = "Events, newest first",
		.description =
			"Every field of every stream is a filter. An expression is `value`, a "
			"list `a,b` (any of them), a range `1ms..`, `..443`, `1000..2000`, and "
			"`!` before it negates the whole. Text takes the globs `*` and `?`, "
			"addresses take prefixes (`10.0.0.0/8`), numbers take the field's unit "
			"(`1ms`, `64KiB`), and `\\` takes the next character as it is. In a "
			"query string '+' is a space; a plus sign is %2B. A stream that lacks a "
			"field that is filtered on takes no part. Before an answer is made, the "
			"kernel's buffers are read, so it holds whatever happened before the "
			"question.",
		RULES(events_rules),
		.filters = true,
		.contents = {
			{ MEDIA_JSON, &shape_event_list, NULL },
			{ MEDIA_NDJSON, NULL, "With format=ndjson: one event a line." },
			{ MEDIA_CSV, NULL, "With format=csv: a header, then an event a line." },
		},
		.errors = ERROR_UNAVAILABLE,
	},
	{
		.methods = METHOD_GET,
		.path = "/api/events/summary",
		.handler = events_summary,
		.tag = "events",
		.summary = "Events by groups: counts, sums, percentiles, over time",
		.description =
			"Filters as for /api/events. Groups come by count, largest first; groups "
			"and `other` add up to `total`, in every figure and every part of time. "
			"Values are the same where events show them the same way: texts byte by "
			"byte, numbers as numbers. Sums are exact, percentiles are right to within "
			"1 %. 65,536 groups are told apart; when there are more, `exact` is false, "
			"and `other` has what belongs to none of them.",
		RULES(events_summary_rules),
		.filters = true,
		.contents = {
			{ MEDIA_JSON, &shape_event_summary, NULL },
			{ MEDIA_CSV, NULL, "With format=csv: a header, then a group a line." },
		},
		.errors = ERROR_UNAVAILABLE,
	},
	{
		.methods = METHOD_GET,
		.path = "/api/programs",
		.handler = programs_list,
		.tag = "programs",
		.summary = "All programs: status, hooks, cost, losses",
		JSON_OF(shape_program_list),
	},
	{
		.methods = METHOD_GET,
		.path = "/api/programs/{name}",
		.handler = programs_get,
		.tag = "programs",
		.summary = "One program",
		JSON_OF(shape_program),
	},
	{
		.methods = METHOD_PATCH,
		.path = "/api/programs/{name}",
		.handler = programs_set,
		.tag = "programs",
		.summary = "Set parameters of a program while it runs",
		.description = "All values are checked before any is set. Answers with the "
			       "program as it is then.",
		.body = &shape_parameter_change,
		.body_required = true,
		JSON_OF(shape_program),
		.errors = ERROR_BODY | ERROR_BUSY | ERROR_UNAVAILABLE,
		.changes = true,
	},
	{
		.methods = METHOD_POST,
		.path = "/api/programs/{name}/enable",
		.handler = programs_enable,
		.tag = "programs",
		.summary = "Load and attach a program",
		.description = "Answers with the program as it is then.",
		JSON_OF(shape_program),
		.errors = ERROR_BODY | ERROR_BUSY | ERROR_UNAVAILABLE,
		.changes = true,
	},
	{
		.methods = METHOD_POST,
		.path = "/api/programs/{name}/disable",
		.handler = programs_disable,
		.tag = "programs",
		.summary = "Detach and unload a program",
		.description = "Its events stay readable. Answers with the program as it is then.",
		JSON_OF(shape_program),
		.errors = ERROR_BODY | ERROR_BUSY | ERROR_UNAVAILABLE,
		.changes = true,
	},
	{
		.methods = GET_OR_POST,
		.path = "/api/connection-summary",
		.handler = connection_summary,
		.tag = "reports",
		.summary = "Connection attempts of a process or a command in the last seconds",
		.description = "Either pid or command must be given.",
		RULES(summary_rules),
		.body_required = true,
		JSON_OF(shape_connection_summary),
		.errors = ERROR_BODY | ERROR_UNAVAILABLE,
		.only = ONLY_POST,
	},
	{
		.methods = GET_OR_POST,
		.path = "/api/packet-drop-summary",
		.handler = packet_drop_summary,
		.tag = "reports",
		.summary = "Packet drops in the last seconds, by reason",
		.description = "Of a process, of a command, or of all.",
		RULES(summary_rules),
		.body_required = true,
		JSON_OF(shape_packet_drop_summary),
		.errors = ERROR_BODY | ERROR_UNAVAILABLE,
		.only = ONLY_POST,
	},
	{
		.methods = GET_OR_POST,
		.path = "/api/list-connections",
		.handler = list_connections,
		.tag = "reports",
		.summary = "Newest connections, process by process",
		RULES(list_rules),
		JSON_OF(shape_connection_list),
		.errors = ERROR_BODY | ERROR_UNAVAILABLE,
	},
	{
		.methods = GET_OR_POST,
		.path = "/api/list-packet-drops",
		.handler = list_packet_drops,
		.tag = "reports",
		.summary = "Newest packet drops, process by process",
		RULES(list_rules),
		JSON_OF(shape_packet_drop_list),
		.errors = ERROR_BODY | ERROR_UNAVAILABLE,
	},
	{
		.methods = METHOD_GET,
		.path = "/api/schema",
		.handler = schema_get,
		.tag = "description",
		.summary = "Every stream, field, type, unit and description",
		JSON_OF(shape_schema),
	},
	{
		.methods = METHOD_GET,
		.path = "/openapi.json",
		.handler = openapi_get,
		.tag = "description",
		.summary = "This API as an OpenAPI 3.1 document",
		JSON_OF(shape_document),
	},
	{
		.methods = METHOD_GET,
		.path = "/ui/",
		.handler = dashboard_get,
		.tag = "pages",
		.summary = "The dashboard",
		.contents = { { MEDIA_HTML, NULL, NULL } },
		.page = true,
		.open = OPEN_ALWAYS,
	},
	{
		.methods = METHOD_GET,
		.path = "/ui/{name}",
		.handler = dashboard_get,
		.tag = "pages",
		.summary = "A view of the dashboard, or one of its files",
		PAGE_FILES,
		.page = true,
		.open = OPEN_ALWAYS,
		.name_about = "The view or file.",
	},
	{
		.methods = METHOD_GET,
		.path = "/docs/",
		.handler = docs_get,
		.tag = "pages",
		.summary = "This API to read and to try out (Swagger UI)",
		.contents = { { MEDIA_HTML, NULL, NULL } },
		.page = true,
		.open = OPEN_ALWAYS,
	},
	{
		.methods = METHOD_GET,
		.path = "/docs/{name}",
		.handler = docs_get,
		.tag = "pages",
		.summary = "A file of that page",
		PAGE_FILES,
		.page = true,
		.open = OPEN_ALWAYS,
		.name_about = "The file.",
	},
	{
		.methods = METHOD_GET,
		.path = "/metrics",
		.handler = metrics_get,
		.tag = "service",
		.summary = "Metrics for Prometheus",
		.description =
			"Of the programs and of the server, in the format that Accept asks for. A "
			"series of a process that has ended is in one answer more; what it counted "
			"is then in the series whose labels are `other`, with whatever else is not "
			"shown for itself (--max-series), so that the series of a metric add up to "
			"all that was counted.",
		.contents = {
			{ MEDIA_PROMETHEUS, NULL, "Text format 0.0.4." },
			{ MEDIA_OPENMETRICS, NULL, "OpenMetrics 1.0, where Accept prefers it." },
		},
		.probe = true,
		.open = OPEN_UNLESS_PROTECTED,
	},
	{
		.methods = METHOD_GET,
		.path = "/health",
		.handler = service_health,
		.tag = "service",
		.summary = "Whether events are being recorded",
		JSON_OF(shape_health),
		.failure = &not_healthy,
		.probe = true,
		.open = OPEN_ALWAYS,
	},
	{
		.methods = METHOD_GET,
		.path = "/readiness",
		.handler = service_readiness,
		.tag = "service",
		.summary = "Probe: programs are attached and the server is not about to end",
		.contents = { { MEDIA_TEXT, NULL, "`Ready`" } },
		.failure = &not_ready,
		.probe = true,
		.open = OPEN_ALWAYS,
	},
	{
		.methods = METHOD_GET,
		.path = "/liveness",
		.handler = service_liveness,
		.tag = "service",
		.summary = "Probe: the reader of the kernel's buffers comes round",
		.contents = { { MEDIA_TEXT, NULL, "`OK`" } },
		.failure = &not_alive,
		.probe = true,
		.open = OPEN_ALWAYS,
	},
};

const size_t route_count = ARRAY_SIZE(routes);
