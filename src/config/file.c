/* SPDX-License-Identifier: MIT */
/* The configuration file: INI, read by libinih. */
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "config/options.h"

#define SERVER_SECTION "server"
/* libinih cuts longer section names without a word. */
#define SECTION_LENGTH_MAX 48

struct file_reader {
	struct draft *draft;
	FILE *file;
	int line; /* number of the line in hand */
	int result;
};

static int fail(struct file_reader *reader, const char *message, const char *text)
{
	reader->result = draft_fail(reader->draft, message, text);
	return 0;
}

static int set_server_key(struct draft *draft, const char *key, const char *value)
{
	const struct config_option *option = option_find(key);
	const char *nearest;

	if (option && option->from & FROM_FILE)
		return option_apply(draft, option, value);
	if (!strcmp(key, "set"))
		return draft_fail(draft, "parameters of programs stand in a section of their own: "
					 "PARAMETER = VALUE below [PROGRAM]");
	if (option)
		return draft_fail(draft, "'%s' cannot be set in a configuration file", key);
	nearest = option_nearest(key, FROM_FILE);
	if (nearest)
		return draft_fail(draft, "unknown key '%s' in [%s]; did you mean '%s'?", key,
				  SERVER_SECTION, nearest);
	return draft_fail(draft, "unknown key '%s' in [%s]; see --help", key, SERVER_SECTION);
}

/* libinih's handler: 1 to go on, 0 on error. */
static int handle(void *context, const char *section, const char *key, const char *value)
{
	struct file_reader *reader = context;

	if (!*section)
		return fail(reader,
			    "'%s' stands before any section; begin with [" SERVER_SECTION "]", key);
	if (strlen(section) > SECTION_LENGTH_MAX)
		return fail(reader, "the name of section [%s…] is too long", section);
	if (!*key)
		return fail(reader, "there is no name before '= %s'", value);
	if (!strcmp(section, SERVER_SECTION))
		reader->result = set_server_key(reader->draft, key, value);
	else
		reader->result = setting_add(reader->draft, section, key, value);
	return reader->result == 0;
}

/*
 * libinih's reader, one line a call, ended by "\n". libinih would take a long line for two, and
 * an indented one for a continuation of the value above; the first is an error here, the second a
 * line like any other.
 */
static char *read_line(char *line, int size, void *context)
{
	struct file_reader *reader = context;
	FREE char *text = NULL;
	size_t allocated = 0, indent, length;
	ssize_t got;

	if (reader->result)
		return NULL;
	errno = 0;
	got = getline(&text, &allocated, reader->file);
	reader->line++;
	draft_set_origin(reader->draft, "%s line %d", reader->draft->config->config_file,
			 reader->line);
	if (got < 0) {
		if (!feof(reader->file))
			reader->result = draft_fail_plain(reader->draft, "cannot read %s: %s",
							  reader->draft->config->config_file,
							  strerror(errno));
		return NULL;
	}
	if (strlen(text) != (size_t)got) {
		fail(reader, "%s", "holds a NUL byte: this is no text file");
		return NULL;
	}
	text[strcspn(text, "\r\n")] = '\0';
	indent = strspn(text, " \t\v\f");
	length = strlen(text + indent);
	if (strchr(";#", text[indent]))
		length = 0; /* empty or a comment, of any length */
	if (length + 2 > (size_t)size) {
		fail(reader, "%s", "too long; lists may be given on several lines");
		return NULL;
	}
	memcpy(line, text + indent, length);
	memcpy(line + length, "\n", 2);
	return line;
}

int config_file_apply(struct draft *draft)
{
	struct file_reader reader = { .draft = draft };
	int line;

	if (!draft->config->config_file)
		return 0;
	reader.file = fopen(draft->config->config_file, "re");
	if (!reader.file)
		return draft_fail_plain(draft, "cannot read %s: %s", draft->config->config_file,
					strerror(errno));
	draft->level = LEVEL_FILE;
	line = ini_parse_stream(read_line, &reader, handle, &reader);
	fclose(reader.file);
	/* libinih tells the first line with an error of its own or of the handler's; what it
	 * cannot tell is which, but errors of the handler end the reading at their line. */
	if (line > 0 && (!reader.result || line < reader.line)) {
		draft_set_origin(draft, "%s line %d", draft->config->config_file, line);
		return draft_fail(draft, "neither '[section]' nor 'name = value'");
	}
	if (line < 0 && !reader.result)
		return draft_out_of_memory(draft);
	return reader.result;
}
