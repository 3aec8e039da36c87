/* SPDX-License-Identifier: MIT */
/* The table of programs, and what a configuration says of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/buffer.h"
#include "base/log.h"
#include "loader/internal.h"
#include "loader/libbpf_log.h"
#include "loader/object.h"
#include "loader/registry.h"

_Static_assert(MESSAGE_VALUE_SIZE == sizeof(((struct parameter *)0)->default_value),
	       "a message holds any parameter's value");

#define OBJECT_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* ---- the table ---- */

/* What the server gets: it has no access to this process's memory, and could not change the
 * file. */
static int make_object_file(const char *name, const uint8_t *bytes, size_t size)
{
	CLOSE int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < size) {
		ssize_t part = pwrite(fd, bytes + done, size - done, (off_t)done);

		if (part < 0 && errno != EINTR)
			return -errno;
		done += part > 0 ? (size_t)part : 0;
	}
	if (fcntl(fd, F_ADD_SEALS, OBJECT_SEALS) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int program_read(struct program *program)
{
	int r;

	libbpf_log_begin();
	r = program_schema_read(program->name, program->bytes, program->size, NULL,
				&program->schema, program->fault, sizeof(program->fault));
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		program->schema = NULL;
		return 0;
	}
	program->values = program_values_new(program);
	if (!program->values)
		return -ENOMEM;
	program->object_fd = make_object_file(program->name, program->bytes, program->size);
	return program->object_fd < 0 ? program->object_fd : 0;
}

void program_open_accounts(struct loader *loader, const struct program_schema *schema)
{
	for (size_t i = 0; i < schema->stream_count; i++) {
		const char *stream = schema->streams[i].name;
		size_t place = 0;

		while (place < STREAM_ACCOUNTS && loader->books[place].name[0] &&
		       strcmp(loader->books[place].name, stream) != 0)
			place++;
		if (place < STREAM_ACCOUNTS)
			message_set_text(loader->books[place].name, "%s", stream);
	}
}

int programs_open(struct loader *loader)
{
	size_t count = embedded_object_count;

	if (count > MESSAGE_MAX_PROGRAMS) {
		log_warn("only %d of %zu programs can be managed", MESSAGE_MAX_PROGRAMS, count);
		count = MESSAGE_MAX_PROGRAMS;
	}
	loader->programs = calloc(MESSAGE_MAX_PROGRAMS, sizeof(*loader->programs));
	if (!loader->programs)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct program *program = &loader->programs[i];
		int r;

		loader->program_count = i + 1;
		message_set_text(program->name, "%s", embedded_objects[i].name);
		program->bytes = embedded_objects[i].bytes;
		program->size = embedded_objects[i].size;
		program->object_fd = -1;
		program->fresh = true;
		r = program_read(program);
		if (r < 0)
			return r;
		if (program->schema)
			program_open_accounts(loader, program->schema);
	}
	return 0;
}

void program_fini(struct program *program)
{
	interfaces_detach(program);
	object_unload(TAKE(program->object));
	program_schema_free(TAKE(program->schema));
	free(TAKE(program->values));
	free(TAKE(program->file));
	free(TAKE(program->file_bytes));
	program->bytes = NULL;
	program->size = 0;
	if (program->object_fd >= 0)
		close(TAKE_FD(program->object_fd));
}

void programs_close(struct loader *loader)
{
	for (size_t i = 0; i < loader->program_count; i++)
		program_fini(&loader->programs[i]);
	free(TAKE(loader->programs));
	loader->program_count = 0;
}

/* ---- checking a configuration ---- */

static struct program *find_program(const struct loader *loader, const char *name)
{
	for (size_t i = 0; i < loader->program_count; i++) {
		if (!strcmp(loader->programs[i].name, name))
			return &loader->programs[i];
	}
	return NULL;
}

static void list_name(struct buffer *list, const char *name)
{
	if (list->length)
		buffer_append_string(list, ", ");
	buffer_append_string(list, name);
}

static int refuse_list(const char *what, struct buffer *list, char *error, size_t error_size)
{
	FREE char *names = buffer_take_string(list);

	message_format(error, error_size, "%s%s", what, names && *names ? names : "none");
	return -EINVAL;
}

static int refuse_program(const struct loader *loader, const char *name, const char *origin,
			  char *error, size_t error_size)
{
	BUFFER list = BUFFER_INIT;
	char what[MESSAGE_TEXT_SIZE];

	for (size_t i = 0; i < loader->program_count; i++)
		list_name(&list, loader->programs[i].name);
	message_set_text(what, "%s: no program is named \"%s\"; known are ", origin, name);
	return refuse_list(what, &list, error, error_size);
}

static int refuse_parameter(const struct program *program, const struct config_setting *setting,
			    char *error, size_t error_size)
{
	BUFFER list = BUFFER_INIT;
	char what[MESSAGE_TEXT_SIZE];

	for (size_t i = 0; i < program->schema->parameter_count; i++)
		list_name(&list, program->schema->parameters[i].name);
	message_set_text(what, "%s: %s has no parameter \"%s\"; it has ", setting->origin,
			 program->name, setting->parameter);
	return refuse_list(what, &list, error, error_size);
}

static int check_names(const struct loader *loader, char *const *names, char *const *origins,
		       size_t count, char *error, size_t error_size)
{
	for (size_t i = 0; i < count; i++) {
		if (!find_program(loader, names[i]))
			return refuse_program(loader, names[i], origins[i], error, error_size);
	}
	return 0;
}

static int check_setting(const struct loader *loader, const struct config_setting *setting,
			 char *error, size_t error_size)
{
	const struct program *program = find_program(loader, setting->program);
	const struct parameter *parameter;
	uint8_t value[MESSAGE_VALUE_SIZE];
	char words[MESSAGE_TEXT_SIZE];

	if (!program)
		return refuse_program(loader, setting->program, setting->origin, error, error_size);
	/* What is wrong with the object is told when it is loaded. */
	if (!program->schema)
		return 0;
	parameter = program_schema_parameter(program->schema, setting->parameter);
	if (!parameter)
		return refuse_parameter(program, setting, error, error_size);
	if (parameter_parse(parameter, setting->value, value, words, sizeof(words)) < 0) {
		message_format(error, error_size, "%s: %s.%s: %s", setting->origin,
			       setting->program, setting->parameter, words);
		return -EINVAL;
	}
	return 0;
}

int programs_check(const struct loader *loader, const struct config *config, char *error,
		   size_t error_size)
{
	int r = check_names(loader, config->programs, config->program_origins,
			    config->program_count, error, error_size);

	if (!r)
		r = check_names(loader, config->enable, config->enable_origins,
				config->enable_count, error, error_size);
	if (!r)
		r = check_names(loader, config->disable, config->disable_origins,
				config->disable_count, error, error_size);
	for (size_t i = 0; !r && i < config->setting_count; i++)
		r = check_setting(loader, &config->settings[i], error, error_size);
	return r;
}

/* ---- what it says of one program ---- */

bool program_is_wanted(const struct program *program, const struct config *config)
{
	bool by_default = !program->schema || !program->schema->off_by_default;

	return config_wants_program(config, program->name, by_default);
}

void *program_values_new(const struct program *program)
{
	return calloc(program->schema->parameter_count + 1, MESSAGE_VALUE_SIZE);
}

void program_values(const struct program *program, const struct config *config,
		    uint8_t (*values)[MESSAGE_VALUE_SIZE])
{
	const struct program_schema *schema = program->schema;
	char error[MESSAGE_TEXT_SIZE];

	for (size_t i = 0; i < schema->parameter_count; i++)
		memcpy(values[i], schema->parameters[i].default_value, MESSAGE_VALUE_SIZE);
	for (size_t i = 0; i < config->setting_count; i++) {
		const struct config_setting *setting = &config->settings[i];
		const struct parameter *parameter;

		if (strcmp(setting->program, program->name))
			continue;
		parameter = program_schema_parameter(schema, setting->parameter);
		if (parameter)
			parameter_parse(parameter, setting->value,
					values[parameter - schema->parameters], error,
					sizeof(error));
	}
}
