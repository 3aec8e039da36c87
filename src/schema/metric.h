/* SPDX-License-Identifier: MIT */
/*
 * Metrics out of maps: a map that is tagged "metric:NAME:TYPE" (programs/include/metric.bpf.h).
 *
 *   on the map             "metric:NAME:TYPE"  TYPE is counter or gauge, of the values that do not
 *                                           say otherwise. NAME as it stands; when it is empty,
 *                                           ebpf_server_ and the map's name, which then begins
 *                                           with the program's
 *                          "description:TEXT"  the help text of its values
 *   on a member of the value
 *                          "counter", "gauge"  the value's type
 *                          "log2:UNIT"      __u64 array, a histogram: slot i counts what lies in
 *                                           [2^i, 2^(i+1)), the first one 0 too, and the last one
 *                                           whatever is larger
 *                          "sum:MEMBER"     __u64: the sum of what the histogram MEMBER counts
 *                          "label"          a label that is no part of the key
 *                          "ended"          __u64: not 0 once what is counted has ended
 *                          "stamp"          __u64: when the labels of the value were written; of a
 *                                           map with a value for each CPU the newest are shown
 *
 * The key is a struct whose members are labels; a map of one entry has none, whatever its key. Each
 * other member of the value is a family: named NAME when it is the only one, else NAME_member, with
 * the base unit after it (ns, us, ms and s are shown as seconds). Its own description is the help
 * text, else the map's. Values are __u64; a gauge may be __s64. Values add up: entries that are not
 * shown for themselves, or that a full map forgot, are one series, `other`.
 */
#ifndef SCHEMA_METRIC_H
#define SCHEMA_METRIC_H

#include "schema/schema.h"

#define SCHEMA_MAX_METRIC_MAPS 8
#define SCHEMA_MAX_FAMILIES 32 /* of one map */
#define SCHEMA_MAX_LABELS 16   /* of one map */
#define SCHEMA_MAX_SLOTS 64    /* of a histogram */
#define SCHEMA_MAX_METRIC 4096 /* bytes of a key or value */
#define METRIC_NAME_SIZE 160   /* of a family, with its NUL */
#define METRIC_PREFIX "ebpf_server_"
#define METRIC_TOTAL_SUFFIX "_total"
#define METRIC_OTHER "other" /* every label of the series of whatever is not shown */

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_family {
	const char *name; /* base unit at its end; a counter's is without _total */
	const char *help; /* may be "" */
	enum metric_type type;
	const char *unit; /* "seconds", "bytes" or another one; "" when there is none */
	uint8_t decimals; /* the value is in 10^-decimals of the unit */
	bool is_signed;	  /* gauges only */
	uint16_t offset;  /* of a u64, or of `slots` of them, in the value */
	uint16_t slots;	  /* histograms; else 1 */
	uint16_t sum;	  /* histograms: offset of the sum, or FIELD_NONE */
};

struct metric_label {
	const char *name;
	bool in_value;
	const struct field *field; /* in the key, or in the value */
};

struct metric_map {
	const char *name;
	bool is_array, per_cpu;
	uint16_t key_size, value_size; /* one CPU's value */
	uint32_t max_entries;
	/* What the labels are read from; as streams, so that they are written as fields are. */
	struct stream_schema key, value;
	const struct metric_label *labels; /* by name */
	size_t label_count;
	const struct metric_family *families;
	size_t family_count;
	uint16_t ended, stamp; /* offsets of u64 in the value, or FIELD_NONE */
};

/* "counter", "gauge", "histogram" */
const char *metric_type_name(enum metric_type type);
/* A family of one name would give a series that the other one gives too ("x_count" beside the
 * histogram "x"). */
bool metric_families_clash(const struct metric_family *a, const struct metric_family *b);
/* The server's own families begin so; a program's may not. After METRIC_PREFIX, NULL at the end. */
extern const char *const metric_own_stems[];

#endif
