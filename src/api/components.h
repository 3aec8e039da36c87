/* SPDX-License-Identifier: MIT */
/* The schemas of the OpenAPI document: the tables of shapes, and one for each stream that is
 * there now. */
#ifndef API_COMPONENTS_H
#define API_COMPONENTS_H

struct api;
struct json;

/* An object with all schemas. */
void components_write(struct json *json, const struct api *api);
/* {"$ref":"#/components/<section>/<name>"} */
void component_ref(struct json *json, const char *section, const char *name);

#endif
