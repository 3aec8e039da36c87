/* SPDX-License-Identifier: MIT */
/*
 * A list on disk: one small text file in the data directory, named as the list.
 *
 *	ebpf-server ip_list 1                    its name and the version of this format
 *	boot 1763707200                          process_list: when the machine booted
 *	option 0                                 process_list: print_all
 *	10.0.0.0/8                               the entries, one a line; numbers as given
 *	end 1 5a1e01f0                           how many they are; CRC-32 of all before this line
 *
 * A file is replaced as a whole: written beside, brought to the disk, and renamed. Whatever fails,
 * the old or the new one is there. Thread: one at a time.
 */
#ifndef LISTS_LIST_FILE_H
#define LISTS_LIST_FILE_H

#include "lists/entries.h"

/* Fills the (empty) set and the option. 0; -ENOENT: there is no file; -ESTALE: its processes are of
 * an earlier boot; -EBADMSG with what is wrong with it in `error`; -errno. */
int list_file_read(int directory, struct entry_set *set, uint32_t *ret_option, char *error,
		   size_t error_size);
/* Writes the next file beside the one that is there. 0 or -errno, and then nothing is left. */
int list_file_prepare(int directory, const struct entry_set *set, uint32_t option);
/* Puts it in the place of the old one. 0, or -errno, and the old one stays. */
int list_file_commit(int directory, enum shared_list list);
void list_file_discard(int directory, enum shared_list list);
/* Renames a file that cannot be read to NAME.corrupt. 0 or -errno. */
int list_file_set_aside(int directory, enum shared_list list);

#endif
