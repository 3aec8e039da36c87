/* SPDX-License-Identifier: MIT */
/* Bodies of the routes of lists: an object with one member, which is an array or a truth value. */
#ifndef API_LIST_BODY_H
#define API_LIST_BODY_H

#include <stdint.h>

#include "api/arguments.h"

struct request;

/* An item of the array, valid while it is looked at. */
struct body_item {
	enum argument_form form; /* ARGUMENT_INTEGER, ARGUMENT_STRING or ARGUMENT_OTHER */
	int64_t number;		 /* of an integer */
	const char *text;	 /* of a string, else "" */
};

/* {"member":[…]}: calls `item` for each item, until one fails. Returns 0, or a negative value with
 * the answer filled. */
int list_body_items(const struct request *request, const char *member,
		    int (*item)(void *context, size_t index, const struct body_item *item,
				struct answer *answer),
		    void *context, struct answer *answer);
/* {"member":true} or false. Returns 0, or a negative value with the answer filled. */
int list_body_flag(const struct request *request, const char *member, bool *ret_flag,
		   struct answer *answer);

#endif
