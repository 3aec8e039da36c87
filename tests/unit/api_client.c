/* SPDX-License-Identifier: MIT */
#include "api_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "openapi_check.h"

enum { PATIENCE_MS = 10000 };

static uint16_t api_port, metrics_port;
static json_t *document;

void api_client_set_ports(uint16_t api, uint16_t metrics)
{
	api_port = api;
	metrics_port = metrics;
}

void api_client_set_document(json_t *replacement)
{
	json_decref(document);
	document = replacement;
}

void reply_fini(struct reply *reply)
{
	free(reply->head);
	json_decref(reply->json);
	*reply = (struct reply){ 0 };
}

static int dial(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Takes the text. `head` and `body` share its memory. */
static struct reply parse_reply(char *text, size_t length)
{
	struct reply reply = { .head = text };
	char *end = strstr(text, "\r\n\r\n");

	if (!end || sscanf(text, "HTTP/1.%*d %d", &reply.status) != 1)
		return reply;
	*end = '\0';
	reply.body = end + 4;
	reply.length = length - (size_t)(reply.body - text);
	reply.json = json_loadb(reply.body, reply.length, JSON_REJECT_DUPLICATES, NULL);
	return reply;
}

static struct reply talk(uint16_t port, const char *bytes, size_t length)
{
	int fd = dial(port);
	size_t capacity = 1 << 16, received = 0;
	char *text = malloc(capacity + 1);
	ssize_t n;

	assert_non_null(text);
	for (size_t sent = 0; sent < length; sent += (size_t)n) {
		n = send(fd, bytes + sent, length - sent, MSG_NOSIGNAL);
		if (n <= 0)
			break; /* the server has heard enough; its answer counts */
	}
	while ((n = recv(fd, text + received, capacity - received, 0)) > 0) {
		received += (size_t)n;
		if (received == capacity) {
			capacity *= 2;
			text = realloc(text, capacity + 1);
			assert_non_null(text);
		}
	}
	assert_false(n < 0 && errno == EAGAIN);
	close(fd);
	text[received] = '\0';
	return parse_reply(text, received);
}

int api_client_dial(void)
{
	return dial(api_port);
}

struct reply send_raw(const char *bytes, size_t length)
{
	return talk(api_port, bytes, length);
}

struct reply send_raw_metrics(const char *bytes, size_t length)
{
	return talk(metrics_port, bytes, length);
}

struct reply raw(const char *text)
{
	return send_raw(text, strlen(text));
}

struct reply raw_metrics(const char *text)
{
	return send_raw_metrics(text, strlen(text));
}

/* A JSON answer is as the document says, whenever the document knows the operation. */
static void check_documented(const char *method, const char *target, const struct reply *reply)
{
	char path[512], error[1024];
	json_t *schema;

	/* The document speaks of integers; what the parameter makes of them stands in its
	 * description. */
	if (!document || !reply->json || strstr(target, "int64=string"))
		return;
	snprintf(path, sizeof(path), "%.*s", (int)strcspn(target, "?"), target);
	schema = openapi_answer_schema(document, method, path, reply->status);
	if (!schema)
		return;
	if (!openapi_check(document, schema, reply->json, error, sizeof(error)))
		fail_msg("%s %s: %s\n%s", method, target, error, reply->body);
}

struct reply request(const char *method, const char *target, const char *headers, const char *body)
{
	struct reply reply;
	char *text;
	int length;

	if (body)
		length = asprintf(&text,
				  "%s %s HTTP/1.1\r\nHost: localhost:%u\r\nConnection: close\r\n"
				  "Content-Length: %zu\r\n%s\r\n%s",
				  method, target, api_port, strlen(body), headers, body);
	else
		length = asprintf(&text,
				  "%s %s HTTP/1.1\r\nHost: localhost:%u\r\nConnection: close\r\n"
				  "%s\r\n",
				  method, target, api_port, headers);
	assert_true(length > 0);
	reply = talk(api_port, text, (size_t)length);
	free(text);
	check_documented(method, target, &reply);
	return reply;
}

struct reply get(const char *target)
{
	return request("GET", target, "", NULL);
}

struct reply post(const char *target, const char *body)
{
	return request("POST", target, "Content-Type: application/json\r\n", body);
}

const char *reply_header(const struct reply *reply, const char *name)
{
	static char value[512];
	size_t length = strlen(name);

	for (const char *line = strstr(reply->head, "\r\n"); line; line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, name, length) != 0 || line[length] != ':')
			continue;
		line += length + 1;
		line += strspn(line, " ");
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(line, "\r"), line);
		return value;
	}
	return NULL;
}

void assert_status(const struct reply *reply, int status)
{
	if (reply->status != status)
		fail_msg("status %d instead of %d: %s", reply->status, status,
			 reply->body ? reply->body : reply->head);
}

void assert_text(const struct reply *reply, int status, const char *text)
{
	assert_status(reply, status);
	assert_string_equal(reply->body, text);
	assert_string_equal(reply_header(reply, "Content-Type"), "text/plain; charset=utf-8");
}

void assert_error(const struct reply *reply, int status, const char *message)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
	};

	assert_status(reply, status);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].status == status)
			assert_string_equal(reply_text(reply, "error"), texts[i].text);
	}
	assert_string_equal(reply_header(reply, "Content-Type"), "application/json");
	assert_int_equal(json_object_size(reply->json), 2);
	if (!strstr(reply_text(reply, "message"), message))
		fail_msg("\"%s\" does not contain \"%s\"", reply_text(reply, "message"), message);
}

static json_t *reply_member(const struct reply *reply, const char *name)
{
	json_t *value = json_object_get(reply->json, name);

	if (!value)
		fail_msg("no member \"%s\" in %s", name, reply->body);
	return value;
}

int64_t reply_integer(const struct reply *reply, const char *name)
{
	assert_true(json_is_integer(reply_member(reply, name)));
	return json_integer_value(reply_member(reply, name));
}

const char *reply_text(const struct reply *reply, const char *name)
{
	assert_true(json_is_string(reply_member(reply, name)));
	return json_string_value(reply_member(reply, name));
}

bool reply_true(const struct reply *reply, const char *name)
{
	assert_true(json_is_boolean(reply_member(reply, name)));
	return json_is_true(reply_member(reply, name));
}

bool reply_is_null(const struct reply *reply, const char *name)
{
	return json_is_null(reply_member(reply, name));
}

json_t *reply_array(const struct reply *reply, const char *name)
{
	assert_true(json_is_array(reply_member(reply, name)));
	return reply_member(reply, name);
}
