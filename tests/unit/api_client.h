/* SPDX-License-Identifier: MIT */
/*
 * A client of the API under test: sends any bytes, and looks into the answers. What goes wrong on
 * the way fails the test.
 */
#ifndef TESTS_API_CLIENT_H
#define TESTS_API_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The loopback ports that are asked from now on. */
void api_client_set_ports(uint16_t api, uint16_t metrics);
/* The OpenAPI document that answers are held against. Takes the reference; NULL for none. */
void api_client_set_document(json_t *replacement);

struct reply {
	int status;
	char *head; /* status line and headers */
	char *body;
	size_t length; /* of the body; a NUL stands behind it */
	json_t *json;  /* NULL when the body is no JSON */
};

#define REPLY __attribute__((cleanup(reply_fini))) struct reply

void reply_fini(struct reply *reply);
/* The value of a header, or NULL. Static memory. */
const char *reply_header(const struct reply *reply, const char *name);

/* A connection to the API; the caller closes it. Reads fail after 10 s. */
int api_client_dial(void);
/* Bytes as they are; reads to the end of the connection. */
struct reply send_raw(const char *bytes, size_t length);
struct reply send_raw_metrics(const char *bytes, size_t length);
/* The same for a string. */
struct reply raw(const char *text);
struct reply raw_metrics(const char *text);
/* A request with Host and Connection: close; `headers` are lines that end with CRLF, or "". JSON
 * answers to documented routes are held against the OpenAPI document. */
struct reply request(const char *method, const char *target, const char *headers, const char *body);
struct reply get(const char *target);
struct reply post(const char *target, const char *body);

/* Fail the test when the status is another, or the message does not contain the text. */
void assert_error(const struct reply *reply, int status, const char *message);
void assert_status(const struct reply *reply, int status);
/* This text, as text/plain in UTF-8. */
void assert_text(const struct reply *reply, int status, const char *text);

/* Members of the JSON answer; they fail when it has no such member of this type. */
int64_t reply_integer(const struct reply *reply, const char *name);
const char *reply_text(const struct reply *reply, const char *name);
bool reply_true(const struct reply *reply, const char *name);
bool reply_is_null(const struct reply *reply, const char *name);
json_t *reply_array(const struct reply *reply, const char *name);

#endif
