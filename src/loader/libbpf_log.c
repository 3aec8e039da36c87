/* SPDX-License-Identifier: MIT */
#include "loader/libbpf_log.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/memory.h"
#include "loader/message.h"

#define PREFIX "libbpf: "
#define FUNCTION_PREFIX "prog '"
#define MAP_PREFIX "map '"
#define LOG_BEGIN "-- BEGIN PROG LOAD LOG --\n"
#define LOG_END "-- END PROG LOAD LOG --"
#define LOG_LAST_LINES 24
#define LINE_SIZE 256

static struct {
	char function[MESSAGE_NAME_SIZE];
	char verdict[LINE_SIZE];
	char complaint[LINE_SIZE];
	bool complaint_is_specific;
} heard;

static bool starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static void keep_function(const char *text)
{
	const char *name = text + strlen(FUNCTION_PREFIX);
	const char *end = strchr(name, '\'');

	if (end)
		message_format(heard.function, sizeof(heard.function), "%.*s", (int)(end - name),
			       name);
}

static void keep_complaint(const char *text)
{
	bool specific = starts_with(text, FUNCTION_PREFIX) || starts_with(text, MAP_PREFIX);

	/* Not a failure yet: libbpf goes on without. */
	if (strstr(text, "Retrying without BTF"))
		return;
	if (starts_with(text, FUNCTION_PREFIX))
		keep_function(text);
	if (heard.complaint[0] && (heard.complaint_is_specific || !specific))
		return;
	heard.complaint_is_specific = specific;
	message_format(heard.complaint, sizeof(heard.complaint), "%.*s", (int)strcspn(text, "\n"),
		       text);
}

/* Calls for each line that is not empty; `text` is cut into lines. */
static void each_line(char *text, void (*line)(const char *text))
{
	char *rest = NULL;

	for (char *part = strtok_r(text, "\n", &rest); part; part = strtok_r(NULL, "\n", &rest))
		line(part);
}

static void keep_verdict(const char *line)
{
	/* "processed 12 insns (limit 1000000) …" ends every log; source lines are shown after
	 * ';'. */
	if (starts_with(line, "processed ") || line[0] == ';')
		return;
	message_format(heard.verdict, sizeof(heard.verdict), "%s", line);
}

static void show(const char *line)
{
	log_debug("libbpf: %s", line);
}

/* Only the end of a verifier's log: it may have a million lines. */
static char *last_lines(char *text, size_t count)
{
	char *start = text + strlen(text);

	while (start > text) {
		if (start[-1] == '\n' && start[0] && count-- == 0)
			break;
		start--;
	}
	return start;
}

static void hear_verifier(char *log)
{
	char *end = strstr(log, LOG_END);
	char *tail;

	if (end)
		*end = '\0';
	tail = strdup(last_lines(log, LOG_LAST_LINES));
	if (tail && log_enabled(LOG_DEBUG))
		each_line(tail, show);
	free(tail);
	each_line(last_lines(log, LOG_LAST_LINES), keep_verdict);
}

__attribute__((format(printf, 2, 0))) static int hear(enum libbpf_print_level level,
						      const char *format, va_list arguments)
{
	BUFFER buffer = BUFFER_INIT;
	FREE char *memory = NULL;
	char *text, *log;

	if (level != LIBBPF_WARN && !log_enabled(LOG_DEBUG))
		return 0;
	buffer_vprintf(&buffer, format, arguments);
	memory = buffer_take_string(&buffer);
	if (!memory)
		return 0;
	text = starts_with(memory, PREFIX) ? memory + strlen(PREFIX) : memory;
	log = level == LIBBPF_WARN ? strstr(text, LOG_BEGIN) : NULL;
	if (log) {
		hear_verifier(log + strlen(LOG_BEGIN));
		return 0;
	}
	if (level == LIBBPF_WARN)
		keep_complaint(text);
	if (log_enabled(LOG_DEBUG))
		each_line(text, show);
	return 0;
}

void libbpf_log_begin(void)
{
	memset(&heard, 0, sizeof(heard));
	libbpf_set_print(hear);
}

const char *libbpf_log_function(void)
{
	return heard.function;
}

const char *libbpf_log_verdict(void)
{
	return heard.verdict;
}

const char *libbpf_log_complaint(void)
{
	return heard.complaint;
}
