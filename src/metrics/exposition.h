/* SPDX-License-Identifier: MIT */
/*
 * Metrics as text: Prometheus' format 0.0.4, or OpenMetrics 1.0. A family is begun, then its
 * samples are written; both formats come out of the same calls. Not thread-safe.
 *
 * Sources: prometheus.io/docs/instrumenting/exposition_formats, and the OpenMetrics specification
 * 1.0.0.
 */
#ifndef METRICS_EXPOSITION_H
#define METRICS_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "schema/metric.h"

#define MEDIA_PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"
#define MEDIA_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

enum exposition_format { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };

/* The format that an Accept header (RFC 9110, 12.5.1) asks for; NULL: none was sent. */
enum exposition_format exposition_negotiate(const char *accept);
/* For Content-Type. */
const char *exposition_media_type(enum exposition_format format);

struct exposition {
	struct buffer *out;
	enum exposition_format format;
	const char *name; /* of the family whose samples are written */
	enum metric_type type;
};

/* A number in 10^-decimals. */
struct exposition_value {
	uint64_t value; /* a signed one as two's complement */
	uint8_t decimals;
	bool is_signed;
};

void exposition_begin(struct exposition *exposition, enum exposition_format format,
		      struct buffer *out);
/* After the last sample. */
void exposition_end(struct exposition *exposition);

/* `name` is without _total, and ends with the unit ("" for none). The texts must stay until the
 * next family begins. */
void exposition_family(struct exposition *exposition, const char *name, enum metric_type type,
		       const char *unit, const char *help);
/* One sample of a counter or gauge. `labels` is what exposition_label() wrote: may be empty. */
void exposition_sample(struct exposition *exposition, const struct buffer *labels,
		       struct exposition_value value);

/* A histogram's samples: `slots` of counts as METRIC_LOG2() arrays hold them, in 10^-decimals of
 * the unit; `sum` of all values may be NULL. */
void exposition_histogram(struct exposition *exposition, const struct buffer *labels,
			  const uint64_t *counts, size_t slots, uint8_t decimals,
			  const uint64_t *sum);

/* Appends `name="text"`, with a comma before it when it is not the first; what is not UTF-8 is
 * U+FFFD. */
void exposition_label(struct buffer *labels, const char *name, const char *text, size_t length);

/* Shorthands for families of integers and few labels: name, text, …, NULL. */
void exposition_integer(struct exposition *exposition, uint64_t value, ...)
	__attribute__((sentinel));
void exposition_decimal(struct exposition *exposition, struct exposition_value value, ...)
	__attribute__((sentinel));

#endif
