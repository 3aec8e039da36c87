/* SPDX-License-Identifier: MIT */
/*
 * What loader and server say to each other: messages of one fixed size over a SOCK_SEQPACKET
 * socketpair, at most one descriptor with each (SCM_RIGHTS). The loader trusts nothing in them:
 * every field is checked, text is bounded and NUL-terminated by the receiver.
 *
 * To each server, in this order: for every program MESSAGE_PROGRAM, MESSAGE_OBJECT, and
 * MESSAGE_PARAMETERs; for one that runs also its MESSAGE_MAPs and again MESSAGE_PROGRAM. Then
 * MESSAGE_READY. Later changes come as they happen; answers to a request come after the messages
 * that tell its effects. A program that comes later, or whose file is another one now, is told of
 * in the same way, MESSAGE_READY included.
 */
#ifndef LOADER_MESSAGE_H
#define LOADER_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#define MESSAGE_NAME_SIZE 64
#define MESSAGE_HOOK_SIZE 160
#define MESSAGE_TEXT_SIZE 320
#define MESSAGE_VALUE_SIZE 64
#define MESSAGE_MAX_PROGRAMS 128
#define MESSAGE_SECRET_MAX_BYTES (1u << 20)

enum message_type {
	/* loader to server */

	/* program, name, status, flags, hook, reason, text (error): now and whenever something
	 * changes */
	MESSAGE_PROGRAM = 1,
	/* program; fd: the object file, a sealed memfd. Its offset is shared: map it or
	 * pread(2) it. Its parameters' defaults are in force until MESSAGE_PARAMETER. */
	MESSAGE_OBJECT,
	/* program, name of the map; fd: ring buffers writable (the consumer's position), all others
	 * read-only */
	MESSAGE_MAP,
	/* program, name, value, value_size: the value in force. Before a first one of a name
	 * after MESSAGE_OBJECT, the object's default is. */
	MESSAGE_PARAMETER,
	/* program: detached and closed; its maps are gone after this */
	MESSAGE_UNLOADED,
	/* every program was tried */
	MESSAGE_READY,
	/* request, program, numbers[0] run count, numbers[1] run time in ns, flags:
	 * MESSAGE_FLAG_MEASURED when the kernel measures; answers MESSAGE_ASK_STATISTICS (as does
	 * MESSAGE_RESULT when that fails) */
	MESSAGE_STATISTICS,
	/* request, result (0 or -errno), text (what was wrong) */
	MESSAGE_RESULT,

	/* server to loader */

	/* request, program */
	MESSAGE_ENABLE,
	/* request, program */
	MESSAGE_DISABLE,
	/* request, program, name, value, value_size */
	MESSAGE_SET_PARAMETER,
	/* request, program */
	MESSAGE_ASK_STATISTICS,
	/* request, numbers[0] enum shared_list, numbers[1] entries, numbers[2] the list's option
	 * (its mode is the loader's business); fd: the image (loader/shared_list.h), none when the
	 * list is empty. Each server begins by telling every list. */
	MESSAGE_SET_LIST,
	/* the server asks for an orderly end: result 0, or -errno when it failed; text says why */
	MESSAGE_STOP,

	/* loader to server */

	/* numbers[0]: enum log_level, changed by SIGHUP */
	MESSAGE_LOG_LEVEL,
	/* fd: a sealed memfd with the text of the credentials file, read again and good */
	MESSAGE_CREDENTIALS,
	/* fd: the same with certificate chain and key in one PEM text */
	MESSAGE_CERTIFICATE,
	/* program, name of a network interface, status (enum interface_direction), hook (the mode
	 * it is attached in, "" when it is not), reason (why not, or not in a better one);
	 * numbers[0]: its place in the program's list, numbers[1]: how many the list has. A list
	 * is told whole; one message without a name says that it is empty. */
	MESSAGE_INTERFACE,
};

enum program_status {
	PROGRAM_DISABLED, /* not asked for, or switched off */
	PROGRAM_LOADING,
	PROGRAM_RUNNING, /* loaded and attached */
	PROGRAM_WAITING, /* waits for something: an interface (text says what) */
	PROGRAM_FAILED,	 /* text says why */
};

#define MESSAGE_FLAG_ENABLED 1u
#define MESSAGE_FLAG_LOADED 2u
#define MESSAGE_FLAG_ATTACHED 4u
#define MESSAGE_FLAG_MEASURED 1u /* MESSAGE_STATISTICS */

struct message {
	uint32_t type;
	uint32_t request; /* echoed in the answer; 0 when none is awaited */
	uint32_t program;
	uint32_t status;
	uint32_t flags;
	int32_t result;
	uint32_t value_size;
	uint32_t reserved;
	uint64_t numbers[4];
	uint8_t value[MESSAGE_VALUE_SIZE];
	char name[MESSAGE_NAME_SIZE];
	char hook[MESSAGE_HOOK_SIZE];
	char reason[MESSAGE_TEXT_SIZE];
	char text[MESSAGE_TEXT_SIZE];
};

/* Sends one message; `fd` is -1 or passed along (not closed). Blocks while the peer's queue is
 * full, also on a non-blocking socket. 0, -EPIPE when the peer is gone, -ETIMEDOUT when the
 * socket has a SO_SNDTIMEO and it passed, -errno. Any thread: a message is one sendmsg(2). */
int message_send(int socket, const struct message *message, int fd);
/* Receives one; blocks unless the socket is non-blocking (-EAGAIN). *ret_fd is -1 or a
 * descriptor of the caller's. -EPIPE at the peer's end, -EPROTO for a message of another size,
 * with bad text, or with more than one descriptor (what was received with it is closed then). */
int message_receive(int socket, struct message *ret_message, int *ret_fd);

/* Text into a message's field: cut to fit (never inside a UTF-8 sequence), always terminated. */
#define message_set_text(field, ...) message_format((field), sizeof(field), __VA_ARGS__)
void message_format(char *field, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds to the text of a field, after the separator where there is some already. */
void message_append(char *field, size_t size, const char *separator, const char *more);

/* "disabled", "loading", "running", "waiting", "failed". */
const char *program_status_name(enum program_status status);

/*
 * Counts that must outlive a server: shared memory that the loader makes and every server in turn
 * sees. One account for each stream, found by name; those of the loader's programs are there
 * before the first server starts. The loader writes only while no server runs: `forgotten`, and
 * `past_*` from its own books.
 */
#define STREAM_ACCOUNTS 256
struct stream_account {
	char name[MESSAGE_NAME_SIZE]; /* "" ends the table */
	uint64_t stored;	      /* events taken out of the ring into the store, ever */
	uint64_t malformed;	      /* records that could not be taken, ever */
	uint64_t forgotten;	      /* stored by servers that died since, and gone with them */
	/* Kernel counts of maps that are gone: switched on again, a program begins with fresh
	 * ones. As of the server's start; what goes later it sees itself (MESSAGE_UNLOADED). */
	uint64_t past_produced, past_filtered, past_sampled_out, past_lost;
	/* The place that the next event of stream `place_of` - 1 gets (0: of none), so that places,
	 * and with them event ids, go on where an earlier server was. */
	uint64_t next_place, place_of;
};

#endif
