/* SPDX-License-Identifier: MIT */
/*
 * One line a message on standard error: "2026-11-21T03:45:28.123Z level message". Any thread may
 * log; a line is one write(2), so lines never mix. Control characters in the text are shown
 * as \xNN, so that a process name cannot forge a line or drive a terminal. Of lines with the same
 * format, those at debug level apart, 200 are written in ten seconds; the next one after
 * that says how many were not.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Names are "error", "warn", "info", "debug". Returns 0, or -EINVAL for another name. */
int log_level_parse(const char *name, enum log_level *ret_level);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

void log_message(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void log_vmessage(enum log_level level, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

#define log_error(...) log_message(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_message(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_message(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_DEBUG))                                                        \
			log_message(LOG_DEBUG, __VA_ARGS__);                                       \
	} while (0)

#endif
