/* SPDX-License-Identifier: MIT */
/* The lists that people keep: /add_ips and its like for addresses, /add_pids for processes. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api/list_body.h"
#include "api/routes.h"
#include "base/json.h"
#include "base/memory.h"
#include "lists/lists.h"

/* How much of a text from outside is repeated in a message. */
#define QUOTE 80

/* What one kind of list is called in bodies and answers. */
struct words {
	enum shared_list list;
	const char *add, *clear, *added, *all, *total; /* members */
	const char *is_added, *is_cleared, *is_not_cleared, *is_read;
	int (*read)(const struct body_item *item, uint8_t entry[ENTRY_SIZE_MAX]);
	void (*write)(struct json *json, const uint8_t *entry);
	const char *allowed;
};

static int read_ip(const struct body_item *item, uint8_t entry[ENTRY_SIZE_MAX])
{
	if (item->form == ARGUMENT_STRING)
		return ip_entry_parse(item->text, entry);
	if (item->form != ARGUMENT_INTEGER || item->number < 0 || item->number > UINT32_MAX)
		return -EINVAL;
	ip_entry_from_number((uint32_t)item->number, entry);
	return 0;
}

static void write_ip(struct json *json, const uint8_t *entry)
{
	char text[IP_ENTRY_TEXT_SIZE];
	uint32_t number;

	if (ip_entry_number(entry, &number)) {
		json_u64(json, number);
		return;
	}
	ip_entry_text(entry, text);
	json_string(json, text);
}

static int read_pid(const struct body_item *item, uint8_t entry[ENTRY_SIZE_MAX])
{
	return item->form == ARGUMENT_INTEGER ? process_entry_make(item->number, entry) : -EINVAL;
}

static void write_pid(struct json *json, const uint8_t *entry)
{
	json_u64(json, process_entry_pid(entry));
}

static const struct words ip_words = {
	.list = SHARED_IPS,
	.add = "add_ips",
	.clear = "clear_ip_list",
	.added = "added_ips",
	.all = "ips",
	.total = "total_ips",
	.is_added = "IPs added successfully",
	.is_cleared = "IP list cleared successfully",
	.is_not_cleared = "IP list not cleared",
	.is_read = "All IPs retrieved successfully",
	.read = read_ip,
	.write = write_ip,
	.allowed = "an IPv4 or IPv6 address, a prefix such as \"10.0.0.0/8\", or an integer from 0 "
		   "to 4294967295 (1 is 0.0.0.1)",
};

static const struct words pid_words = {
	.list = SHARED_PROCESSES,
	.add = "pids",
	.clear = "clear_pid_list",
	.added = "added_pids",
	.all = "pids",
	.total = "total_pids",
	.is_added = "PIDs added successfully",
	.is_cleared = "PID list cleared successfully",
	.is_not_cleared = "PID list not cleared",
	.is_read = "All PIDs retrieved successfully",
	.read = read_pid,
	.write = write_pid,
	.allowed = "an integer from 1 to 4194304",
};

/* ---- what is the same for both ---- */

static int refuse_change(int r, const char *error, struct answer *answer)
{
	switch (r) {
	case -ENOSPC: /* the body was well formed */
		answer->bad_request = NULL;
		return answer_error(answer, STATUS_BAD_REQUEST, "%s", error);
	case -EBUSY:
		answer_error(answer, STATUS_TOO_MANY_REQUESTS, "%s", error);
		answer_header(answer, "Retry-After", "1");
		return -EINVAL;
	case -EPIPE:
	case -ETIMEDOUT:
		return answer_error(answer, STATUS_SERVICE_UNAVAILABLE, "%s", error);
	default:
		return answer_error(answer, STATUS_INTERNAL_SERVER_ERROR, "%s", error);
	}
}

static void begin_answer(struct json *json, struct answer *answer, const char *message)
{
	answer->status = STATUS_OK;
	json_init(json, &answer->body);
	json_object_begin(json);
	json_member_string(json, "message", message);
}

static void write_entries(struct json *json, const struct words *words, const char *name,
			  const struct entry_set *set)
{
	json_key(json, name);
	json_array_begin(json);
	for (uint32_t i = 0; i < set->count; i++)
		words->write(json, entry_set_at(set, i));
	json_array_end(json);
}

/* ---- adding ---- */

struct addition {
	const struct words *words;
	struct entry_set set; /* each entry of the request once */
};

static int add_item(void *context, size_t index, const struct body_item *item,
		    struct answer *answer)
{
	struct addition *addition = context;
	const struct words *words = addition->words;
	uint8_t entry[ENTRY_SIZE_MAX];
	int r;

	if (words->read(item, entry) < 0) {
		if (item->form == ARGUMENT_INTEGER)
			return answer_error(answer, STATUS_BAD_REQUEST,
					    "%s[%zu]: %" PRId64 " is not allowed; allowed is %s",
					    words->add, index, item->number, words->allowed);
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "%s[%zu]: \"%.*s\" is not allowed; allowed is %s", words->add,
				    index, QUOTE, item->text, words->allowed);
	}
	r = entry_set_add(&addition->set, entry);
	return r < 0 ? answer_out_of_memory(answer) : 0;
}

static int add_entries(const struct request *request, const struct words *words,
		       struct answer *answer)
{
	struct addition addition = { .words = words, .set = { .list = words->list } };
	ENTRY_SET set = { .list = words->list };
	char error[MESSAGE_TEXT_SIZE] = "";
	uint32_t total = 0;
	struct json json;
	int r = list_body_items(request, words->add, add_item, &addition, answer);

	set = addition.set;
	if (r < 0)
		return r;
	r = lists_add(request->api->options.lists, words->list, set.entries, set.count, &total,
		      error, sizeof(error));
	if (r < 0)
		return refuse_change(r, error, answer);
	begin_answer(&json, answer, words->is_added);
	write_entries(&json, words, words->added, &set);
	json_member_u64(&json, words->total, total);
	json_object_end(&json);
	return 0;
}

int ips_add(struct request *request, struct answer *answer)
{
	return add_entries(request, &ip_words, answer);
}

int pids_add(struct request *request, struct answer *answer)
{
	return add_entries(request, &pid_words, answer);
}

/* ---- clearing ---- */

static int clear_list(const struct request *request, const struct words *words, bool clear,
		      struct answer *answer)
{
	struct lists *lists = request->api->options.lists;
	char error[MESSAGE_TEXT_SIZE] = "";
	struct json json;
	int r = clear ? lists_clear(lists, words->list, error, sizeof(error)) : 0;

	if (r < 0)
		return refuse_change(r, error, answer);
	begin_answer(&json, answer, clear ? words->is_cleared : words->is_not_cleared);
	json_member_u64(&json, words->total, clear ? 0 : lists_count(lists, words->list));
	json_object_end(&json);
	return 0;
}

int ips_clear(struct request *request, struct answer *answer)
{
	bool clear;
	int r = list_body_flag(request, ip_words.clear, &clear, answer);

	return r < 0 ? r : clear_list(request, &ip_words, clear, answer);
}

/* Without a body too: the path says it all. */
int pids_clear(struct request *request, struct answer *answer)
{
	bool clear = true;
	int r = 0;

	if (request->body.length)
		r = list_body_flag(request, pid_words.clear, &clear, answer);
	return r < 0 ? r : clear_list(request, &pid_words, clear, answer);
}

/* ---- looking ---- */

int ips_print(struct request *request, struct answer *answer)
{
	ENTRY_SET set = { .list = SHARED_IPS };
	uint32_t mode, total;
	struct json json;
	bool print;

	if (list_body_flag(request, "print_all_ips", &print, answer) < 0)
		return -EINVAL;
	if (lists_read(request->api->options.lists, SHARED_IPS, &set, &mode) < 0)
		return answer_out_of_memory(answer);
	total = set.count;
	if (!print)
		entry_set_fini(&set);
	begin_answer(&json, answer, print ? ip_words.is_read : "No IPs asked for");
	write_entries(&json, &ip_words, ip_words.all, &set);
	json_member_u64(&json, ip_words.total, total);
	json_object_end(&json);
	return 0;
}

int pids_get(struct request *request, struct answer *answer)
{
	ENTRY_SET set = { .list = SHARED_PROCESSES };
	uint32_t print_all;
	struct json json;

	if (lists_read(request->api->options.lists, SHARED_PROCESSES, &set, &print_all) < 0)
		return answer_out_of_memory(answer);
	begin_answer(&json, answer, pid_words.is_read);
	write_entries(&json, &pid_words, "target_pids", &set);
	write_entries(&json, &pid_words, pid_words.all, &set);
	json_member_u64(&json, pid_words.total, set.count);
	json_member_bool(&json, "print_all", print_all != 0);
	json_object_end(&json);
	return 0;
}

int pids_set_print_all(struct request *request, struct answer *answer)
{
	char error[MESSAGE_TEXT_SIZE] = "";
	bool print_all;
	struct json json;
	int r;

	if (list_body_flag(request, "print_all", &print_all, answer) < 0)
		return -EINVAL;
	r = lists_set_print_all(request->api->options.lists, print_all, error, sizeof(error));
	if (r < 0)
		return refuse_change(r, error, answer);
	begin_answer(&json, answer, "print_all set successfully");
	json_member_bool(&json, "print_all", print_all);
	json_object_end(&json);
	return 0;
}
