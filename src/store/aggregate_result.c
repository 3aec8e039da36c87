/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/aggregate_private.h"

/* Groups that get details in a second round, of `top` that are shown: some more, since events may
 * have left the store between the rounds. */
static uint32_t second_round_groups(uint32_t top)
{
	return top + top / 4 + 16;
}

/* ---- the order of groups ---- */

static const uint32_t *parts_of(const struct aggregate *aggregate, uint32_t group)
{
	return aggregate->keys.parts + (size_t)group * aggregate->keys.part_count;
}

static int compare_values(const struct keys *keys, uint32_t one, uint32_t two)
{
	const struct key_value *a = &keys->values[one], *b = &keys->values[two];
	const uint32_t shorter = a->length < b->length ? a->length : b->length;
	int order;

	if (a->form != b->form)
		return a->form < b->form ? -1 : 1;
	/* Of numbers the one with more digits is larger; a sign comes before all digits. */
	if (a->form == VALUE_BARE && a->length != b->length &&
	    isdigit((unsigned char)keys->text.data[a->offset]) &&
	    isdigit((unsigned char)keys->text.data[b->offset]))
		return a->length < b->length ? -1 : 1;
	order = memcmp(keys->text.data + a->offset, keys->text.data + b->offset, shorter);
	return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* The one with more events first; of equal ones that with the smaller key. */
static int compare_groups(const void *one, const void *two, void *context)
{
	const struct aggregate *aggregate = context;
	const uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)two;
	const uint64_t a_count = aggregate->groups[a].count, b_count = aggregate->groups[b].count;
	int order = 0;

	if (a_count != b_count)
		return a_count > b_count ? -1 : 1;
	for (uint32_t i = 0; !order && i < aggregate->keys.part_count; i++) {
		const uint32_t left = parts_of(aggregate, a)[i];
		const uint32_t right = parts_of(aggregate, b)[i];

		order = left == right ? 0 : compare_values(&aggregate->keys, left, right);
	}
	return order;
}

/* The numbers of all groups that have events, in order. */
static uint32_t *order_groups(struct aggregate *aggregate, uint32_t *ret_count)
{
	uint32_t *order = calloc(aggregate->group_count + 1u, sizeof(*order));
	uint32_t count = 0;

	for (uint32_t i = 0; order && i < aggregate->group_count; i++) {
		if (aggregate->groups[i].count)
			order[count++] = i;
	}
	if (order)
		qsort_r(order, count, sizeof(*order), compare_groups, aggregate);
	*ret_count = count;
	return order;
}

/* ---- a second round ---- */

static void forget_counts(struct aggregate *aggregate)
{
	for (uint32_t i = 0; i < aggregate->group_count; i++) {
		struct group *group = &aggregate->groups[i];

		detail_free(aggregate, group->detail, &aggregate->budget);
		*group = (struct group){ .count = 0 };
	}
	aggregate->unknown.count = 0;
	detail_free(aggregate, aggregate->rest, &aggregate->budget);
	aggregate->rest = detail_new(aggregate, &aggregate->budget);
	aggregate->failed |= !aggregate->rest;
}

bool aggregate_again(struct aggregate *aggregate)
{
	FREE uint32_t *order = NULL;
	uint32_t count;

	if (aggregate->failed || !aggregate->starved || aggregate->rounds == 2)
		return false;
	order = order_groups(aggregate, &count);
	if (!order) {
		aggregate->failed = true;
		return false;
	}
	forget_counts(aggregate);
	for (uint32_t i = 0; i < count && i < second_round_groups(aggregate->options.top); i++)
		aggregate->groups[order[i]].detail = detail_new(aggregate, &aggregate->budget);
	aggregate->rounds = 2;
	return !aggregate->failed;
}

/* ---- the result ---- */

/* Details of the answer itself are few, and take what they need. */
static void merge_detail(const struct aggregate *aggregate, struct detail *into,
			 const struct detail *from)
{
	size_t budget = SIZE_MAX;

	for (uint32_t i = 0; i < aggregate->options.buckets; i++)
		into->counts[i] += from->counts[i];
	for (uint32_t i = 0; i < aggregate->options.of_count; i++)
		distribution_merge(&into->values[i], &from->values[i], &budget);
}

static struct aggregate_figures figures_of(const struct aggregate *aggregate, uint64_t count,
					   const struct detail *detail)
{
	const struct aggregate_options *options = &aggregate->options;

	return (struct aggregate_figures){
		.count = count,
		.counts = detail && options->buckets ? detail->counts : NULL,
		.values = detail && options->of_count ? detail->values : NULL,
	};
}

/* The groups that are shown go from `order` to the result; of all others, what is known of them
 * goes to `other`. */
static void share_out(struct aggregate *aggregate, const uint32_t *order, uint32_t count,
		      struct aggregate_result *result)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct group *group = &aggregate->groups[order[i]];
		const bool shown = result->group_count < aggregate->options.top &&
				   (group->detail || !has_details(aggregate));
		struct detail *target = shown ? aggregate->total : aggregate->other;

		result->total.count += group->count;
		if (shown)
			result->groups[result->group_count++] = (struct aggregate_group){
				.number = order[i],
				.figures = figures_of(aggregate, group->count, group->detail),
			};
		else
			result->other.count += group->count;
		/* Its place among the largest was known too late to learn more of it. */
		result->exact &= shown || result->group_count == aggregate->options.top;
		if (group->detail)
			merge_detail(aggregate, target, group->detail);
	}
	result->other.count += aggregate->unknown.count;
	result->total.count += aggregate->unknown.count;
	result->total_groups = count;
	result->other_groups = count - result->group_count;
	result->exact &= !aggregate->unknown.count;
}

int aggregate_result(struct aggregate *aggregate, struct aggregate_result *ret_result)
{
	struct aggregate_result result = { .exact = true };
	FREE uint32_t *order = NULL;
	size_t budget = SIZE_MAX;
	uint32_t count;

	if (aggregate->failed)
		return -ENOMEM;
	order = order_groups(aggregate, &count);
	aggregate->shown = calloc(aggregate->options.top + 1u, sizeof(*aggregate->shown));
	aggregate->other = detail_new(aggregate, &budget);
	aggregate->total = detail_new(aggregate, &budget);
	if (!order || !aggregate->shown || !aggregate->other || !aggregate->total)
		return -ENOMEM;
	result.groups = aggregate->shown;
	result.rows_scanned = aggregate->rows_scanned;
	result.rounds = aggregate->rounds;
	result.damaged = aggregate->damaged;
	share_out(aggregate, order, count, &result);
	merge_detail(aggregate, aggregate->other, aggregate->rest);
	merge_detail(aggregate, aggregate->total, aggregate->other);
	result.other = figures_of(aggregate, result.other.count, aggregate->other);
	result.total = figures_of(aggregate, result.total.count, aggregate->total);
	*ret_result = result;
	return 0;
}

/* ---- keys ---- */

static const struct key_value *part_value(const struct aggregate *aggregate, uint32_t group,
					  uint32_t column, enum key_part part)
{
	return &aggregate->keys.values[parts_of(aggregate, group)[column * KEY_PARTS + part]];
}

static void append_value(const struct aggregate *aggregate, const struct key_value *value,
			 struct buffer *out)
{
	buffer_append(out, aggregate->keys.text.data + value->offset, value->length);
}

enum value_form aggregate_key(const struct aggregate *aggregate, uint32_t group, uint32_t column,
			      struct buffer *out)
{
	const struct key_value *ip = part_value(aggregate, group, column, PART_IP);
	const struct key_value *port = part_value(aggregate, group, column, PART_PORT);
	const struct key_value *value = part_value(aggregate, group, column, PART_VALUE);
	const char *text = aggregate->keys.text.data;
	bool brackets;

	if (ip->form == VALUE_NULL) {
		append_value(aggregate, value, out);
		return value->form;
	}
	brackets = port->form != VALUE_NULL && memchr(text + ip->offset, ':', ip->length);
	buffer_append(out, "[", brackets);
	append_value(aggregate, ip, out);
	buffer_append(out, "]", brackets);
	if (port->form != VALUE_NULL) {
		buffer_append_char(out, ':');
		append_value(aggregate, port, out);
	}
	return VALUE_TEXT;
}
