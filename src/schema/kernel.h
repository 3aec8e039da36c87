/* SPDX-License-Identifier: MIT */
/* What the running kernel says of itself: symbols by address. (Its BTF is libbpf's struct btf.) */
#ifndef SCHEMA_KERNEL_H
#define SCHEMA_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"

/*
 * The kernel's text symbols, from an open descriptor of /proc/kallsyms (opened by a privileged
 * process: the kernel checks at open time whether addresses are shown, so the descriptor may be
 * handed to an unprivileged one). Read at the first question, not before: some 120,000 symbols, 20
 * to 60 ms, under 4 MB kept. Read again when an address lies in no known text (a module came), at
 * most once a second, and ever more rarely while that brings nothing. Where all addresses are
 * hidden (0), nothing is known. Owns the descriptor. Thread-safe.
 */
struct symbols;
struct symbols *symbols_new(int kallsyms_fd); /* fd may be -1: nothing is known */
void symbols_free(struct symbols *symbols);
DEFINE_CLEANUP(symbols, symbols_free)

/* The symbol that holds `address`: its name (valid as long as `symbols`; shorter than 512 bytes, of
 * printable ASCII without quotes, backslashes, < > &) and the offset into it, or NULL. */
const char *symbols_lookup(struct symbols *symbols, uint64_t address, uint64_t *ret_offset);

/* Calls `found` with the address range [start, end], both inclusive, of every text symbol whose
 * name matches the glob, by rising address. `found` must not call back. */
void symbols_match(struct symbols *symbols, const char *glob,
		   void (*found)(void *context, uint64_t start, uint64_t end), void *context);

/* "ECONNREFUSED" for 111; also the kernel-internal ones that a tracepoint sees (ERESTARTSYS, 512).
 * NULL when unknown. */
const char *errno_name(int number);
/* And back: any case, second names (EWOULDBLOCK) too; 0 when unknown. */
int errno_number(const char *name);
#define ERRNO_LIMIT 4096 /* error numbers are below: MAX_ERRNO, include/linux/err.h */

#endif
