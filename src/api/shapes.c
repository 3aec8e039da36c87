/* SPDX-License-Identifier: MIT */
#include "api/shapes.h"

#include "base/memory.h"

#define REF(name) "\"$ref\":\"#/components/schemas/" name "\""
#define ARRAY_OF(schema) "\"type\":\"array\",\"items\":{" schema "}"
#define MAP_OF(schema) "\"type\":\"object\",\"additionalProperties\":{" schema "}"

#define STRING "\"type\":\"string\""
#define STRING_OR_NULL "\"type\":[\"string\",\"null\"]"
#define TIME "\"type\":\"string\",\"format\":\"date-time\""
#define TIME_OR_NULL "\"type\":[\"string\",\"null\"],\"format\":\"date-time\""
#define BOOLEAN "\"type\":\"boolean\""
#define COUNT "\"type\":\"integer\",\"minimum\":0"
#define COUNT_OR_NULL "\"type\":[\"integer\",\"null\"],\"minimum\":0"
#define ANY_VALUE "\"type\":[\"integer\",\"boolean\",\"string\",\"null\"]"

#define SHAPE(variable, shown, about, ...)                                                         \
	static const struct shape_member variable##_members[] = { __VA_ARGS__ };                   \
	const struct shape variable = {                                                            \
		.name = shown,                                                                     \
		.description = about,                                                              \
		.members = variable##_members,                                                     \
		.member_count = ARRAY_SIZE(variable##_members),                                    \
	}

/* clang-format off */
#define QUERY_TIME { "query_time", TIME, "When the question was answered." }
#define COMPLETE                                                                                   \
	{ "complete", BOOLEAN,                                                                     \
	  "Nothing of the window was lost, or is neither in memory nor in the history." }
#define PARTIAL { "partial", BOOLEAN, "The search took too long (--query-timeout) and was ended." }
#define REASON { "reason", STRING_OR_NULL, "Why the answer is partial; null when it is not." }
#define LOST { "lost", COUNT, "Events of the window that were lost: a ring buffer was full." }

SHAPE(shape_error, "Error", "What was wrong.",
	{ "error", STRING, "The text of the HTTP status." },
	{ "message", STRING, "What was wrong, and what is allowed." });

SHAPE(shape_ledger, "Ledger",
      "Where the events went: produced = stored + filtered + sampled_out + lost + those in the "
      "ring, and stored = held + expired.",
	{ "produced", COUNT, "Events that happened at the hook." },
	{ "filtered", COUNT, "Events that a parameter of the program filtered out in the kernel." },
	{ "sampled_out", COUNT, "Events that sampling left out in the kernel." },
	{ "lost", COUNT, "Events for which the ring buffer had no room, or that were malformed." },
	{ "stored", COUNT, "Events that were taken into the store." },
	{ "malformed", COUNT, "Records that could not be taken; part of lost." },
	{ "held", COUNT, "Stored events that are in memory now." },
	{ "expired", COUNT, "Stored events that had to make room." },
	{ "bytes_waiting", COUNT, "Bytes in the ring buffer now." },
	{ "persisted", COUNT, "Events that this server wrote to the history." },
	{ "not_persisted", COUNT, "Events that left the memory before the history took them." });

SHAPE(shape_program_stream, "ProgramStream", "One stream of events of a program.",
	{ "name", STRING, "The events' type." },
	{ "active", BOOLEAN, "Its ring buffer is being read." },
	{ "superseded", BOOLEAN,
	  "A later version of the program gives its events another layout." },
	{ "ledger", REF("Ledger"), "Its counts." });

SHAPE(shape_program_parameter, "ProgramParameter", "A setting of a program.",
	{ "name", STRING, "" },
	{ "type", STRING ",\"enum\":[\"integer\",\"boolean\",\"string\"]", "" },
	{ "value", ANY_VALUE, "The value in force." },
	{ "default", ANY_VALUE, "The value when nobody sets one." },
	{ "unit", STRING_OR_NULL, "" },
	{ "description", STRING, "" });

SHAPE(shape_program_metric, "ProgramMetric", "A metric that a program counts in the kernel.",
	{ "name", STRING, "Its name at /metrics; of a histogram without _bucket and _sum." },
	{ "type", STRING ",\"enum\":[\"counter\",\"gauge\",\"histogram\"]", "" },
	{ "help", STRING, "" },
	{ "series", COUNT, "How many series /metrics would show now." });

SHAPE(shape_program_interface, "ProgramInterface",
      "A network interface that a program attaches to, in one direction.",
	{ "name", STRING, "As --interface names it." },
	{ "direction", STRING ",\"enum\":[\"ingress\",\"egress\"]", "" },
	{ "mode",
	  STRING_OR_NULL ",\"enum\":[\"xdp native\",\"xdp generic\",\"tcx\",\"clsact\",null]",
	  "How it is attached; null while it is not." },
	{ "reason", STRING_OR_NULL, "Why it is not, or not in a better mode." });

SHAPE(shape_program, "Program", "An eBPF program and how it fares.",
	{ "name", STRING, "" },
	{ "description", STRING, "" },
	{ "status",
	  STRING ",\"enum\":[\"disabled\",\"loading\",\"running\",\"waiting\",\"failed\"]",
	  "" },
	{ "enabled", BOOLEAN, "It is asked for." },
	{ "loaded", BOOLEAN, "It is in the kernel." },
	{ "attached", BOOLEAN, "It is at its hooks." },
	{ "hook", STRING_OR_NULL, "The hooks in force." },
	{ "fallback_reason", STRING_OR_NULL, "Why better hooks are not used; null when they are." },
	{ "interfaces", ARRAY_OF(REF("ProgramInterface")),
	  "Of a program that attaches to network interfaces, those that are named." },
	{ "run_count", COUNT_OR_NULL,
	  "How often it ran; null when the kernel does not count (--program-stats)." },
	{ "run_time_ns", COUNT_OR_NULL, "Time spent in it." },
	{ "ns_per_run", "\"type\":[\"number\",\"null\"]", "What one run costs." },
	{ "parameters", ARRAY_OF(REF("ProgramParameter")), "" },
	{ "streams", ARRAY_OF(REF("ProgramStream")), "" },
	{ "event_count", COUNT, "Events of its streams that were taken into the store." },
	{ "dropped_count", COUNT, "Events of its streams that were lost." },
	{ "drop_rate", "\"type\":\"number\",\"minimum\":0,\"maximum\":1",
	  "dropped_count of dropped_count + event_count." },
	{ "metrics", ARRAY_OF(REF("ProgramMetric")), "" },
	{ "error", STRING_OR_NULL, "Why it does not run, or what it waits for." });

SHAPE(shape_program_list, "ProgramList", "All programs.",
	{ "programs", ARRAY_OF(REF("Program")), "" },
	{ "total_programs", COUNT, "" },
	{ "running_programs", COUNT, "" },
	QUERY_TIME);

SHAPE(shape_parameter_change, "ParameterChange",
      "Values for parameters of a program. All are checked before any is set.",
	{ "parameters", MAP_OF("\"type\":[\"integer\",\"boolean\",\"string\"]"),
	  "Value by name. Integers may be strings too: with a unit, or past 2^63." });

SHAPE(shape_event_query, "EventQuery", "The question as it was understood.",
	{ "type", ARRAY_OF(STRING), "" },
	{ "since", TIME_OR_NULL, "" },
	{ "until", TIME_OR_NULL, "" },
	{ "limit", COUNT, "" },
	{ "order", STRING ",\"enum\":[\"desc\",\"asc\"]", "" },
	{ "format", STRING ",\"enum\":[\"json\",\"ndjson\",\"csv\"]", "" },
	{ "int64", STRING ",\"enum\":[\"number\",\"string\"]", "" },
	{ "after", STRING_OR_NULL, "" },
	{ "before", STRING_OR_NULL, "" },
	{ "filters", MAP_OF(STRING), "Expression by field." });

SHAPE(shape_event_list, "EventList", "Events that answer a question.",
	{ "events", ARRAY_OF(REF("Event")), "" },
	{ "count", COUNT, "How many are here." },
	{ "total_count", COUNT,
	  "How many there are in the window, by all filters; limit and cursors aside." },
	{ "query", REF("EventQuery"), "" },
	QUERY_TIME, COMPLETE, LOST, PARTIAL, REASON,
	{ "next", STRING_OR_NULL,
	  "The id to go on from: as `before` when newest first, as `after` when oldest first. Null "
	  "at the end." });

SHAPE(shape_lost_events, "LostEvents", "In a stream: events that its reader does not get.",
	{ "missed", COUNT_OR_NULL, "How many; null where nobody can know." },
	{ "reason", STRING ",\"enum\":[\"slow_reader\",\"ring_full\",\"overrun\",\"expired\"]",
	  "This reader read too slowly; a ring buffer was full; they left the memory before the "
	  "server came to them; they left it before the reader came back." },
	{ "filtered", BOOLEAN,
	  "Only events that pass the filters are counted; else all of the types asked for." });

#define PERCENTILE(part)                                                                           \
	"The smallest number that " part " of them do not pass, to within 1 %; null where memory " \
	"for it ran out."
#define NUMBER_OR_TEXT "\"type\":[\"integer\",\"string\"]"
#define NUMBER_OR_TEXT_OR_NULL "\"type\":[\"integer\",\"string\",\"null\"]"

SHAPE(shape_summary_values, "SummaryValues",
      "What is known of the numbers in one field. Strings with int64=string.",
	{ "count", COUNT, "Events that have a value there." },
	{ "sum", NUMBER_OR_TEXT, "Exact; may pass 2^64." },
	{ "min", NUMBER_OR_TEXT_OR_NULL, "" },
	{ "max", NUMBER_OR_TEXT_OR_NULL, "" },
	{ "mean", "\"type\":[\"number\",\"null\"]", "" },
	{ "p50", NUMBER_OR_TEXT_OR_NULL, PERCENTILE("half") },
	{ "p90", NUMBER_OR_TEXT_OR_NULL, PERCENTILE("90 %") },
	{ "p99", NUMBER_OR_TEXT_OR_NULL, PERCENTILE("99 %") });

#define SUMMARY_FIGURES                                                                            \
	{ "count", COUNT, "Events." },                                                             \
	{ "counts", ARRAY_OF(COUNT), "Events in each part of time; they add up to count." },       \
	{ "values", MAP_OF(REF("SummaryValues")), "By the fields of `of`." }

SHAPE(shape_summary_group, "SummaryGroup", "Events that have the same values of some fields.",
	{ "key",
	  MAP_OF("\"type\":[\"integer\",\"boolean\",\"string\",\"array\",\"null\"]"),
	  "The values, by the fields of `by`, as in events; null where they have none." },
	SUMMARY_FIGURES);

SHAPE(shape_summary_rest, "SummaryRest", "Events of several groups.",
	{ "groups", COUNT, "How many groups; at least so many where `exact` is false." },
	SUMMARY_FIGURES);

SHAPE(shape_histogram, "Histogram", "The parts of time that counts are for.",
	{ "start", TIME, "Of the first one: `since`, or the oldest event in memory." },
	{ "end", TIME,
	  "Of the last one, which includes it: `until`, or the moment of the question." },
	{ "bucket_ns", COUNT,
	  "Part i begins at start + i * bucket_ns and ends before the next one begins." },
	{ "buckets", COUNT, "How many; no more than asked for." });

SHAPE(shape_summary_query, "EventSummaryQuery", "The question as it was understood.",
	{ "type", ARRAY_OF(STRING), "" },
	{ "since", TIME_OR_NULL, "" },
	{ "until", TIME_OR_NULL, "" },
	{ "by", ARRAY_OF(STRING), "" },
	{ "of", ARRAY_OF(STRING), "" },
	{ "top", COUNT, "" },
	{ "buckets", COUNT, "" },
	{ "int64", STRING ",\"enum\":[\"number\",\"string\"]", "" },
	{ "filters", MAP_OF(STRING), "Expression by field." });

SHAPE(shape_event_summary, "EventSummary", "Events by groups.",
	{ "groups", ARRAY_OF(REF("SummaryGroup")), "By count, largest first; equal ones by key." },
	{ "other", REF("SummaryRest"), "All events that are in none of these groups." },
	{ "total", REF("SummaryRest"), "All events: groups and other together." },
	{ "exact", BOOLEAN,
	  "False when there were more groups than could be told apart: then a group may be missing "
	  "among the largest. Counts and sums are right in any case." },
	{ "histogram",
	  "\"anyOf\":[{" REF("Histogram") "},{\"type\":\"null\"}]", "Null with buckets=0." },
	{ "query", REF("EventSummaryQuery"), "" },
	QUERY_TIME, COMPLETE, LOST, PARTIAL, REASON);

static const struct shape_member shape_listed_event_members[] = {
	{ "timestamp", TIME, "When it happened." },
	{ "wall_time", TIME, "The same." },
	{ "timestamp_ns", COUNT, "When it happened, in ns since boot." },
};
const struct shape shape_listed_event = {
	.name = "ListedEvent",
	.description = "An event with its fields, where `timestamp` is a text.",
	.members = shape_listed_event_members,
	.member_count = ARRAY_SIZE(shape_listed_event_members),
	.open = true,
};

#define SUMMARY_MEMBERS                                                                            \
	{ "count", COUNT, "The same." },                                                           \
	{ "pid", COUNT_OR_NULL, "The process asked about." },                                      \
	{ "command", STRING_OR_NULL, "The command asked about." },                                 \
	{ "duration", COUNT, "The window, in seconds." },                                          \
	{ "duration_seconds", COUNT, "The same." },                                                \
	{ "message", STRING, "The answer as a sentence." },                                        \
	QUERY_TIME, COMPLETE, LOST, PARTIAL, REASON

SHAPE(shape_connection_summary, "ConnectionSummary", "How many connection attempts there were.",
	{ "total_attempts", COUNT, "Connection attempts." },
	SUMMARY_MEMBERS);

SHAPE(shape_packet_drop_summary, "PacketDropSummary", "How many packets were dropped.",
	{ "total_drops", COUNT, "Packet drops." },
	{ "by_reason", MAP_OF(COUNT), "Counts by drop_reason; they add up to total_drops." },
	SUMMARY_MEMBERS);

#define LIST_MEMBERS                                                                               \
	{ "total_pids", COUNT, "Processes that are here." },                                       \
	{ "total_events", COUNT, "Events that are here." },                                        \
	{ "events_by_pid", MAP_OF(ARRAY_OF(REF("ListedEvent"))), "The same, by another name." },   \
	{ "truncated", BOOLEAN, "There are more events than the limit let through." },             \
	{ "message", STRING, "The answer as a sentence." },                                        \
	QUERY_TIME, COMPLETE, LOST, PARTIAL, REASON

SHAPE(shape_connection_list, "ConnectionList", "Newest connections of every process.",
	{ "connections", MAP_OF(ARRAY_OF(REF("ListedEvent"))), "Newest first, by pid." },
	LIST_MEMBERS);

SHAPE(shape_packet_drop_list, "PacketDropList", "Newest packet drops of every process.",
	{ "drops", MAP_OF(ARRAY_OF(REF("ListedEvent"))), "Newest first, by pid." },
	LIST_MEMBERS);

SHAPE(shape_field, "Field", "A field of an event; also a filter of /api/events.",
	{ "name", STRING, "" },
	{ "type", STRING, "integer, boolean, enum, string, bytes, ip, mac, symbol, hex or list." },
	{ "unit", STRING_OR_NULL, "" },
	{ "description", STRING, "" },
	{ "derived", BOOLEAN, "It shows another field in another way." },
	{ "values", "\"type\":[\"array\",\"null\"],\"items\":{" STRING "}",
	  "Names of its values on this kernel." },
	{ "schema", "\"type\":\"object\"", "JSON Schema of its value." });

SHAPE(shape_common_member, "CommonMember", "What every event has besides its fields.",
	{ "name", STRING, "" },
	{ "type", STRING, "" },
	{ "description", STRING, "" });

SHAPE(shape_stream, "Stream", "A stream of events.",
	{ "name", STRING, "The events' type." },
	{ "program", STRING_OR_NULL, "" },
	{ "description", STRING, "" },
	{ "active", BOOLEAN, "Its ring buffer is being read." },
	{ "superseded", BOOLEAN,
	  "A later version of the program gives its events another layout." },
	{ "fields", ARRAY_OF(REF("Field")), "" });

SHAPE(shape_schema, "Schema", "All streams.",
	{ "common", ARRAY_OF(REF("CommonMember")), "" },
	{ "streams", ARRAY_OF(REF("Stream")), "" },
	QUERY_TIME);

SHAPE(shape_endpoint, "Endpoint", "",
	{ "method", STRING, "" },
	{ "path", STRING, "" },
	{ "description", STRING, "" });

SHAPE(shape_service, "Service", "What this service is.",
	{ "service", STRING, "" },
	{ "version", STRING, "" },
	{ "description", STRING, "" },
	{ "endpoints", ARRAY_OF(REF("Endpoint")), "" },
	QUERY_TIME);

SHAPE(shape_failing_part, "FailingPart", "",
	{ "part", STRING, "" },
	{ "message", STRING, "" });

SHAPE(shape_history_health, "HistoryHealth",
      "How the history fares; it never makes the service unhealthy.",
	{ "state", STRING ",\"enum\":[\"on\",\"off\",\"failing\"]",
	  "failing: nothing can be written at present." },
	{ "message", STRING_OR_NULL, "Why it fails." },
	{ "events", COUNT, "Events that it holds." },
	{ "bytes", COUNT, "Of the file that are in use." },
	{ "limit_bytes", COUNT, "--history-size." },
	{ "oldest", TIME_OR_NULL, "When its oldest event happened." },
	{ "damaged_blocks", COUNT, "Blocks that turned out to be damaged and are left out." },
	{ "taking_over", BOOLEAN,
	  "The file was damaged; what is whole in it is being taken over into a fresh one." });

SHAPE(shape_health, "Health", "How the service fares.",
	{ "status", STRING ",\"enum\":[\"healthy\",\"unhealthy\"]", "" },
	{ "service", STRING, "" },
	{ "version", STRING, "" },
	{ "running", BOOLEAN, "At least one program runs." },
	{ "ready", BOOLEAN, "As /readiness says." },
	{ "alive", BOOLEAN, "As /liveness says." },
	{ "failing", ARRAY_OF(REF("FailingPart")), "What is wrong; empty when healthy." },
	{ "history", REF("HistoryHealth"), "What becomes of events that leave the memory." },
	{ "time", TIME, "Now." },
	{ "timestamp", COUNT, "Now, in seconds since the epoch." });

SHAPE(shape_api_usage, "ApiUsage", "How a route is asked.",
	{ "method", STRING, "" },
	{ "body", "\"type\":[\"object\",\"null\"]", "What its body looks like; null: none." });

SHAPE(shape_apis, "Apis", "Every route.",
	{ "available_apis", ARRAY_OF(STRING), "METHOD PATH - what it is for." },
	{ "usage", MAP_OF(REF("ApiUsage")), "By path, without the slash before it." });

#define MESSAGE { "message", STRING, "The answer as a sentence." }
#define IP "\"type\":[\"integer\",\"string\"]"
#define PID "\"type\":\"integer\",\"minimum\":1,\"maximum\":4194304"
#define TOTAL_IPS { "total_ips", COUNT, "Entries of the list." }
#define TOTAL_PIDS { "total_pids", COUNT, "Entries of the list." }

SHAPE(shape_add_ips, "AddIps", "Addresses for the IP list.",
	{ "add_ips", ARRAY_OF(IP),
	  "IPv4 and IPv6 addresses, prefixes such as 10.0.0.0/8, and integers from 0 to 2^32 - 1 "
	  "(1 is 0.0.0.1)." });

SHAPE(shape_added_ips, "AddedIps", "What was added to the IP list.",
	MESSAGE,
	{ "added_ips", ARRAY_OF(IP),
	  "The entries asked for, each once; those that were there before are among them." },
	TOTAL_IPS);

SHAPE(shape_clear_ip_list, "ClearIpList", "Whether the IP list is to be emptied.",
	{ "clear_ip_list", BOOLEAN, "" });

SHAPE(shape_ip_count, "IpCount", "How long the IP list is now.",
	MESSAGE, TOTAL_IPS);

SHAPE(shape_print_all_ips, "PrintAllIps", "Whether the IP list is asked for.",
	{ "print_all_ips", BOOLEAN, "" });

SHAPE(shape_ip_list, "IpList", "The IP list.",
	MESSAGE,
	{ "ips", ARRAY_OF(IP), "" },
	TOTAL_IPS);

SHAPE(shape_add_pids, "AddPids", "Processes for the list.",
	{ "pids", ARRAY_OF(PID), "" });

SHAPE(shape_added_pids, "AddedPids", "What was added to the list of processes.",
	MESSAGE,
	{ "added_pids", ARRAY_OF(PID),
	  "The processes asked for, each once; those that were there before are among them." },
	TOTAL_PIDS);

SHAPE(shape_clear_pid_list, "ClearPidList", "Whether the list of processes is to be emptied.",
	{ "clear_pid_list", BOOLEAN, "" });

SHAPE(shape_pid_count, "PidCount", "How long the list of processes is now.",
	MESSAGE, TOTAL_PIDS);

SHAPE(shape_pid_list, "PidList", "The list of processes.",
	MESSAGE,
	{ "target_pids", ARRAY_OF(PID), "" },
	{ "pids", ARRAY_OF(PID), "The same." },
	TOTAL_PIDS,
	{ "print_all", BOOLEAN, "All processes are reported, whatever the list says." });

SHAPE(shape_print_all, "PrintAll", "Whether all processes are to be reported.",
	{ "print_all", BOOLEAN, "" });

SHAPE(shape_print_all_set, "PrintAllSet", "Whether all processes are reported now.",
	MESSAGE,
	{ "print_all", BOOLEAN, "" });

static const struct shape_member shape_document_members[] = {
	{ "openapi", STRING, "" },
	{ "info", "\"type\":\"object\"", "" },
	{ "paths", "\"type\":\"object\"", "" },
	{ "components", "\"type\":\"object\"", "" },
};
const struct shape shape_document = {
	.name = "Document",
	.description = "An OpenAPI 3.1 document.",
	.members = shape_document_members,
	.member_count = ARRAY_SIZE(shape_document_members),
	.open = true,
};
/* clang-format on */

const struct shape *const shapes[] = {
	&shape_error,
	&shape_ledger,
	&shape_program_stream,
	&shape_program_parameter,
	&shape_program_metric,
	&shape_program_interface,
	&shape_program,
	&shape_program_list,
	&shape_parameter_change,
	&shape_event_query,
	&shape_event_list,
	&shape_summary_values,
	&shape_summary_group,
	&shape_summary_rest,
	&shape_histogram,
	&shape_summary_query,
	&shape_event_summary,
	&shape_listed_event,
	&shape_connection_summary,
	&shape_packet_drop_summary,
	&shape_connection_list,
	&shape_packet_drop_list,
	&shape_field,
	&shape_stream,
	&shape_common_member,
	&shape_schema,
	&shape_endpoint,
	&shape_service,
	&shape_failing_part,
	&shape_history_health,
	&shape_health,
	&shape_lost_events,
	&shape_document,
	&shape_api_usage,
	&shape_apis,
	&shape_add_ips,
	&shape_added_ips,
	&shape_clear_ip_list,
	&shape_ip_count,
	&shape_print_all_ips,
	&shape_ip_list,
	&shape_add_pids,
	&shape_added_pids,
	&shape_clear_pid_list,
	&shape_pid_count,
	&shape_pid_list,
	&shape_print_all,
	&shape_print_all_set,
	NULL,
};
