/* SPDX-License-Identifier: MIT */
/*
 * A directory of compiled programs, NAME.bpf.o each. What the kernel runs must be in nobody's hands
 * but root's: owner, mode and type of directory and files are looked at on the opened descriptors,
 * and symbolic links are not followed. Loader process only.
 */
#ifndef LOADER_PROGRAM_FILE_H
#define LOADER_PROGRAM_FILE_H

#include <stddef.h>
#include <stdint.h>

#define PROGRAM_FILE_SUFFIX ".bpf.o"
#define PROGRAM_FILE_MAX_BYTES (16u << 20)

/* Returns a descriptor, or -errno with one line in `error`; -ENOENT when there is no such
 * directory. */
int program_directory_open(const char *path, char *error, size_t error_size);

/* The names that end in ".bpf.o", sorted; hidden ones (".…") are not programs. The caller frees
 * each, and the list. Returns how many, or -errno. */
int program_directory_list(int directory, char ***ret_names);

/* Reads a whole file. The caller frees the bytes. 0, or -errno with one line in `error`. */
int program_file_read(int directory, const char *file, uint8_t **ret_bytes, size_t *ret_size,
		      char *error, size_t error_size);

#endif
