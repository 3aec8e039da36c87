/* SPDX-License-Identifier: MIT */
#include "lists/lists.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "lists/list_file.h"
#include "pipeline/control.h"

/* A request waits so long for another's change, and then so long for the loader: the few threads
 * that answer requests must not all be taken. */
#define BUSY_TIMEOUT_S 1
#define LOADER_TIMEOUT_MS 5000

struct list {
	struct entry_set set;
	uint32_t option;
};

struct lists {
	int socket, data_dir;
	struct control *control; /* under `changing` */
	bool said_volatile;

	pthread_mutex_t changing; /* held through a change */
	pthread_mutex_t lock;	  /* of what follows, and never held for long */
	struct list lists[SHARED_LISTS];
};

static const char *name_of(enum shared_list which)
{
	return shared_list_kinds[which].map;
}

/* ---- telling the loader ---- */

/* Without a control it is not waited for. */
static int tell(const struct lists *lists, enum shared_list which, const struct entry_set *set,
		uint32_t option, struct control *control, char *error, size_t error_size)
{
	struct message message = { .type = MESSAGE_SET_LIST,
				   .numbers = { which, set->count, option } };
	CLOSE int image = -1;
	int r;

	if (set->count) {
		image = shared_list_image_make(which, set->entries, set->count);
		if (image < 0) {
			snprintf(error, error_size, "handing the list over: %s", strerror(-image));
			return image;
		}
	}
	if (control)
		return control_request_with(control, &message, image, LOADER_TIMEOUT_MS, error,
					    error_size);
	r = message_send(lists->socket, &message, image);
	if (r < 0)
		snprintf(error, error_size, "telling the loader: %s", strerror(-r));
	return r;
}

/* ---- at the start ---- */

static void read_in_force(struct list *list, const struct shared_list_image *image)
{
	enum shared_list which = list->set.list;
	size_t size = shared_list_entry_size(which);
	FREE uint8_t *entries = NULL;
	int r = 0;

	/* The mode of addresses is the loader's. */
	if (which == SHARED_PROCESSES)
		list->option = image->option;
	if (image->count)
		r = shared_list_image_read(which, image->fd, image->count, &entries);
	for (uint32_t i = 0; r >= 0 && i < image->count; i++)
		r = entry_set_add(&list->set, entries + i * size);
	if (r < 0)
		log_warn("%s: what is in force cannot be read, it begins empty: %s", name_of(which),
			 strerror(-r));
}

static void set_aside(int directory, enum shared_list which, const char *what)
{
	int r = list_file_set_aside(directory, which);

	if (r < 0)
		log_warn("%s: its file cannot be read (%s), nor set aside (%s)", name_of(which),
			 what, strerror(-r));
	else
		log_warn("%s: its file cannot be read (%s) and is now %s.corrupt", name_of(which),
			 what, name_of(which));
}

static void read_list(const struct lists *lists, struct list *list,
		      const struct shared_list_image *in_force)
{
	enum shared_list which = list->set.list;
	char error[MESSAGE_TEXT_SIZE] = "";
	int r = -ENOENT;

	if (lists->data_dir >= 0)
		r = list_file_read(lists->data_dir, &list->set, &list->option, error,
				   sizeof(error));
	if (r == 0)
		return;
	if (r == -ESTALE)
		log_info("%s: it begins empty: its processes were those before the machine started",
			 name_of(which));
	else if (r == -EBADMSG)
		set_aside(lists->data_dir, which, error);
	else if (r != -ENOENT)
		log_warn("%s: its file cannot be read: %s", name_of(which), strerror(-r));
	read_in_force(list, in_force);
}

struct lists *lists_new(const struct lists_options *options)
{
	struct lists *lists = calloc(1, sizeof(*lists));

	if (!lists)
		return NULL;
	lists->socket = options->socket;
	lists->data_dir = options->data_dir;
	pthread_mutex_init(&lists->changing, NULL);
	pthread_mutex_init(&lists->lock, NULL);
	for (enum shared_list which = 0; which < SHARED_LISTS; which++) {
		struct list *list = &lists->lists[which];
		char error[MESSAGE_TEXT_SIZE] = "";

		list->set.list = which;
		read_list(lists, list, &options->in_force[which]);
		if (tell(lists, which, &list->set, list->option, NULL, error, sizeof(error)) < 0)
			log_error("%s: it is not in force: %s", name_of(which), error);
	}
	return lists;
}

void lists_connect(struct lists *lists, struct control *control)
{
	pthread_mutex_lock(&lists->changing);
	lists->control = control;
	pthread_mutex_unlock(&lists->changing);
}

void lists_free(struct lists *lists)
{
	if (!lists)
		return;
	for (size_t i = 0; i < SHARED_LISTS; i++)
		entry_set_fini(&lists->lists[i].set);
	pthread_mutex_destroy(&lists->changing);
	pthread_mutex_destroy(&lists->lock);
	free(lists);
}

/* ---- changing ---- */

static int refuse(char *error, size_t error_size, int number, const char *what)
{
	snprintf(error, error_size, "%s: %s; the list stays as it was", what, strerror(-number));
	return number;
}

static int begin(struct lists *lists, char *error, size_t error_size)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += BUSY_TIMEOUT_S;
	if (pthread_mutex_clocklock(&lists->changing, CLOCK_MONOTONIC, &until)) {
		snprintf(error, error_size,
			 "another change of a list is under way; try again in a second");
		return -EBUSY;
	}
	if (lists->control)
		return 0;
	pthread_mutex_unlock(&lists->changing);
	snprintf(error, error_size, "the server is starting; try again in a second");
	return -EPIPE;
}

static void say_volatile(struct lists *lists)
{
	if (lists->data_dir < 0 && !lists->said_volatile)
		log_warn("lists: there is no data directory (--data-dir): they end with this "
			 "daemon");
	lists->said_volatile = true;
}

/*
 * In the order in which it can be undone: the next file is written beside the old one, the loader
 * puts the list in force, the file takes its place. The loader hears us in order, so when it gives
 * no answer in time, telling it the old list makes that the last word.
 */
static int apply(struct lists *lists, const struct list *old, const struct list *new, char *error,
		 size_t error_size)
{
	enum shared_list which = new->set.list;
	char ignored[MESSAGE_TEXT_SIZE];
	int r = 0;

	if (lists->data_dir >= 0)
		r = list_file_prepare(lists->data_dir, &new->set, new->option);
	if (r < 0)
		return refuse(error, error_size, r, "writing it to the data directory");
	r = tell(lists, which, &new->set, new->option, lists->control, error, error_size);
	if (r < 0 && lists->data_dir >= 0)
		list_file_discard(lists->data_dir, which);
	if (!r && lists->data_dir >= 0) {
		r = list_file_commit(lists->data_dir, which);
		if (r < 0) {
			list_file_discard(lists->data_dir, which);
			refuse(error, error_size, r, "replacing its file");
			tell(lists, which, &old->set, old->option, NULL, ignored, sizeof(ignored));
		}
	} else if (r == -ETIMEDOUT) {
		tell(lists, which, &old->set, old->option, NULL, ignored, sizeof(ignored));
	}
	return r;
}

/* `new` takes the place of the list, and holds the old one afterwards. */
static int put_in_force(struct lists *lists, struct list *new, char *error, size_t error_size)
{
	struct list *list = &lists->lists[new->set.list], old;
	int r;

	say_volatile(lists);
	r = apply(lists, list, new, error, error_size);
	if (r < 0)
		return r;
	pthread_mutex_lock(&lists->lock);
	old = *list;
	*list = *new;
	pthread_mutex_unlock(&lists->lock);
	*new = old;
	return 0;
}

static int add_all(struct entry_set *set, const uint8_t *entries, uint32_t count, char *error,
		   size_t error_size)
{
	uint32_t before = set->count, room = shared_list_kinds[set->list].limit - before;

	for (uint32_t i = 0; i < count; i++) {
		int r = entry_set_add(set, entries + i * shared_list_entry_size(set->list));

		if (r == -ENOSPC) {
			snprintf(error, error_size,
				 "the list is full: it holds %u of at most %u entries, and there "
				 "is room for %u more; nothing was added",
				 before, before + room, room);
			return r;
		}
		if (r < 0)
			return refuse(error, error_size, r, "adding to it");
	}
	return 0;
}

static int add_changing(struct lists *lists, enum shared_list which, const uint8_t *entries,
			uint32_t count, char *error, size_t error_size)
{
	const struct list *list = &lists->lists[which];
	struct list new = { .set = { .list = which }, .option = list->option };
	int r = entry_set_copy(&new.set, &list->set);

	if (r < 0)
		return refuse(error, error_size, r, "adding to it");
	r = add_all(&new.set, entries, count, error, error_size);
	if (!r && new.set.count != list->set.count)
		r = put_in_force(lists, &new, error, error_size);
	entry_set_fini(&new.set);
	return r;
}

int lists_add(struct lists *lists, enum shared_list which, const uint8_t *entries, uint32_t count,
	      uint32_t *ret_total, char *error, size_t error_size)
{
	int r = begin(lists, error, error_size);

	if (r < 0)
		return r;
	r = add_changing(lists, which, entries, count, error, error_size);
	if (!r)
		*ret_total = lists->lists[which].set.count;
	pthread_mutex_unlock(&lists->changing);
	return r;
}

int lists_clear(struct lists *lists, enum shared_list which, char *error, size_t error_size)
{
	struct list new = { .set = { .list = which } };
	int r = begin(lists, error, error_size);

	if (r < 0)
		return r;
	new.option = lists->lists[which].option;
	if (lists->lists[which].set.count)
		r = put_in_force(lists, &new, error, error_size);
	entry_set_fini(&new.set);
	pthread_mutex_unlock(&lists->changing);
	return r;
}

int lists_set_print_all(struct lists *lists, bool print_all, char *error, size_t error_size)
{
	const struct list *list = &lists->lists[SHARED_PROCESSES];
	struct list new = { .set = { .list = SHARED_PROCESSES }, .option = print_all };
	int r = begin(lists, error, error_size);

	if (r < 0)
		return r;
	if (list->option != new.option) {
		r = entry_set_copy(&new.set, &list->set);
		r = r < 0 ? refuse(error, error_size, r, "copying it")
			  : put_in_force(lists, &new, error, error_size);
		entry_set_fini(&new.set);
	}
	pthread_mutex_unlock(&lists->changing);
	return r;
}

/* ---- looking ---- */

int lists_read(struct lists *lists, enum shared_list which, struct entry_set *ret_set,
	       uint32_t *ret_option)
{
	int r;

	pthread_mutex_lock(&lists->lock);
	r = entry_set_copy(ret_set, &lists->lists[which].set);
	*ret_option = lists->lists[which].option;
	pthread_mutex_unlock(&lists->lock);
	return r;
}

uint32_t lists_count(struct lists *lists, enum shared_list which)
{
	uint32_t count;

	pthread_mutex_lock(&lists->lock);
	count = lists->lists[which].set.count;
	pthread_mutex_unlock(&lists->lock);
	return count;
}
