/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log_limit.h"
#include "base/memory.h"
#include "base/text.h"

#define TEXT_ON_STACK 1024
#define ESCAPED_BYTE 4 /* \xNN */
#define PREFIX_SIZE 48 /* time and level */

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

/* Every layer logs, and none of them should have to carry a logger for the sake of one number. */
static atomic_int current_level = LOG_INFO;

int log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (!strcmp(name, level_names[i])) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

/* "2026-11-21T03:45:28.123Z level " */
static size_t put_prefix(char *line, enum log_level level)
{
	char time[CLOCK_RFC3339_SIZE];

	clock_format_rfc3339(clock_real_ns(), time);
	return (size_t)snprintf(line, PREFIX_SIZE, "%.23sZ %s ", time, level_names[level]);
}

/* Copies the text as it may be shown on a terminal. Returns its new length. */
static size_t put_printable(char *line, const char *text, size_t length)
{
	static const char hex_digits[] = "0123456789abcdef";
	char *out = line;

	for (size_t i = 0; i < length;) {
		uint8_t byte = (uint8_t)text[i];
		size_t size = text_utf8_sequence(text + i, length - i);
		/* U+0080 to U+009F are control characters too: some terminals obey them. */
		bool control = byte < 0x20 || byte == 0x7f ||
			       (byte == 0xc2 && size == 2 && (uint8_t)text[i + 1] < 0xa0);

		if (size && !control) {
			out = (char *)memcpy(out, text + i, size) + size;
			i += size;
			continue;
		}
		memcpy(out, "\\x", 2);
		out[2] = hex_digits[byte >> 4];
		out[3] = hex_digits[byte & 15];
		out += ESCAPED_BYTE;
		i++;
	}
	return (size_t)(out - line);
}

static void write_line(const char *line, size_t length)
{
	while (length) {
		ssize_t written = write(STDERR_FILENO, line, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return; /* there is no other place to say so */
		line += written;
		length -= (size_t)written;
	}
}

/* The level's reason again: a bound that callers had to carry would be forgotten. */
static struct log_limit limit;
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;

/* What is asked for at debug level is wanted whole. */
static bool is_admitted(enum log_level level, const char *format)
{
	char line[PREFIX_SIZE + 80];
	unsigned int suppressed = 0;
	bool admitted;
	size_t used;

	if (level == LOG_DEBUG)
		return true;
	pthread_mutex_lock(&limit_lock);
	admitted = log_limit_admit(&limit, format, clock_boot_ns(), &suppressed);
	pthread_mutex_unlock(&limit_lock);
	if (suppressed) {
		used = put_prefix(line, level);
		used += (size_t)snprintf(line + used, sizeof(line) - used,
					 "%u lines like the next one were suppressed\n",
					 suppressed);
		write_line(line, used);
	}
	return admitted;
}

void log_vmessage(enum log_level level, const char *format, va_list arguments)
{
	char short_text[TEXT_ON_STACK];
	char short_line[PREFIX_SIZE + TEXT_ON_STACK * ESCAPED_BYTE + 1];
	FREE char *long_text = NULL, *long_line = NULL;
	char *text = short_text, *line = short_line;
	int saved_errno = errno, formatted;
	size_t length, used;
	va_list again;

	if (!log_enabled(level) || !is_admitted(level, format))
		return;
	errno = saved_errno; /* for %m */
	va_copy(again, arguments);
	formatted = vsnprintf(short_text, sizeof(short_text), format, arguments);
	length = formatted < 0 ? 0 : (size_t)formatted;
	if (length >= sizeof(short_text)) {
		/* Without memory the line is cut; it is still told. */
		long_text = malloc(length + 1);
		long_line = malloc(PREFIX_SIZE + length * ESCAPED_BYTE + 1);
		if (long_text && long_line) {
			text = long_text;
			line = long_line;
			errno = saved_errno;
			vsnprintf(text, length + 1, format, again);
		} else {
			length = sizeof(short_text) - 1;
		}
	}
	va_end(again);
	/* One line: a line end at the end is the writer's habit, not part of what it says. */
	while (length && text[length - 1] == '\n')
		length--;
	used = put_prefix(line, level);
	used += put_printable(line + used, text, length);
	line[used++] = '\n';
	write_line(line, used);
	errno = saved_errno;
}

void log_message(enum log_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_vmessage(level, format, arguments);
	va_end(arguments);
}
