/* SPDX-License-Identifier: MIT */
/* Maps to metric descriptors. Internal to this folder; schema/metric.h says what is made. */
#ifndef SCHEMA_METRICS_H
#define SCHEMA_METRICS_H

#include "schema/fields.h"
#include "schema/metric.h"

#define METRIC_TAG "metric:"

struct map_variable {
	uint32_t variable;
	const char *name;
	const struct btf_type *definition; /* may be NULL, or no struct */
	const char *tag;		   /* "metric:NAME:TYPE" */
};

/* A map on its way. */
struct metric_reading {
	const struct schema_source *source;
	const struct map_variable *variable;
	struct metric_map map;
	const char *name; /* of its families; "" for the map's own */
	size_t name_length;
	enum metric_type type;
	const char *help;
	struct metric_label *labels;
	struct metric_family *families;
};

/* Says what is wrong with a member; returns -EINVAL. */
int metric_refuse_member(const struct metric_reading *reading, const struct draft *draft,
			 const char *what);
/* Families, and the members beside them. 0, -EINVAL, -ENOMEM. */
int metric_values_read(struct metric_reading *reading, const struct drafts *drafts);

/* Adds the map to the schema's metrics. 0, -EINVAL, -ENOMEM. */
int metric_map_read(const struct schema_source *source, struct program_schema *schema,
		    const struct map_variable *variable);

#endif
