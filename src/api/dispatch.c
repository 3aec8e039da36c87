/* SPDX-License-Identifier: MIT */
/* From a request to its route, past everything that is the same for all routes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/gate.h"
#include "api/guard.h"
#include "api/routes.h"
#include "base/memory.h"

#define SEGMENTS_MAX 8
#define PATH_MAX_LENGTH 512

/* A path, cut at its slashes and decoded: "%2F" does not cut. */
struct path {
	char text[PATH_MAX_LENGTH + 1];
	const char *segments[SEGMENTS_MAX];
	size_t count;
};

/* Returns 0, -EINVAL for bad escapes, -ENAMETOOLONG for what can be no route. */
static int path_parse(struct path *path, const char *text, size_t length)
{
	char *out = path->text;

	path->count = 0;
	if (length > PATH_MAX_LENGTH || !length || text[0] != '/')
		return -ENAMETOOLONG;
	/* What stands behind each slash; of "/" that is one empty segment. */
	for (size_t i = 0; i < length;) {
		const char *begin = text + i + 1;
		const char *end = memchr(begin, '/', length - i - 1);
		size_t size = end ? (size_t)(end - begin) : length - i - 1;
		size_t decoded;

		if (path->count == SEGMENTS_MAX)
			return -ENAMETOOLONG;
		if (percent_decode(out, begin, size, false, &decoded) < 0)
			return -EINVAL;
		path->segments[path->count++] = out;
		out += decoded + 1;
		i += size + 1;
	}
	return 0;
}

/* `ret_name`: the segment that stands for {name}, when the pattern has one. */
static bool path_matches(const struct path *path, const char *pattern, const char **ret_name)
{
	for (size_t i = 0; i < path->count; i++) {
		size_t length;

		if (*pattern != '/')
			return false;
		pattern++;
		length = strcspn(pattern, "/");
		if (!strncmp(pattern, "{name}", 6) && length == 6) {
			if (!path->segments[i][0])
				return false;
			*ret_name = path->segments[i];
		} else if (strlen(path->segments[i]) != length ||
			   memcmp(path->segments[i], pattern, length) != 0) {
			return false;
		}
		pattern += length;
	}
	return !*pattern;
}

/* ---- methods ---- */

static const struct {
	unsigned int method;
	const char *name;
} method_names[] = {
	{ METHOD_GET, "GET" },	   { METHOD_HEAD, "HEAD" },	  { METHOD_POST, "POST" },
	{ METHOD_PATCH, "PATCH" }, { METHOD_OPTIONS, "OPTIONS" },
};

static unsigned int taken_methods(unsigned int methods)
{
	return methods | METHOD_OPTIONS | (methods & METHOD_GET ? METHOD_HEAD : 0u);
}

static void list_methods(unsigned int methods, const char *separator, const char *last_separator,
			 struct buffer *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(method_names); i++) {
		if (!(methods & method_names[i].method))
			continue;
		methods &= ~method_names[i].method;
		buffer_append_string(out, method_names[i].name);
		if (methods)
			buffer_append_string(out,
					     methods & (methods - 1) ? separator : last_separator);
	}
}

static void add_allow(struct answer *answer, unsigned int methods)
{
	BUFFER list = BUFFER_INIT;
	FREE char *text = NULL;

	list_methods(taken_methods(methods), ", ", ", ", &list);
	text = buffer_take_string(&list);
	answer_header(answer, "Allow", "%s", text ? text : "OPTIONS");
}

static void refuse_method(unsigned int methods, const char *only, struct answer *answer)
{
	BUFFER list = BUFFER_INIT;
	FREE char *text = NULL;

	list_methods(methods, ", ", " and ", &list);
	text = buffer_take_string(&list);
	if (only)
		answer_error(answer, STATUS_METHOD_NOT_ALLOWED, "%s", only);
	else
		answer_error(answer, STATUS_METHOD_NOT_ALLOWED, "Only %s method%s allowed",
			     text ? text : "other", methods & (methods - 1) ? "s are" : " is");
	add_allow(answer, methods);
}

/* ---- bodies ---- */

/* A form is what `curl -d` calls its text when nobody says better; people send JSON so, and it is
 * read as JSON. That a web page of somebody else may send it too is no matter: guard.c looks at
 * Origin. */
static bool may_be_json(const char *media_type)
{
	size_t length = strcspn(media_type, "; \t");

	if (length == 33 && !strncasecmp(media_type, "application/x-www-form-urlencoded", length))
		return true;
	if ((length == 16 && !strncasecmp(media_type, "application/json", length)) ||
	    (length == 9 && !strncasecmp(media_type, "text/json", length)))
		return true;
	return length > 5 && !strncasecmp(media_type, "application/", 12) &&
	       !strncasecmp(media_type + length - 5, "+json", 5);
}

static bool is_blank(const struct buffer *body)
{
	for (size_t i = 0; i < body->length; i++) {
		if (!memchr(" \t\r\n", body->data[i], 4))
			return false;
	}
	return true;
}

static int check_body(const struct route *route, const struct request *request,
		      struct answer *answer)
{
	bool blank = is_blank(&request->body);

	if (request->too_large)
		return answer_error(answer, STATUS_CONTENT_TOO_LARGE,
				    "the body is larger than %u bytes", BODY_LIMIT);
	if (request->body.failed)
		return answer_out_of_memory(answer);
	if (!(request->method & (METHOD_POST | METHOD_PATCH))) {
		if (!blank)
			return answer_error(
				answer, STATUS_BAD_REQUEST,
				"this method takes no body; give parameters in the query "
				"string");
		return 0;
	}
	if (request->content_type && !may_be_json(request->content_type))
		return answer_error(answer, STATUS_UNSUPPORTED_MEDIA_TYPE,
				    "Content-Type \"%.80s\" is not understood; allowed is "
				    "application/json",
				    request->content_type);
	/* What is required may stand in the query string instead. */
	if (blank && route->body_required && !request->query[0])
		return answer_error(answer, STATUS_BAD_REQUEST, INVALID_BODY);
	return 0;
}

int request_arguments(const struct request *request, struct arguments *arguments,
		      struct answer *answer)
{
	if (is_blank(&request->body))
		return arguments_from_query(arguments, request->query, answer);
	if (request->query[0])
		return answer_error(answer, STATUS_BAD_REQUEST,
				    "give parameters in the query string or in the body, not in "
				    "both");
	return arguments_from_body(arguments, request->body.data, request->body.length, NULL,
				   answer);
}

/* A route without parameters takes none. */
static int check_none(const struct route *route, const struct request *request,
		      struct answer *answer)
{
	ARGUMENTS query = ARGUMENTS_INIT;
	ARGUMENTS body = ARGUMENTS_INIT;

	if (route->rule_count || route->filters || route->page)
		return 0;
	if (request->query[0] && (arguments_from_query(&query, request->query, answer) < 0 ||
				  rules_read(NULL, 0, &query, 0, NULL, NULL, answer) < 0))
		return -EINVAL;
	if (!route->body && !is_blank(&request->body) &&
	    (arguments_from_body(&body, request->body.data, request->body.length, NULL, answer) <
		     0 ||
	     rules_read(NULL, 0, &body, 0, NULL, NULL, answer) < 0))
		return -EINVAL;
	return 0;
}

/* ---- dispatch ---- */

static void handle(const struct route *route, struct request *request, struct answer *answer)
{
	int r;

	answer->bad_request = route->bad_request;
	if ((route->changes && guard_origin(request, answer) < 0) ||
	    gate_pass(route, request, answer) < 0 || check_body(route, request, answer) < 0 ||
	    check_none(route, request, answer) < 0)
		return;
	r = route->handler(request, answer);
	if (answer->body.failed)
		r = -ENOMEM;
	if (r < 0 && (answer->status < STATUS_BAD_REQUEST || answer->body.failed))
		answer_error(answer, STATUS_INTERNAL_SERVER_ERROR, "%s", strerror(-r));
}

/* "/ui" is "/ui/" to people; a page's own links need the slash. */
static bool redirect_to_page(const struct request *request, const struct path *path,
			     struct answer *answer)
{
	for (size_t i = 0; !request->metrics && path->count == 1 && i < route_count; i++) {
		const char *pattern = routes[i].path;
		size_t length = strlen(path->segments[0]);

		if (!routes[i].page || strlen(pattern) != length + 2 ||
		    memcmp(pattern + 1, path->segments[0], length) != 0)
			continue;
		answer->status = STATUS_PERMANENT_REDIRECT;
		answer_header_constant(answer, "Location", pattern + 1);
		return true;
	}
	return false;
}

static void refuse_path(const struct request *request, struct answer *answer)
{
	answer_error(answer, STATUS_NOT_FOUND, "there is nothing at %.200s; %s", request->target,
		     request->metrics ? "here are /metrics and the probes, the API has its own port"
				      : "/ lists what there is");
}

/* Returns the route that the path is of, or NULL. */
static const struct route *dispatch(struct request *request, const struct path *path,
				    struct answer *answer)
{
	const struct route *found = NULL, *near = NULL;
	unsigned int methods = 0;
	const char *only = NULL;
	unsigned int method = request->method == METHOD_HEAD ? METHOD_GET : request->method;

	for (size_t i = 0; i < route_count; i++) {
		if ((request->metrics && !routes[i].probe) ||
		    !path_matches(path, routes[i].path, &request->name))
			continue;
		methods |= routes[i].methods;
		near = &routes[i];
		if (routes[i].only)
			only = routes[i].only;
		if (routes[i].methods & method)
			found = &routes[i];
	}
	if (found) {
		handle(found, request, answer);
	} else if (!methods) {
		if (!redirect_to_page(request, path, answer))
			refuse_path(request, answer);
	} else if (method == METHOD_OPTIONS) {
		answer->status = STATUS_NO_CONTENT;
		add_allow(answer, methods);
	} else {
		refuse_method(methods, only, answer);
	}
	request->name = NULL;
	return found ? found : near;
}

/* "http://host/path", as proxies are asked, is the same as "/path" (RFC 9112, 3.2.2). */
static const char *skip_authority(const char *target)
{
	const char *authority;

	if (target[0] == '/')
		return target;
	authority = strstr(target, "://");
	if (!authority || (size_t)(authority - target) > strcspn(target, "/?"))
		return target;
	authority += 3;
	return authority + strcspn(authority, "/?");
}

/* Returns the route, as far as it came to one. */
static const struct route *answer_target(struct request *request, struct answer *answer)
{
	const char *target = skip_authority(request->target);
	size_t length = strcspn(target, "?");
	struct path path;
	int r;

	request->query = target[length] ? target + length + 1 : "";
	if (request->headers_too_large) {
		answer_error(answer, STATUS_HEADERS_TOO_LARGE,
			     "request line and headers are larger than %u bytes together",
			     HEADERS_LIMIT);
		return NULL;
	}
	if (guard_host(request, answer) < 0)
		return NULL;
	if (request->method == METHOD_OPTIONS && !strcmp(target, "*")) {
		answer->status = STATUS_NO_CONTENT;
		add_allow(answer, METHOD_GET | METHOD_POST | METHOD_PATCH);
		return NULL;
	}
	/* The path of "http://host" is "/". */
	r = !length && target != request->target ? path_parse(&path, "/", 1)
						 : path_parse(&path, target, length);
	if (r == -EINVAL)
		answer_error(
			answer, STATUS_BAD_REQUEST,
			"the path holds a '%%' that begins no escape of two hexadecimal digits "
			"other than 00");
	else if (r < 0)
		refuse_path(request, answer);
	else
		return dispatch(request, &path, answer);
	return NULL;
}

void route_request(struct request *request, struct answer *answer)
{
	const struct route *route = answer_target(request, answer);

	answers_count(request->api, route, answer->status);
}
