/* SPDX-License-Identifier: MIT */
/* Parameters out of an object's globals. Internal to this folder. */
#ifndef SCHEMA_PARAMETERS_H
#define SCHEMA_PARAMETERS_H

#include "schema/fields.h"

/* Fills in parameters and parameter_count. 0, -EINVAL, -ENOMEM. */
int parameters_read(const struct schema_source *source, struct program_schema *schema);

#endif
