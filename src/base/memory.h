/* SPDX-License-Identifier: MIT */
/*
 * Ownership: locals that free themselves, and the macro by which ownership leaves them.
 *
 *   FREE char *name = NULL;          freed when it goes out of scope
 *   CLOSE int fd = -1;               closed when it goes out of scope
 *   return TAKE(name);               the caller owns it now; the local is NULL
 *
 * A type with its own destructor gets DEFINE_CLEANUP(type, destructor) in its header and is then
 * declared `CLEANUP(type) struct type *x = NULL;`. Destructors accept NULL.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static inline void memory_free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

static inline void memory_close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define FREE __attribute__((cleanup(memory_free_pointer)))
#define CLOSE __attribute__((cleanup(memory_close_fd)))

#define DEFINE_CLEANUP(type, destructor)                                                           \
	static inline void type##_cleanup_pointer(struct type **pointer)                           \
	{                                                                                          \
		destructor(*pointer);                                                              \
	}
#define CLEANUP(type) __attribute__((cleanup(type##_cleanup_pointer)))

#define TAKE(pointer)                                                                              \
	({                                                                                         \
		__typeof__(pointer) taken_ = (pointer);                                            \
		(pointer) = NULL;                                                                  \
		taken_;                                                                            \
	})
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})

#endif
