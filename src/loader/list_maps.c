/* SPDX-License-Identifier: MIT */
#include "loader/list_maps.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "loader/message.h"

/* struct ip_list_state and process_list_state of the program SDK. */
struct state {
	uint32_t count, option;
};

#define STATE(list_name)                                                                           \
	{                                                                                          \
		.name = list_name "_state", .type = BPF_MAP_TYPE_ARRAY, .key_size = 4,             \
		.value_size = sizeof(struct state), .max_entries = 1                               \
	}

const struct shared_map_form list_map_forms[] = {
	{ .name = "ip_list",
	  .type = BPF_MAP_TYPE_LPM_TRIE,
	  .flags = BPF_F_NO_PREALLOC,
	  .key_size = 20,
	  .value_size = 1,
	  .max_entries = SHARED_IPS_MAX },
	STATE("ip_list"),
	{ .name = "process_list",
	  .type = BPF_MAP_TYPE_HASH,
	  .key_size = 4,
	  .value_size = 1,
	  .max_entries = SHARED_PROCESSES_MAX },
	STATE("process_list"),
	{ .name = NULL },
};

/* Entries in the order of their keys. */
struct sorted {
	uint8_t *entries;
	uint32_t count;
};

struct list {
	struct sorted sorted;
	struct shared_list_image image;
	bool filled; /* the map was there, and holds them */
};

struct list_maps {
	const struct shared_maps *maps;
	struct list lists[SHARED_LISTS];
};

struct list_maps *list_maps_new(const struct shared_maps *maps)
{
	struct list_maps *lists = calloc(1, sizeof(*lists));

	if (!lists)
		return NULL;
	lists->maps = maps;
	for (size_t i = 0; i < SHARED_LISTS; i++)
		lists->lists[i].image.fd = -1;
	return lists;
}

void list_maps_free(struct list_maps *lists)
{
	if (!lists)
		return;
	for (size_t i = 0; i < SHARED_LISTS; i++) {
		free(lists->lists[i].sorted.entries);
		memory_close_fd(&lists->lists[i].image.fd);
	}
	free(lists);
}

struct shared_list_image list_maps_image(const struct list_maps *lists, enum shared_list list)
{
	return lists->lists[list].image;
}

/* ---- one map ---- */

/* A map that one list is written to. */
struct target {
	int fd;
	enum shared_list list;
	size_t key_size, entry_size;
};

static const uint8_t *entry_at(const struct target *target, const struct sorted *sorted, uint32_t i)
{
	return sorted->entries + i * target->entry_size;
}

static int put(const struct target *target, const uint8_t *entry)
{
	uint8_t key[SHARED_LIST_KEY_MAX] __attribute__((aligned(8)));

	memcpy(key, entry, target->key_size);
	return bpf_map_update_elem(target->fd, key, entry + target->key_size, BPF_ANY) < 0 ? -errno
											   : 0;
}

static void drop(const struct target *target, const uint8_t *entry)
{
	uint8_t key[SHARED_LIST_KEY_MAX] __attribute__((aligned(8)));

	memcpy(key, entry, target->key_size);
	if (bpf_map_delete_elem(target->fd, key) < 0)
		log_warn("lists: removing an entry: %s", strerror(errno));
}

static int compare_ips(const void *a, const void *b)
{
	return memcmp(a, b, shared_list_kinds[SHARED_IPS].key_size);
}

static int compare_processes(const void *a, const void *b)
{
	return memcmp(a, b, shared_list_kinds[SHARED_PROCESSES].key_size);
}

static int (*const comparisons[SHARED_LISTS])(const void *a, const void *b) = {
	[SHARED_IPS] = compare_ips,
	[SHARED_PROCESSES] = compare_processes,
};

/* The entry of the same key, or NULL. */
static const uint8_t *find(enum shared_list list, const struct sorted *sorted, const uint8_t *entry)
{
	return sorted->count ? bsearch(entry, sorted->entries, sorted->count,
				       shared_list_entry_size(list), comparisons[list])
			     : NULL;
}

/* Undoes the first `count` of put_new(). */
static void take_back(const struct target *target, const struct sorted *old,
		      const struct sorted *new, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *entry = entry_at(target, new, i);
		const uint8_t *before = find(target->list, old, entry);

		if (!before)
			drop(target, entry);
		else if (put(target, before) < 0)
			log_warn("lists: putting an entry back: %s", strerror(errno));
	}
}

/* All or none. */
static int put_new(const struct target *target, const struct sorted *old, const struct sorted *new)
{
	for (uint32_t i = 0; i < new->count; i++) {
		const uint8_t *entry = entry_at(target, new, i);
		const uint8_t *before = find(target->list, old, entry);
		int r;

		if (before && !memcmp(before, entry, target->entry_size))
			continue;
		r = put(target, entry);
		if (r < 0) {
			take_back(target, old, new, i);
			return r;
		}
	}
	return 0;
}

static void drop_old(const struct target *target, const struct sorted *old,
		     const struct sorted *new)
{
	for (uint32_t i = 0; i < old->count; i++) {
		if (!find(target->list, new, entry_at(target, old, i)))
			drop(target, entry_at(target, old, i));
	}
}

static int put_state(const struct list_maps *lists, enum shared_list which, struct state state)
{
	char name[MESSAGE_NAME_SIZE];
	uint32_t zero = 0;
	int fd;

	message_set_text(name, "%s_state", shared_list_kinds[which].map);
	fd = shared_maps_find(lists->maps, name);
	return fd >= 0 && bpf_map_update_elem(fd, &zero, &state, BPF_ANY) < 0 ? -errno : 0;
}

/* ---- a list ---- */

/* Programs look at the count first: it grows after the entries came, and falls before they go. */
static int replace(const struct list_maps *lists, const struct target *target,
		   const struct sorted *old, const struct sorted *new, struct state state)
{
	/* Both at once have no room in the map. */
	bool crowded = old->count + new->count > shared_list_kinds[target->list].limit;
	int r;

	if (crowded)
		drop_old(target, old, new);
	r = put_new(target, old, new);
	if (r < 0 && crowded && put_new(target, new, old) < 0)
		log_warn("lists: putting entries back failed");
	if (!r) {
		r = put_state(lists, target->list, state);
		if (r < 0)
			take_back(target, old, new, new->count);
	}
	if (!r && !crowded)
		drop_old(target, old, new);
	return r;
}

static int sort(enum shared_list which, const struct shared_list_image *image,
		struct sorted *ret_sorted)
{
	size_t size = shared_list_entry_size(which);
	FREE uint8_t *entries = NULL;
	int r;

	if (!image->count)
		return 0;
	r = shared_list_image_read(which, image->fd, image->count, &entries);
	if (r < 0)
		return r;
	qsort(entries, image->count, size, comparisons[which]);
	for (uint32_t i = 1; i < image->count; i++) {
		if (!comparisons[which](entries + (i - 1) * size, entries + i * size))
			return -EINVAL;
	}
	*ret_sorted = (struct sorted){ .entries = TAKE(entries), .count = image->count };
	return 0;
}

static struct target target_of(const struct list_maps *lists, enum shared_list which)
{
	return (struct target){
		.fd = shared_maps_find(lists->maps, shared_list_kinds[which].map),
		.list = which,
		.key_size = shared_list_kinds[which].key_size,
		.entry_size = shared_list_entry_size(which),
	};
}

static int refuse(int number, const char *what, char *error, size_t error_size)
{
	message_format(error, error_size, "%s: %s", what, strerror(-number));
	return number;
}

int list_maps_set(struct list_maps *lists, enum shared_list which,
		  const struct shared_list_image *image, char *error, size_t error_size)
{
	struct list *list = &lists->lists[which];
	struct target target = target_of(lists, which);
	const struct sorted nothing = { .count = 0 };
	struct sorted new = { .count = 0 };
	FREE uint8_t *entries = NULL;
	CLOSE int fd = -1;
	int r = sort(which, image, &new);

	entries = new.entries;
	if (r < 0)
		return refuse(r, "this is no such list", error, error_size);
	if (new.count) {
		fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return refuse(-errno, "keeping the list", error, error_size);
	}
	if (target.fd >= 0)
		r = replace(lists, &target, list->filled ? &list->sorted : &nothing, &new,
			    (struct state){ new.count, image->option });
	if (r < 0)
		return refuse(r, "the kernel does not take the list", error, error_size);
	free(list->sorted.entries);
	list->sorted = (struct sorted){ .entries = TAKE(entries), .count = new.count };
	memory_close_fd(&list->image.fd);
	list->image = (struct shared_list_image){ TAKE_FD(fd), new.count, image->option };
	list->filled = target.fd >= 0;
	return 0;
}

int list_maps_set_option(struct list_maps *lists, enum shared_list which, uint32_t option)
{
	struct list *list = &lists->lists[which];
	int r = put_state(lists, which, (struct state){ list->sorted.count, option });

	if (!r)
		list->image.option = option;
	return r;
}

static int fill(const struct list_maps *lists, enum shared_list which, struct list *list)
{
	const struct sorted nothing = { .count = 0 };
	struct target target = target_of(lists, which);
	int r;

	if (target.fd < 0)
		return 0;
	/* The state too may have come just now. */
	r = replace(lists, &target, list->filled ? &list->sorted : &nothing, &list->sorted,
		    (struct state){ list->sorted.count, list->image.option });
	list->filled = r == 0;
	if (r < 0)
		log_warn("the kernel does not take the %s: %s", shared_list_kinds[which].map,
			 strerror(-r));
	return r;
}

int list_maps_fill(struct list_maps *lists)
{
	int result = 0;

	for (enum shared_list which = 0; which < SHARED_LISTS; which++) {
		int r = fill(lists, which, &lists->lists[which]);

		result = r < 0 ? r : result;
	}
	return result;
}
