/* SPDX-License-Identifier: MIT */
/* --help and --version, and the nearest name to a mistyped one. */
#include <bpf/libbpf.h>
#include <microhttpd.h>
#include <string.h>

#include "config/options.h"

/* The Makefile gives it; a compiler called by hand may not. */
#ifndef EBPF_SERVER_VERSION
#define EBPF_SERVER_VERSION "unversioned"
#endif

#define HELP_WIDTH 80
#define HELP_COLUMN 26
#define NAME_MAX_LENGTH 32

void version_print(struct buffer *out)
{
	buffer_printf(out, "ebpf-server %s (libbpf %u.%u, libmicrohttpd %s)\n", EBPF_SERVER_VERSION,
		      libbpf_major_version(), libbpf_minor_version(), MHD_get_version());
}

static void pad(struct buffer *out, size_t count)
{
	while (count--)
		buffer_append_char(out, ' ');
}

/* Text from column *column on, behind a space, or on the next line where it does not fit. */
static void put_piece(struct buffer *out, size_t *column, const char *text, size_t length)
{
	if (*column > HELP_COLUMN && *column + 1 + length > HELP_WIDTH) {
		buffer_append_char(out, '\n');
		pad(out, HELP_COLUMN);
		*column = HELP_COLUMN;
	} else if (*column > HELP_COLUMN) {
		buffer_append_char(out, ' ');
		*column += 1;
	}
	buffer_append(out, text, length);
	*column += length;
}

static void put_option(struct buffer *out, const struct config_option *option)
{
	const char *initially = option->default_value ? option->default_value
						      : option->default_note;
	size_t start = out->length, used, column = HELP_COLUMN;

	buffer_printf(out, "  --%s", option->name);
	if (option->argument)
		buffer_printf(out, option->value == VALUE_OPTIONAL ? "[=%s]" : " %s",
			      option->argument);
	used = out->length - start;
	if (used + 2 > HELP_COLUMN) {
		buffer_append_char(out, '\n');
		used = 0;
	}
	pad(out, HELP_COLUMN - used);
	for (const char *word = option->help; *word; word += strspn(word, " ")) {
		size_t length = strcspn(word, " ");

		put_piece(out, &column, word, length);
		word += length;
	}
	if (initially) {
		BUFFER note = BUFFER_INIT;

		buffer_printf(&note, "(default: %s)", initially);
		put_piece(out, &column, note.data, note.length);
	}
	buffer_append_char(out, '\n');
}

void help_print(struct buffer *out)
{
	buffer_append_string(out, "Usage: ebpf-server [OPTION]...\n"
				  "\n"
				  "Sees what the kernel does, by eBPF, and answers questions about "
				  "it over HTTP.\n");
	for (const struct option_group *group = config_option_groups; group->title; group++) {
		buffer_printf(out, "\n%s:\n", group->title);
		for (const struct config_option *option = group->options; option->name; option++)
			put_option(out, option);
	}
	buffer_append_string(
		out,
		"\n"
		"LIST is separated by commas; options with a LIST, and --set, may be repeated.\n"
		"One dash does as well (-addr :9090), and so does the beginning of a name that\n"
		"fits one option only. SIZE takes units: 512KiB, 64M, 1GiB.\n"
		"\n"
		"Each option but --help and --version has an environment variable:\n"
		"EBPF_SERVER_METRICS_ADDR is --metrics-addr. The configuration file is INI:\n"
		"section [server] with options as keys (metrics-addr = off), and a section for\n"
		"each program with its parameters. The command line overrides the environment,\n"
		"the environment the file; a list given above replaces the one below.\n");
}

/* How many single changes (a character more, less, another, or two exchanged) make `a` into `b`. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t rows[3][NAME_MAX_LENGTH + 1];
	size_t *before = rows[0], *last = rows[1], *this = rows[2], *spare;
	size_t a_length = strlen(a), b_length = strlen(b);

	if (a_length > NAME_MAX_LENGTH || b_length > NAME_MAX_LENGTH)
		return NAME_MAX_LENGTH;
	for (size_t j = 0; j <= b_length; j++)
		last[j] = before[j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		this[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (this[j - 1] + 1 < best)
				best = this[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			this[j] = best;
		}
		spare = before;
		before = last;
		last = this;
		this = spare;
	}
	return last[b_length];
}

const char *option_nearest(const char *name, unsigned int from)
{
	const char *nearest = NULL;
	/* Up to a third of the letters may be wrong: more is another word. */
	size_t best = strlen(name) / 3 + 1;

	FOR_EACH_OPTION(option)
	{
		size_t distance = edit_distance(name, option->name);

		if ((option->from & from) == from && distance < best) {
			best = distance;
			nearest = option->name;
		}
	}
	return nearest;
}
