/* SPDX-License-Identifier: MIT */
/*
 * Shapes of answers and bodies, as const tables: the components of the OpenAPI document, and what
 * tests hold real answers against.
 */
#ifndef API_SHAPES_H
#define API_SHAPES_H

#include <stdbool.h>
#include <stddef.h>

struct shape_member {
	const char *name;
	const char *schema; /* members of a JSON Schema object, without the braces */
	const char *description;
};

struct shape {
	const char *name; /* under #/components/schemas/ */
	const char *description;
	const struct shape_member *members;
	size_t member_count;
	bool open; /* may have more members than these */
};

extern const struct shape shape_error, shape_ledger, shape_program_stream, shape_program_parameter,
	shape_program_metric, shape_program_interface, shape_program, shape_program_list,
	shape_parameter_change, shape_event_query, shape_event_list, shape_summary_values,
	shape_summary_group, shape_summary_rest, shape_histogram, shape_summary_query,
	shape_event_summary, shape_listed_event, shape_connection_summary,
	shape_packet_drop_summary, shape_connection_list, shape_packet_drop_list, shape_field,
	shape_stream, shape_common_member, shape_schema, shape_endpoint, shape_service,
	shape_failing_part, shape_history_health, shape_health, shape_lost_events, shape_document,
	shape_apis, shape_api_usage, shape_add_ips, shape_added_ips, shape_clear_ip_list,
	shape_ip_count, shape_print_all_ips, shape_ip_list, shape_add_pids, shape_added_pids,
	shape_clear_pid_list, shape_pid_count, shape_pid_list, shape_print_all, shape_print_all_set;

/* All of them; ends with NULL. */
extern const struct shape *const shapes[];

#endif
