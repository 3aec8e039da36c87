/* SPDX-License-Identifier: MIT */
/* Holds JSON values against the schemas of an OpenAPI 3.1 document: as much of JSON Schema as
 * the document uses. */
#ifndef TESTS_OPENAPI_CHECK_H
#define TESTS_OPENAPI_CHECK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* False, and `error` says where and why. An unknown schema keyword is an error too. */
bool openapi_check(json_t *document, json_t *schema, json_t *value, char *error, size_t error_size);

/* The schema of an answer with this status, or NULL when the document has no such operation,
 * status or JSON form. `path` is without query. */
json_t *openapi_answer_schema(json_t *document, const char *method, const char *path, int status);

/* "#/a/b", or NULL. */
json_t *openapi_resolve(json_t *document, const char *reference);

#endif
