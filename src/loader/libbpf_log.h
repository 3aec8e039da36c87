/* SPDX-License-Identifier: MIT */
/*
 * What libbpf says while it works: everything goes to the debug log, and the lines that matter to
 * people are kept. libbpf's print callback has no context, so this state is the process's; loader
 * process only, one thread.
 */
#ifndef LOADER_LIBBPF_LOG_H
#define LOADER_LIBBPF_LOG_H

/* Hears libbpf from now on, and forgets what it said before. Once before each piece of work. */
void libbpf_log_begin(void);

/* The function that the last complaint names ("prog 'NAME': …"), or "". */
const char *libbpf_log_function(void);
/* The verifier's verdict: the last line of its log before its statistics, or "". */
const char *libbpf_log_verdict(void);
/* The first complaint about a function or map, else the first at all, without libbpf's prefix;
 * or "". */
const char *libbpf_log_complaint(void);

#endif
