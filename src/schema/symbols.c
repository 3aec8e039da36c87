/* SPDX-License-Identifier: MIT */
#include "schema/kernel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "schema/symbol_table.h"

#include <string.h>

/* Reading again is some 50 ms of CPU: an address that stays unknown must not make it a habit. */
#define FIRST_PAUSE_NS NS_PER_SECOND
#define LONGEST_PAUSE_NS (64 * NS_PER_SECOND)
/* Kernel text is in the upper half of the address space on every 64-bit machine. */
#define LOWEST_KERNEL_ADDRESS (1ULL << 63)

struct symbols {
	int fd;
	pthread_mutex_t reading;    /* by one thread at a time; guards pool, pause_ns */
	pthread_rwlock_t exchange;  /* guards table */
	struct symbol_table *table; /* NULL until the first question */
	struct name_pool pool;
	uint64_t pause_ns;
	_Atomic uint64_t next_read; /* boot ns */
};

struct symbols *symbols_new(int kallsyms_fd)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));

	if (!symbols)
		return NULL;
	symbols->fd = kallsyms_fd;
	symbols->pause_ns = FIRST_PAUSE_NS;
	pthread_mutex_init(&symbols->reading, NULL);
	pthread_rwlock_init(&symbols->exchange, NULL);
	return symbols;
}

void symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	if (symbols->fd >= 0)
		close(symbols->fd);
	free(symbols->table);
	name_pool_fini(&symbols->pool);
	pthread_mutex_destroy(&symbols->reading);
	pthread_rwlock_destroy(&symbols->exchange);
	free(symbols);
}

static bool is_same(const struct symbol_table *a, const struct symbol_table *b)
{
	return a && a->count == b->count &&
	       !memcmp(a->addresses, b->addresses, a->count * sizeof(a->addresses[0])) &&
	       !memcmp(a->names, b->names, a->count * sizeof(a->names[0]));
}

/* Reads the table when it is time to. True when it has changed. */
static bool refresh(struct symbols *symbols)
{
	struct symbol_table *table = NULL, *old;
	bool changed = false;
	int r;

	if (symbols->fd < 0 || clock_boot_ns() < atomic_load(&symbols->next_read))
		return false;
	pthread_mutex_lock(&symbols->reading);
	/* Another thread may have read it meanwhile. */
	if (clock_boot_ns() < atomic_load(&symbols->next_read)) {
		pthread_mutex_unlock(&symbols->reading);
		return true;
	}
	r = symbol_table_read(symbols->fd, &symbols->pool, &table);
	if (r)
		log_debug("/proc/kallsyms cannot be read: %s; addresses are shown as numbers",
			  strerror(-r));
	/* Only this thread changes the table now, so it may look at it without the other lock. */
	changed = table && !is_same(symbols->table, table);
	if (changed)
		symbols->pause_ns = FIRST_PAUSE_NS;
	else if (symbols->pause_ns < LONGEST_PAUSE_NS)
		symbols->pause_ns *= 2;
	atomic_store(&symbols->next_read, clock_boot_ns() + symbols->pause_ns);
	old = table;
	if (changed) {
		pthread_rwlock_wrlock(&symbols->exchange);
		old = symbols->table;
		symbols->table = table;
		pthread_rwlock_unlock(&symbols->exchange);
	}
	pthread_mutex_unlock(&symbols->reading);
	free(old);
	return changed;
}

static const char *find(struct symbols *symbols, uint64_t address, uint64_t *ret_offset)
{
	const char *name = NULL;
	ssize_t entry;

	pthread_rwlock_rdlock(&symbols->exchange);
	entry = symbols->table ? symbol_table_find(symbols->table, address) : -1;
	if (entry >= 0) {
		*ret_offset = address - symbols->table->addresses[entry];
		name = name_pool_get(&symbols->pool, symbols->table->names[entry]);
	}
	pthread_rwlock_unlock(&symbols->exchange);
	return name;
}

const char *symbols_lookup(struct symbols *symbols, uint64_t address, uint64_t *ret_offset)
{
	const char *name = find(symbols, address, ret_offset);

	if (name || (sizeof(void *) == 8 && address < LOWEST_KERNEL_ADDRESS))
		return name;
	return refresh(symbols) ? find(symbols, address, ret_offset) : NULL;
}

void symbols_match(struct symbols *symbols, const char *glob,
		   void (*found)(void *context, uint64_t start, uint64_t end), void *context)
{
	size_t length = strlen(glob);
	bool known;

	pthread_rwlock_rdlock(&symbols->exchange);
	known = symbols->table != NULL;
	pthread_rwlock_unlock(&symbols->exchange);
	if (!known)
		refresh(symbols);
	pthread_rwlock_rdlock(&symbols->exchange);
	for (size_t i = 0; symbols->table && i < symbols->table->count; i++) {
		const struct symbol_table *table = symbols->table;
		const char *name;

		if (!table->names[i])
			continue;
		name = name_pool_get(&symbols->pool, table->names[i]);
		if (text_glob_match(glob, length, name, strlen(name)))
			found(context, table->addresses[i], symbol_table_end(table, i));
	}
	pthread_rwlock_unlock(&symbols->exchange);
}
