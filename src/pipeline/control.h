/* SPDX-License-Identifier: MIT */
/*
 * The server's end of the socket to the loader. One thread (the server's main) hears the loader and
 * applies what it says to the pipeline; any thread may ask the loader for something and wait for
 * its answer.
 */
#ifndef PIPELINE_CONTROL_H
#define PIPELINE_CONTROL_H

#include "base/memory.h"
#include "loader/message.h"
#include "pipeline/pipeline.h"

struct btf;
struct control;

/* Takes neither the sockets nor the pipeline. `kernel_btf_fd`: /sys/kernel/btf/vmlinux or -1, open
 * as long as the control: parsed (some 10 MiB) when an object comes, and let go once the loader
 * says that all are there. NULL when out of memory. */
struct control *control_new(int socket, struct pipeline *pipeline, int kernel_btf_fd);
void control_free(struct control *control);
DEFINE_CLEANUP(control, control_free)

/* Has `take` called, on the thread in control_run(), with what is none of the pipeline's business:
 * the texts that come with MESSAGE_CREDENTIALS and MESSAGE_CERTIFICATE, wiped after the call. It
 * returns 0 or -errno, which is logged. To be called before control_run(). */
void control_pass_on(struct control *control,
		     int (*take)(void *context, uint32_t type, const char *text, size_t length),
		     void *context);

/* Hears the loader until it goes or `stop_fd` (-1: none) becomes readable. Returns 0 when stopped,
 * -EPIPE when the loader is gone; requests that wait then get -EPIPE. Calls `ready` once when every
 * program was tried (may be NULL). */
int control_run(struct control *control, int stop_fd, void (*ready)(void *context), void *context);

/* Asks the loader (`message->request` is set here) and waits for its MESSAGE_RESULT; what the
 * loader said before that is in the pipeline by then. 0 or the loader's -errno with its words in
 * `error`; -ETIMEDOUT or -EPIPE with words of its own. Any thread but the one in control_run(). */
int control_request(struct control *control, struct message *message, int timeout_ms, char *error,
		    size_t error_size);
/* The same with a descriptor, -1 for none, which stays the caller's. */
int control_request_with(struct control *control, struct message *message, int fd, int timeout_ms,
			 char *error, size_t error_size);
/* Asks for the run counts of a program and waits until they are in its view. Errors as above. */
int control_refresh_statistics(struct control *control, uint32_t program, int timeout_ms);

#endif
