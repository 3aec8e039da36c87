/* SPDX-License-Identifier: MIT */
/*
 * Puts the lists of loader/shared_list.h in force: what the server hands over goes into the shared
 * maps of programs, or waits until a program brings them. Loader process only; one thread.
 */
#ifndef LOADER_LIST_MAPS_H
#define LOADER_LIST_MAPS_H

#include <stdbool.h>

#include "loader/shared_list.h"
#include "loader/shared_maps.h"

struct list_maps;

/* For shared_maps_new(): the forms of the maps of all lists. */
extern const struct shared_map_form list_map_forms[];

/* `maps` must outlive it. NULL when out of memory. */
struct list_maps *list_maps_new(const struct shared_maps *maps);
void list_maps_free(struct list_maps *lists);
DEFINE_CLEANUP(list_maps, list_maps_free)

/* Replaces a list. The image's descriptor (-1: the list is empty) stays the caller's. While it
 * happens, programs see a list that holds at least what both have in common. 0, or -errno with one
 * line in `error`, and the list is as it was. */
int list_maps_set(struct list_maps *lists, enum shared_list list,
		  const struct shared_list_image *image, char *error, size_t error_size);
/* Changes the option alone. 0 or -errno. */
int list_maps_set_option(struct list_maps *lists, enum shared_list list, uint32_t option);
/* Fills maps that were made since the last time: after an object was loaded, before it is
 * attached. 0, or -errno after a line in the log. */
int list_maps_fill(struct list_maps *lists);

/* As it is in force; the descriptor stays the list's. */
struct shared_list_image list_maps_image(const struct list_maps *lists, enum shared_list list);

#endif
