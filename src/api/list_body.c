/* SPDX-License-Identifier: MIT */
/* No base/json.h here: its writer and jansson both have a json_string(). */
#include "api/list_body.h"

#include <jansson.h>

#include "api/http.h"

static void release(json_t **value)
{
	json_decref(*value);
}
#define JSON __attribute__((cleanup(release))) json_t

static int refuse(const char *member, const char *form, struct answer *answer)
{
	return answer_error(answer, STATUS_BAD_REQUEST,
			    "the body must be a JSON object of the form {\"%s\":%s}", member, form);
}

/* The body's only member, borrowed from `root`, or NULL. */
static json_t *only_member(const struct request *request, const char *member, json_t **root)
{
	*root = json_loadb(request->body.length ? request->body.data : "", request->body.length,
			   JSON_REJECT_DUPLICATES, NULL);
	return json_object_size(*root) == 1 ? json_object_get(*root, member) : NULL;
}

int list_body_items(const struct request *request, const char *member,
		    int (*item)(void *context, size_t index, const struct body_item *item,
				struct answer *answer),
		    void *context, struct answer *answer)
{
	JSON *root = NULL;
	json_t *array = only_member(request, member, &root), *value;
	size_t index;
	int r = 0;

	if (!json_is_array(array))
		return refuse(member, "[…]", answer);
	json_array_foreach(array, index, value)
	{
		struct body_item found = { .form = ARGUMENT_OTHER, .text = "" };

		if (r < 0)
			return r;
		if (json_is_integer(value))
			found = (struct body_item){ ARGUMENT_INTEGER, json_integer_value(value),
						    "" };
		else if (json_is_string(value))
			found = (struct body_item){ ARGUMENT_STRING, 0, json_string_value(value) };
		r = item(context, index, &found, answer);
	}
	return r;
}

int list_body_flag(const struct request *request, const char *member, bool *ret_flag,
		   struct answer *answer)
{
	JSON *root = NULL;
	const json_t *value = only_member(request, member, &root);

	if (!json_is_boolean(value))
		return refuse(member, "true", answer);
	*ret_flag = json_is_true(value);
	return 0;
}
