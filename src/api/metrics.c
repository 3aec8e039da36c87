/* SPDX-License-Identifier: MIT */
/* GET /metrics, and what the API counts of itself for it. */
#include "metrics/metrics.h"

#include <stdio.h>
#include <string.h>

#include "api/routes.h"
#include "api/source.h"
#include "live/live.h"

/* ---- answers, by route and status ---- */

/* The last row is for what is no route. */
_Atomic uint64_t *answers_new(void)
{
	return calloc((route_count + 1) * status_kinds(), sizeof(_Atomic uint64_t));
}

/* Routes that share a path count as one. */
static size_t row_of(const struct route *route)
{
	size_t row = 0;

	if (!route)
		return route_count;
	while (strcmp(routes[row].path, route->path) != 0)
		row++;
	return row;
}

void answers_count(struct api *api, const struct route *route, unsigned int status)
{
	size_t place = row_of(route) * status_kinds() + status_kind(status);

	if (api->answers)
		atomic_fetch_add_explicit(&api->answers[place], 1, memory_order_relaxed);
}

static void write_answers(struct api *api, struct exposition *exposition)
{
	exposition_family(exposition, METRIC_PREFIX "api_requests", METRIC_COUNTER, "",
			  "Requests that were answered, by route and status.");
	for (size_t place = 0; place < (route_count + 1) * status_kinds(); place++) {
		size_t row = place / status_kinds();
		uint64_t count = atomic_load_explicit(&api->answers[place], memory_order_relaxed);
		char status[16];

		if (!count)
			continue;
		snprintf(status, sizeof(status), "%u", status_of_kind(place % status_kinds()));
		exposition_integer(exposition, count, "route",
				   row < route_count ? routes[row].path : "none", "status", status,
				   NULL);
	}
}

/* ---- live streams ---- */

static void write_streams(struct api *api, struct exposition *exposition)
{
	struct live_figures figures;

	live_figures(api->live, &figures);
	exposition_family(exposition, METRIC_PREFIX "api_streams", METRIC_GAUGE, "",
			  "Live streams that are open.");
	exposition_integer(exposition, sources_count(api->sources), NULL);
	exposition_family(exposition, METRIC_PREFIX "api_stream_channels", METRIC_GAUGE, "",
			  "Different questions among the streams of events.");
	exposition_integer(exposition, figures.channels, NULL);
	exposition_family(exposition, METRIC_PREFIX "api_stream_held_bytes", METRIC_GAUGE, "bytes",
			  "Events that readers of streams have not taken yet.");
	exposition_integer(exposition, figures.bytes, NULL);
	exposition_family(exposition, METRIC_PREFIX "api_stream_encoded_events", METRIC_COUNTER, "",
			  "Events that were encoded for streams, once for all readers.");
	exposition_integer(exposition, figures.encoded, NULL);
	exposition_family(exposition, METRIC_PREFIX "api_stream_missed_events", METRIC_COUNTER, "",
			  "Events that readers of streams were told they missed, being slow.");
	exposition_integer(exposition, figures.missed, NULL);
}

/* ---- the route ---- */

int metrics_get(struct request *request, struct answer *answer)
{
	enum exposition_format format = exposition_negotiate(request->accept);
	struct api *api = request->api;
	struct exposition exposition;

	exposition_begin(&exposition, format, &answer->body);
	/* HEAD shows nobody anything. */
	if (api->options.metrics)
		metrics_write(api->options.metrics, &exposition, request->method == METHOD_GET);
	write_answers(api, &exposition);
	write_streams(api, &exposition);
	exposition_end(&exposition);
	answer->status = STATUS_OK;
	answer->media_type = exposition_media_type(format);
	answer_header(answer, "Vary", "Accept");
	return 0;
}
