/* SPDX-License-Identifier: MIT */
/* Programs from the program directory, in the table beside the built-in ones. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "loader/inspect.h"
#include "loader/internal.h"
#include "loader/program_file.h"

#define INSPECT_TIMEOUT_MS 5000

/* ---- one file ---- */

static struct program *find_file(const struct loader *loader, const char *file)
{
	for (size_t i = 0; i < loader->program_count; i++) {
		struct program *program = &loader->programs[i];

		if (program->file && !strcmp(program->file, file))
			return program;
	}
	return NULL;
}

static bool is_built_in(const struct loader *loader, const char *name)
{
	for (size_t i = 0; i < loader->program_count; i++) {
		if (!loader->programs[i].file && !strcmp(loader->programs[i].name, name))
			return true;
	}
	return false;
}

/* What cannot have the name that it asks for goes by its file's, which is never a program's. */
static int read_name(const struct loader *loader, struct program *program)
{
	FREE char *name =
		strndup(program->file, strlen(program->file) - strlen(PROGRAM_FILE_SUFFIX));

	message_set_text(program->name, "%s", program->file);
	if (!name) {
		message_set_text(program->fault, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	if (!config_program_name_is_valid(name)) {
		message_set_text(program->fault,
				 "\"%.80s\" cannot be the name of a program: at most %d letters, "
				 "digits, '_' and '-', and not \"server\" or \"none\"",
				 name, MESSAGE_NAME_SIZE - 1);
		return -EINVAL;
	}
	if (is_built_in(loader, name)) {
		message_set_text(program->fault,
				 "\"%s\" is the name of a built-in program: rename the file", name);
		return -EEXIST;
	}
	message_set_text(program->name, "%s", name);
	return 0;
}

static bool has_stream(const struct program_schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->stream_count; i++) {
		if (!strcmp(schema->streams[i].name, name))
			return true;
	}
	return false;
}

/* An event's type says which program it is of. */
static int check_streams(const struct loader *loader, struct program *program)
{
	for (size_t i = 0; i < program->schema->stream_count; i++) {
		const char *stream = program->schema->streams[i].name;

		for (size_t j = 0; j < loader->program_count; j++) {
			const struct program *other = &loader->programs[j];

			if (!other->schema || !strcmp(other->name, program->name) ||
			    !has_stream(other->schema, stream))
				continue;
			message_set_text(program->fault,
					 "event stream \"%s\" is program \"%s\"'s already", stream,
					 other->name);
			return -EEXIST;
		}
	}
	return 0;
}

/* In a process apart first; what that took is read here. */
static void read_object(const struct loader *loader, struct program *program)
{
	int r = inspect_apart(inspect_object, program->name, program->bytes, program->size,
			      INSPECT_TIMEOUT_MS, program->fault, sizeof(program->fault));

	if (r < 0)
		return;
	r = program_read(program);
	if (r < 0)
		message_set_text(program->fault, "%s", strerror(-r));
	if (r < 0 || (program->schema && check_streams(loader, program) < 0))
		program_schema_free(TAKE(program->schema));
}

static bool same_bytes(const struct program *a, const struct program *b)
{
	return a->size == b->size && (!a->size || !memcmp(a->bytes, b->bytes, a->size));
}

/* Reads a file into `program`, with its fault when there is one. False when it is what `known`
 * holds already. */
static bool read_file(const struct loader *loader, int directory, const struct program *known,
		      struct program *program)
{
	if (read_name(loader, program) < 0 ||
	    program_file_read(directory, program->file, &program->file_bytes, &program->size,
			      program->fault, sizeof(program->fault)) < 0)
		return !known || known->gone || known->schema ||
		       strcmp(known->fault, program->fault) != 0;
	program->bytes = program->file_bytes;
	if (known && !known->gone && known->schema && same_bytes(known, program))
		return false;
	read_object(loader, program);
	return !known || known->gone || known->schema || program->schema ||
	       strcmp(known->fault, program->fault) != 0;
}

/* ---- the table ---- */

/* The new object's program in the place of the old one's. */
static void replace(struct loader *loader, struct program *place, struct program *fresh)
{
	fresh->changed = place->schema && !place->gone;
	fresh->enabled = place->enabled;
	if (!place->gone)
		log_info("%s: its file is another one now", place->name);
	program_unload(loader, place);
	program_fini(place);
	*place = *fresh;
	*fresh = (struct program){ .object_fd = -1 };
}

static void add(struct loader *loader, struct program *fresh)
{
	if (loader->program_count == MESSAGE_MAX_PROGRAMS) {
		log_warn("%s: there is no room for more than %d programs", fresh->name,
			 MESSAGE_MAX_PROGRAMS);
		return;
	}
	loader->programs[loader->program_count++] = *fresh;
	*fresh = (struct program){ .object_fd = -1 };
}

static void take_file(struct loader *loader, int directory, const char *file)
{
	struct program *known = find_file(loader, file);
	struct program fresh = { .file = strdup(file), .fresh = true, .object_fd = -1 };

	if (!fresh.file) {
		log_warn("%s: %s", file, strerror(ENOMEM));
		return;
	}
	if (read_file(loader, directory, known, &fresh)) {
		if (fresh.schema)
			program_open_accounts(loader, fresh.schema);
		if (known)
			replace(loader, known, &fresh);
		else
			add(loader, &fresh);
	}
	program_fini(&fresh);
}

static void withdraw(struct loader *loader, struct program *program)
{
	program_withdraw(loader, program);
	program->gone = true;
	program->fresh = false;
	/* Its file's name and its own are what is left of it. */
	program_schema_free(TAKE(program->schema));
	free(TAKE(program->values));
	if (program->object_fd >= 0)
		close(TAKE_FD(program->object_fd));
}

static bool is_listed(char *const *files, int count, const char *file)
{
	for (int i = 0; i < count; i++) {
		if (!strcmp(files[i], file))
			return true;
	}
	return false;
}

static void withdraw_missing(struct loader *loader, char *const *files, int count)
{
	for (size_t i = 0; i < loader->program_count; i++) {
		struct program *program = &loader->programs[i];

		if (program->file && !program->gone && !is_listed(files, count, program->file))
			withdraw(loader, program);
	}
}

static int read_directory(struct loader *loader, int directory)
{
	char **files = NULL;
	int count = program_directory_list(directory, &files);

	if (count < 0)
		return count;
	/* What goes makes room for what comes. */
	withdraw_missing(loader, files, count);
	for (int i = 0; i < count; i++) {
		take_file(loader, directory, files[i]);
		free(files[i]);
	}
	free(files);
	return 0;
}

/* The default directory need not be there. One that became unfit changes nothing. */
static int refuse_directory(struct loader *loader, int r, bool at_start, const char *why)
{
	bool given = loader->config->program_dir_given;

	if (r == -ENOENT && !at_start)
		withdraw_missing(loader, NULL, 0);
	if (r == -ENOENT && !given)
		return 0;
	if (at_start && given) {
		log_error("--program-dir %s", why);
		return r;
	}
	log_warn("program directory %s", why);
	return 0;
}

int program_dir_read(struct loader *loader, bool at_start)
{
	char error[MESSAGE_TEXT_SIZE];
	CLOSE int directory = program_directory_open(loader->program_dir, error, sizeof(error));
	int r;

	if (directory < 0)
		return refuse_directory(loader, directory, at_start, error);
	r = read_directory(loader, directory);
	if (r == 0)
		return 0;
	message_set_text(error, "%s: %s", loader->program_dir, strerror(-r));
	return refuse_directory(loader, r, at_start, error);
}
