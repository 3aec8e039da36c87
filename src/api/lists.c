/* SPDX-License-Identifier: MIT */
/*
 * /api/list-connections and /api/list-packet-drops: the newest events of every process, process by
 * process.
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

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000

/* What one answer may cost. Where a bound cuts, the answer says `truncated`. */
#define PAGE 10000
#define SCANNED_MAX 100000
#define PROCESSES_MAX 1000
#define EVENTS_MAX 20000

const struct rule list_rules[LIST_RULES] = {
	[LIST_PID] = {
		.name = "pid",
		.kind = RULE_INTEGER,
		.minimum = 0,
		.maximum = UINT32_MAX,
		.description = "Only events of this process.",
		.invalid = "Invalid PID parameter",
	},
	[LIST_LIMIT] = {
		.name = "limit",
		.kind = RULE_INTEGER,
		.minimum = 1,
		.maximum = LIMIT_MAX,
		.default_text = "100",
		.description = "At most so many events of each process.",
		.invalid = "Invalid limit parameter",
		.too_large = "limit cannot exceed 1000",
	},
};

struct list {
	const char *type;
	const char *name;   /* of the member with the events */
	const char *things; /* in the message */
};

static const struct list connection_list = { "connection", "connections", "connections" };
static const struct list drop_list = { "packet_drop", "drops", "packet drops" };

/* One event, written as JSON into `collection.text`. */
struct item {
	size_t offset, length;
	struct item *next; /* older, of the same process */
};

struct process {
	uint32_t pid;
	size_t count;
	struct item *first, **last;
};

/* Open addressing; never more than half full. */
#define SLOTS 2048
_Static_assert(SLOTS >= 2 * PROCESSES_MAX, "slots for every process");

struct collection {
	struct buffer text;
	uint16_t slots[SLOTS]; /* index of a process plus one; 0: free */
	struct item *items;    /* EVENTS_MAX of them */
	size_t item_count;
	struct process *processes; /* in the order of their newest events */
	size_t process_count;
	size_t limit; /* of each process */
	bool truncated;
};

static void collection_fini(struct collection *collection)
{
	buffer_fini(&collection->text);
	free(collection->items);
	free(collection->processes);
}

static struct process *find_process(struct collection *collection, uint32_t pid)
{
	uint32_t slot = pid * 2654435761u % SLOTS;
	struct process *process;

	for (; collection->slots[slot]; slot = (slot + 1) % SLOTS) {
		process = &collection->processes[collection->slots[slot] - 1];
		if (process->pid == pid)
			return process;
	}
	if (collection->process_count == PROCESSES_MAX)
		return NULL;
	process = &collection->processes[collection->process_count++];
	collection->slots[slot] = (uint16_t)collection->process_count;
	*process = (struct process){ .pid = pid };
	process->last = &process->first;
	return process;
}

static uint32_t event_pid(const struct event *event)
{
	uint32_t pid;

	memcpy(&pid, event->record + event->schema->fields[HEADER_PID].offset, sizeof(pid));
	return pid;
}

static void collect(struct collection *collection, const struct event *event,
		    const struct encoding *encoding)
{
	struct process *process = find_process(collection, event_pid(event));
	struct item *item;
	struct json json;

	if (!process || process->count == collection->limit ||
	    collection->item_count == EVENTS_MAX) {
		collection->truncated = true;
		return;
	}
	item = &collection->items[collection->item_count++];
	item->offset = collection->text.length;
	json_init(&json, &collection->text);
	event_encode_json(event, encoding, &json);
	item->length = collection->text.length - item->offset;
	item->next = NULL;
	*process->last = item;
	process->last = &item->next;
	process->count++;
}

static void page_from(struct query *query, const struct event *last)
{
	query->before = (struct query_place){
		.set = true,
		.boot = last->boot ? last->boot->epoch : 0,
		.timestamp = last->timestamp,
		.stream = last->stream,
		.index = (uint32_t)last->index,
	};
}

/* Newest events first, page by page, until all were seen or it has cost enough. */
static int collect_all(struct collection *collection, struct question *question, bool one_process,
		       struct answer *answer)
{
	struct encoding encoding = question_encoding(question);
	size_t scanned = 0;
	bool more = true;

	encoding.timestamp_as_text = true;
	question->query.limit = one_process ? collection->limit : PAGE;
	while (more) {
		__attribute__((cleanup(query_result_fini))) struct query_result result = {
			.count = 0,
		};

		if (question_run(question, &result, answer) < 0)
			return -EINVAL;
		for (size_t i = 0; i < result.count; i++)
			collect(collection, &result.events[i], &encoding);
		scanned += result.count;
		more = result.more && result.count && !result.partial;
		if (!more)
			break;
		if (one_process || scanned >= SCANNED_MAX || collection->item_count == EVENTS_MAX) {
			collection->truncated = true;
			break;
		}
		page_from(&question->query, &result.events[result.count - 1]);
	}
	return 0;
}

static int collection_init(struct collection *collection, size_t limit, struct answer *answer)
{
	collection->limit = limit;
	collection->items = calloc(EVENTS_MAX, sizeof(*collection->items));
	collection->processes = calloc(PROCESSES_MAX, sizeof(*collection->processes));
	if (!collection->items || !collection->processes)
		return answer_out_of_memory(answer);
	return 0;
}

/* {"1234":[…],…} */
static void write_processes(struct json *json, const char *name,
			    const struct collection *collection)
{
	json_key(json, name);
	json_object_begin(json);
	for (size_t i = 0; i < collection->process_count; i++) {
		const struct process *process = &collection->processes[i];
		char pid[16];

		if (!process->count)
			continue;
		snprintf(pid, sizeof(pid), "%" PRIu32, process->pid);
		json_key(json, pid);
		json_array_begin(json);
		for (const struct item *item = process->first; item; item = item->next)
			json_raw(json, collection->text.data + item->offset, item->length);
		json_array_end(json);
	}
	json_object_end(json);
}

static void write_list(struct answer *answer, const struct list *list,
		       const struct question *question, const struct collection *collection,
		       const struct rule_value *pid)
{
	uint64_t lost = question_lost(question);
	size_t processes = 0;
	struct json json;

	for (size_t i = 0; i < collection->process_count; i++)
		processes += collection->processes[i].count > 0;
	answer->status = STATUS_OK;
	json_init(&json, &answer->body);
	json_object_begin(&json);
	json_member_u64(&json, "total_pids", processes);
	json_member_u64(&json, "total_events", collection->item_count);
	write_processes(&json, list->name, collection);
	write_processes(&json, "events_by_pid", collection);
	json_member_bool(&json, "truncated", collection->truncated);
	json_key(&json, "message");
	if (pid->given)
		json_printf(&json, "Found %zu %s for PID %" PRId64, collection->item_count,
			    list->things, pid->number);
	else
		json_printf(&json, "Found %zu total %s across %zu processes%s",
			    collection->item_count, list->things, processes,
			    collection->truncated ? " (results truncated due to limit)" : "");
	json_member_bool(&json, "complete", question_complete(question, lost));
	json_member_u64(&json, "lost", lost);
	question_write_partial(question, &json);
	answer_query_time(&json);
	json_object_end(&json);
}

static int list_request(struct request *request, const struct list *list, struct answer *answer)
{
	__attribute__((cleanup(collection_fini))) struct collection collection = { .limit = 0 };
	QUESTION question = { .streams = NULL };
	ARGUMENTS arguments = ARGUMENTS_INIT;
	struct rule_value values[LIST_RULES];
	size_t limit;

	if (request_arguments(request, &arguments, answer) < 0 ||
	    rules_read(list_rules, LIST_RULES, &arguments, clock_real_ns(), values, NULL, answer) <
		    0)
		return -EINVAL;
	limit = values[LIST_LIMIT].given ? (size_t)values[LIST_LIMIT].number : LIMIT_DEFAULT;
	if (question_init_report(&question, request->api, list->type, answer) < 0 ||
	    collection_init(&collection, limit, answer) < 0)
		return -EINVAL;
	if (values[LIST_PID].given) {
		char pid[16];

		snprintf(pid, sizeof(pid), "%" PRId64, values[LIST_PID].number);
		if (question_filter(&question, "pid", pid, answer) < 0)
			return -EINVAL;
	}
	if (collect_all(&collection, &question, values[LIST_PID].given, answer) < 0)
		return -EINVAL;
	if (collection.text.failed)
		return -ENOMEM;
	/* The pages moved the place; the answer speaks of everything. */
	question.query.before.set = false;
	write_list(answer, list, &question, &collection, &values[LIST_PID]);
	return 0;
}

int list_connections(struct request *request, struct answer *answer)
{
	return list_request(request, &connection_list, answer);
}

int list_packet_drops(struct request *request, struct answer *answer)
{
	return list_request(request, &drop_list, answer);
}
