/* SPDX-License-Identifier: MIT */
#include "schema/symbol_table.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include "schema/value.h"

#define READ_SIZE 65536
/* Where nothing tells how far the last function of a region goes: no function is as large. */
#define LARGEST_SYMBOL (1u << 20)
#define FIRST_SLOTS (1u << 17) /* twice the names that a kernel has, about */

/* A line of kallsyms. */
struct entry {
	uint64_t address;
	uint32_t name;	/* 0: not text */
	uint32_t order; /* in the file: of several names for an address the first is shown */
};

struct reading {
	struct name_pool *pool;
	uint32_t *slots; /* hash table of names in the pool; a power of two */
	size_t slot_count, slots_used;
	struct entry *entries;
	size_t count, capacity;
	bool visible; /* an address was not 0 */
};

const char *name_pool_get(const struct name_pool *pool, uint32_t name)
{
	return pool->chunks[name / NAME_CHUNK_SIZE] + name % NAME_CHUNK_SIZE;
}

void name_pool_fini(struct name_pool *pool)
{
	for (size_t i = 0; i < NAME_CHUNKS; i++)
		free(pool->chunks[i]);
	*pool = (struct name_pool){ 0 };
}

/* `text` includes its NUL. 0 when there is no memory. */
static uint32_t name_pool_add(struct name_pool *pool, const char *text, size_t length)
{
	for (uint32_t i = 0; i < NAME_CHUNKS; i++) {
		if (!pool->chunks[i]) {
			pool->chunks[i] = malloc(NAME_CHUNK_SIZE);
			if (!pool->chunks[i])
				return 0;
			/* The first byte of all is the name 0, none. */
			pool->chunks[i][0] = '\0';
			pool->used[i] = i == 0;
		}
		if (length <= NAME_CHUNK_SIZE - pool->used[i]) {
			uint32_t name = i * NAME_CHUNK_SIZE + pool->used[i];

			memcpy(pool->chunks[i] + pool->used[i], text, length);
			pool->used[i] += (uint32_t)length;
			return name;
		}
	}
	return 0;
}

/* FNV-1a. */
static size_t hash(const char *text)
{
	uint64_t value = 0xcbf29ce484222325;

	for (; *text; text++)
		value = (value ^ (uint8_t)*text) * 0x100000001b3;
	return (size_t)(value ^ value >> 32);
}

/* The slot that holds the name, or the free one where it belongs. */
static uint32_t *slot_of(const struct reading *reading, const char *text)
{
	size_t i = hash(text);

	for (;; i++) {
		uint32_t *slot = &reading->slots[i & (reading->slot_count - 1)];

		if (!*slot || !strcmp(name_pool_get(reading->pool, *slot), text))
			return slot;
	}
}

static int grow_slots(struct reading *reading)
{
	uint32_t *old = reading->slots;
	size_t old_count = reading->slot_count;

	reading->slot_count = old_count ? old_count * 2 : FIRST_SLOTS;
	reading->slots = calloc(reading->slot_count, sizeof(*reading->slots));
	if (!reading->slots) {
		reading->slots = old;
		reading->slot_count = old_count;
		return -ENOMEM;
	}
	for (size_t i = 0; i < old_count; i++)
		if (old[i])
			*slot_of(reading, name_pool_get(reading->pool, old[i])) = old[i];
	free(old);
	return 0;
}

static uint32_t intern(struct reading *reading, const char *text, size_t length)
{
	uint32_t *slot;

	if (reading->slots_used * 2 >= reading->slot_count && grow_slots(reading))
		return 0;
	slot = slot_of(reading, text);
	if (!*slot) {
		*slot = name_pool_add(reading->pool, text, length + 1);
		reading->slots_used += *slot != 0;
	}
	return *slot;
}

/* The names that earlier tables brought. */
static int intern_pool(struct reading *reading)
{
	const struct name_pool *pool = reading->pool;
	int r = grow_slots(reading);

	for (uint32_t i = 0; !r && i < NAME_CHUNKS && pool->chunks[i]; i++) {
		for (uint32_t at = i == 0; !r && at < pool->used[i];) {
			const char *text = pool->chunks[i] + at;

			if (reading->slots_used * 2 >= reading->slot_count)
				r = grow_slots(reading);
			if (r)
				break;
			*slot_of(reading, text) = i * NAME_CHUNK_SIZE + at;
			reading->slots_used++;
			at += (uint32_t)strlen(text) + 1;
		}
	}
	return r;
}

static int add_entry(struct reading *reading, uint64_t address, uint32_t name)
{
	if (reading->count == reading->capacity) {
		size_t capacity = reading->capacity ? reading->capacity * 2 : 16384;
		struct entry *entries = reallocarray(reading->entries, capacity, sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		reading->entries = entries;
		reading->capacity = capacity;
	}
	reading->entries[reading->count] =
		(struct entry){ address, name, (uint32_t)reading->count };
	reading->count++;
	return 0;
}

/* Names go into JSON and CSV as they are. */
static bool is_plain(const char *name, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (name[i] <= ' ' || name[i] > '~' || strchr("\"\\<>&,", name[i]))
			return false;
	return length > 0 && length < SYMBOL_NAME_SIZE;
}

/* "ffffffff81000000 T name[\t[module]]", NUL-terminated in place of the line's end. */
static int read_line(struct reading *reading, char *line)
{
	uint64_t address = 0;
	uint32_t name = 0;
	unsigned int digits = 0;
	size_t length;
	bool is_text;
	char type;

	for (;; line++, digits++) {
		char c = *line;

		if (c >= '0' && c <= '9')
			address = address << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			address = address << 4 | (uint64_t)(c - 'a' + 10);
		else
			break;
	}
	if (!digits || digits > 16 || line[0] != ' ' || !line[1] || line[2] != ' ')
		return 0;
	type = line[1];
	line += 3;
	length = strcspn(line, "\t ");
	line[length] = '\0';
	is_text = type == 't' || type == 'T' || type == 'w' || type == 'W';
	reading->visible = reading->visible || (is_text && address);
	/* The padding before each function, which the compiler names: a third of all names, and no
	 * code is ever there. */
	if (is_text && (!strncmp(line, "__pfx_", 6) || !strncmp(line, "__cfi_", 6)))
		return 0;
	if (is_text && is_plain(line, length)) {
		name = intern(reading, line, length);
		if (!name)
			return -ENOMEM;
	}
	return add_entry(reading, address, name);
}

/* Whole lines out of the buffer; *held is what remains of a last, unfinished one. */
static int read_lines(struct reading *reading, char *buffer, size_t *held)
{
	char *at = buffer, *end;

	while ((end = memchr(at, '\n', *held))) {
		int r;

		*end = '\0';
		r = read_line(reading, at);
		if (r)
			return r;
		*held -= (size_t)(end + 1 - at);
		at = end + 1;
	}
	/* A line that fills the whole buffer is no line of kallsyms. */
	if (at == buffer && *held == READ_SIZE)
		return -EIO;
	memmove(buffer, at, *held);
	return 0;
}

static int read_file(struct reading *reading, int fd)
{
	FREE char *buffer = malloc(READ_SIZE);
	size_t held = 0;
	off_t offset = 0;

	if (!buffer)
		return -ENOMEM;
	for (;;) {
		ssize_t got = pread(fd, buffer + held, READ_SIZE - held, offset);
		int r;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return 0;
		offset += got;
		held += (size_t)got;
		r = read_lines(reading, buffer, &held);
		if (r)
			return r;
	}
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Text symbols, and of the others only those that end a text. */
static size_t keep_text(struct entry *entries, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (entries[i].name || (kept && entries[kept - 1].name &&
					entries[kept - 1].address != entries[i].address))
			entries[kept++] = entries[i];
	return kept;
}

static struct symbol_table *table_of(struct reading *reading)
{
	struct symbol_table *table;
	size_t count = 0;

	if (reading->visible) {
		qsort(reading->entries, reading->count, sizeof(*reading->entries), compare_entries);
		count = keep_text(reading->entries, reading->count);
	}
	table = malloc(sizeof(*table) + count * (sizeof(uint64_t) + sizeof(uint32_t)));
	if (!table)
		return NULL;
	table->count = count;
	table->names = (uint32_t *)(table->addresses + count);
	for (size_t i = 0; i < count; i++) {
		table->addresses[i] = reading->entries[i].address;
		table->names[i] = reading->entries[i].name;
	}
	return table;
}

int symbol_table_read(int kallsyms_fd, struct name_pool *pool, struct symbol_table **ret_table)
{
	struct reading reading = { .pool = pool };
	struct symbol_table *table;
	int r = intern_pool(&reading);

	if (!r)
		r = read_file(&reading, kallsyms_fd);
	if (!r) {
		table = table_of(&reading);
		if (table)
			*ret_table = table;
		else
			r = -ENOMEM;
	}
	free(reading.entries);
	free(reading.slots);
	return r;
}

ssize_t symbol_table_find(const struct symbol_table *table, uint64_t address)
{
	size_t low = 0, high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->addresses[middle] <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return -1;
	low--;
	while (low && table->addresses[low - 1] == table->addresses[low])
		low--;
	/* The first of its address may be what ends the text before. */
	while (!table->names[low] && low + 1 < table->count &&
	       table->addresses[low + 1] == table->addresses[low])
		low++;
	if (!table->names[low] || address > symbol_table_end(table, low))
		return -1;
	return (ssize_t)low;
}

uint64_t symbol_table_end(const struct symbol_table *table, size_t entry)
{
	uint64_t start = table->addresses[entry], limit = start + LARGEST_SYMBOL - 1;
	size_t next = entry + 1;

	if (limit < start)
		limit = UINT64_MAX;
	while (next < table->count && table->addresses[next] == start)
		next++;
	return next < table->count && table->addresses[next] - 1 < limit
		       ? table->addresses[next] - 1
		       : limit;
}
