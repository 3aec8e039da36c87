/* SPDX-License-Identifier: MIT */
/* For object.c and object_maps.c alone. */
#ifndef LOADER_OBJECT_PRIVATE_H
#define LOADER_OBJECT_PRIVATE_H

#include "loader/hooks.h"
#include "loader/object.h"

struct bpf_link;

struct object {
	char name[MESSAGE_NAME_SIZE];
	const void *bytes;
	size_t size;
	struct kernel_features *kernel;
	uint32_t ring_bytes;
	struct shared_maps *shared;
	/* .rodata with the settings in it, given to each new try; NULL when there is none. */
	void *rodata;
	size_t rodata_size;
	struct hooks *hooks;
	struct bpf_object *bpf;
	struct bpf_link **links; /* one a function, NULL where it is not attached */
	size_t link_count;
};

#endif
