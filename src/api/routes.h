/* SPDX-License-Identifier: MIT */
/*
 * The routes: one const row each (routes.c). Dispatch, Allow, the service's list of endpoints and
 * the OpenAPI document walk the table.
 */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "access/role.h"
#include "api/answer.h"
#include "api/http.h"
#include "api/rules.h"
#include "api/shapes.h"

/* Statuses that a route may answer with besides those that every route may (400, 403, 404, 405,
 * 431, 500), and those that ask for credentials (401, 429). */
enum route_error {
	ERROR_BODY = 1,	       /* 413 and 415 */
	ERROR_BUSY = 2,	       /* 429 */
	ERROR_UNAVAILABLE = 4, /* 503 with an error's shape */
	ERROR_ACCESS = 8,      /* 401 and 429; of every route that asks for credentials */
};

/* The data of a server-sent event. */
struct frame {
	const char *event; /* "message" for frames that name none */
	const char *shape; /* under #/components/schemas/ */
};

/* One form in which a route answers. */
struct content {
	const char *media_type;
	const struct shape *shape; /* NULL: text */
	const char *description;
};

/* Whether a route asks for credentials, where there are any. */
enum route_open {
	OPEN_NEVER,
	OPEN_UNLESS_PROTECTED, /* --protect-metrics */
	OPEN_ALWAYS,
};

struct route {
	unsigned int methods; /* GET stands for HEAD too; OPTIONS is everybody's */
	const char *path;     /* one segment may be {name} */
	/* Fills the answer. Negative and not filled: -errno, answered with 500. */
	int (*handler)(struct request *request, struct answer *answer);
	const char *tag, *summary, *description;
	/* Of the query string (GET), and the members of the body's object (POST). */
	const struct rule *rules;
	size_t rule_count;
	bool filters;		    /* every field of every stream is a parameter too */
	const struct frame *frames; /* of an event stream; the last has no event */
	bool resumes;		    /* a stream that Last-Event-ID says where to go on */
	const struct shape *body;   /* of a body that is not made of the rules; NULL: none */
	bool body_required;
	const char *example;	       /* of a body, as JSON */
	const char *bad_request;       /* `error` of a 400; NULL: the text of the status */
	struct content contents[5];    /* of a 200 */
	const struct content *failure; /* 503 in the same form as the 200 (probes) */
	unsigned int errors;	       /* OR of enum route_error */
	const char *only;	       /* the message of a 405; NULL: made of the methods */
	bool changes;		       /* changes something: refused from pages of other origins */
	bool probe;		       /* on the metrics listener too */
	bool page;		       /* a web page: its query string is the page's own affair */
	const char *redirect;	       /* what its 303 is for; NULL: it has none */
	const char *name_about;	       /* what {name} is; NULL: a program */
	enum route_open open;
	/* Whom it answers, unless it is open; ROLE_NONE: ROLE_ADMIN where it changes something,
	 * else ROLE_READ. */
	enum role role;
};

extern const struct route routes[];
extern const size_t route_count;

/* Finds the route and has it answer; never leaves the answer empty. */
void route_request(struct request *request, struct answer *answer);

/* Handlers, each with the rules that its row names. */
enum events_rule {
	EVENTS_TYPE,
	EVENTS_SINCE,
	EVENTS_UNTIL,
	EVENTS_LIMIT,
	EVENTS_AFTER,
	EVENTS_BEFORE,
	EVENTS_ORDER,
	EVENTS_FORMAT,
	EVENTS_INT64,
	EVENTS_RULES,
};
extern const struct rule events_rules[EVENTS_RULES];
int events_get(struct request *request, struct answer *answer);

enum stream_rule { STREAM_TYPE, STREAM_AFTER, STREAM_INT64, STREAM_RULES };
extern const struct rule stream_rules[STREAM_RULES];
int events_stream(struct request *request, struct answer *answer);

enum events_summary_rule {
	EVENTS_SUMMARY_TYPE,
	EVENTS_SUMMARY_SINCE,
	EVENTS_SUMMARY_UNTIL,
	EVENTS_SUMMARY_BY,
	EVENTS_SUMMARY_OF,
	EVENTS_SUMMARY_TOP,
	EVENTS_SUMMARY_BUCKETS,
	EVENTS_SUMMARY_FORMAT,
	EVENTS_SUMMARY_INT64,
	EVENTS_SUMMARY_RULES,
};
extern const struct rule events_summary_rules[EVENTS_SUMMARY_RULES];
int events_summary(struct request *request, struct answer *answer);

int programs_list(struct request *request, struct answer *answer);
int programs_get(struct request *request, struct answer *answer);
int programs_enable(struct request *request, struct answer *answer);
int programs_disable(struct request *request, struct answer *answer);
int programs_set(struct request *request, struct answer *answer);

enum summary_rule { SUMMARY_PID, SUMMARY_COMMAND, SUMMARY_DURATION, SUMMARY_RULES };
extern const struct rule summary_rules[SUMMARY_RULES];
int connection_summary(struct request *request, struct answer *answer);
int packet_drop_summary(struct request *request, struct answer *answer);

enum list_rule { LIST_PID, LIST_LIMIT, LIST_RULES };
extern const struct rule list_rules[LIST_RULES];
int list_connections(struct request *request, struct answer *answer);
int list_packet_drops(struct request *request, struct answer *answer);

int ips_add(struct request *request, struct answer *answer);
int ips_clear(struct request *request, struct answer *answer);
int ips_print(struct request *request, struct answer *answer);
int pids_add(struct request *request, struct answer *answer);
int pids_clear(struct request *request, struct answer *answer);
int pids_get(struct request *request, struct answer *answer);
int pids_set_print_all(struct request *request, struct answer *answer);

int apis_get(struct request *request, struct answer *answer);

int service_information(struct request *request, struct answer *answer);
int service_health(struct request *request, struct answer *answer);
int service_readiness(struct request *request, struct answer *answer);
int service_liveness(struct request *request, struct answer *answer);

int schema_get(struct request *request, struct answer *answer);
int openapi_get(struct request *request, struct answer *answer);

int metrics_get(struct request *request, struct answer *answer);

int dashboard_get(struct request *request, struct answer *answer);
int docs_get(struct request *request, struct answer *answer);
/* A browser asks, and there is a dashboard to show. */
bool assets_wanted(const struct request *request);

/* What was answered, counted for /metrics. NULL when out of memory; free(3). */
_Atomic uint64_t *answers_new(void);
/* `route` is NULL where none was found. Any thread. */
void answers_count(struct api *api, const struct route *route, unsigned int status);

/* What a request gives: in the query string or, when that is empty, in the body. Returns 0, or
 * -EINVAL with the answer filled. */
int request_arguments(const struct request *request, struct arguments *arguments,
		      struct answer *answer);

#endif
