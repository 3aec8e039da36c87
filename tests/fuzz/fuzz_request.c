/* SPDX-License-Identifier: MIT */
/*
 * Requests as http.c hands them on, without sockets: a byte for the method and one for whence it
 * came, lines with the target and the headers, the body. Asked of an API with some events, a loader
 * that says yes or no, and with credentials or without. The answer is always one, and where it says
 * that it is JSON it is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "access/access.h"
#include "api/compress.h"
#include "api/http.h"
#include "api/routes.h"
#include "api/source.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "fuzz.h"
#include "lists/lists.h"
#include "live/live.h"
#include "pipeline/internal.h"

static const char credentials_text[] = "read rita token-of-rita\n"
				       "write walter token-of-walter\n"
				       "admin ada token-of-ada\n";

static struct stream_account accounts[STREAM_ACCOUNTS];
static struct api *apis[2]; /* open to all, with credentials */
static int sockets[2];	    /* loader's end, server's end */

/* Every other parameter is one too many for this loader. */
static void *play_loader(void *context)
{
	struct message message;
	int fd = -1;

	while (message_receive(sockets[0], &message, &fd) == 0) {
		struct message answer = { .type = MESSAGE_RESULT, .request = message.request };

		if (message.value[0] & 1) {
			answer.result = -EINVAL;
			message_set_text(answer.text, "the value is odd");
		}
		if (fd >= 0)
			close(fd);
		message_send(sockets[0], &answer, -1);
	}
	return context;
}

static void *hear_loader(void *context)
{
	control_run(context, -1, NULL, NULL);
	return NULL;
}

static struct access *new_access(void)
{
	struct credentials *credentials;
	struct access *access;
	char error[256];

	REQUIRE(credentials_parse("", credentials_text, sizeof(credentials_text) - 1, &credentials,
				  error, sizeof(error)) == 0);
	access = access_new(credentials);
	REQUIRE(access);
	return access;
}

static int64_t boot_to_real(void *context)
{
	return api_boot_to_real(context);
}

static struct api *new_api(const struct api_options *options)
{
	struct api *api = calloc(1, sizeof(*api));

	REQUIRE(api);
	api->options = *options;
	api->started = clock_boot_ns();
	api->answers = answers_new();
	api->sources = sources_new(8);
	REQUIRE(api->answers && api->sources);
	atomic_init(&api->boot_to_real, clock_boot_to_real_offset());
	REQUIRE(live_new(&(struct live_options){ .pipeline = options->pipeline,
						 .boot_to_real = boot_to_real,
						 .context = api },
			 &api->live) == 0);
	return api;
}

static void make_apis(void)
{
	struct api_options options = { .api_listener = -1,
				       .metrics_listener = -1,
				       .version = "1.2.3" };
	struct store *store = store_new(STORE_MIN_MEMORY);
	pthread_t thread;

	REQUIRE(store);
	options.pipeline = fuzz_pipeline(store, accounts);
	for (size_t i = 0; i < DEMO_EVENTS; i++) {
		uint32_t length;
		const uint8_t *record = fuzz_record(i, &length);

		store_append(store, 0, record, length);
	}
	store_publish(store, 0);
	pipeline_set_ready(options.pipeline, true);
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
	options.lists = lists_new(&(struct lists_options){
		.socket = sockets[1],
		.data_dir = -1,
		.in_force = (struct shared_list_image[SHARED_LISTS]){ { .fd = -1 }, { .fd = -1 } },
	});
	REQUIRE(options.lists);
	options.control = control_new(sockets[1], options.pipeline, -1);
	REQUIRE(options.control);
	lists_connect(options.lists, options.control);
	REQUIRE(pthread_create(&thread, NULL, hear_loader, options.control) == 0);
	REQUIRE(pthread_create(&thread, NULL, play_loader, NULL) == 0);
	apis[0] = new_api(&options);
	options.access = new_access();
	apis[1] = new_api(&options);
}

/* Shows what a client would have to send on. */
static void check(struct answer *answer)
{
	REQUIRE(answer->status >= 200 && answer->status < 600);
	REQUIRE(status_of_kind(status_kind(answer->status)) == answer->status);
	REQUIRE(answer->header_count <= ANSWER_HEADERS);
	for (size_t i = 0; i < answer->header_count; i++)
		REQUIRE(answer->headers[i].constant || fuzz_is_text(answer->headers[i].value));
	if (!answer->body.length)
		return;
	if (!strcmp(answer->media_type, MEDIA_JSON))
		fuzz_require_json(answer->body.data, answer->body.length);
	if (answer->body.length > COMPRESS_MINIMUM)
		REQUIRE(compress_body(&answer->body) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	__attribute__((cleanup(answer_fini))) struct answer answer = ANSWER_INIT;
	uint8_t method = input_byte(&input), flags = input_byte(&input);
	const struct sockaddr_in peer = { .sin_family = AF_INET,
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	FREE char *target = input_line(&input);
	FREE char *host = input_optional_line(&input);
	FREE char *origin = input_optional_line(&input);
	FREE char *content_type = input_optional_line(&input);
	FREE char *accept = input_optional_line(&input);
	FREE char *authorization = input_optional_line(&input);
	FREE char *encoding = input_optional_line(&input);
	FREE char *none_match = input_optional_line(&input);
	FREE char *last_id = input_optional_line(&input);
	struct request request = {
		.method = 1u << (method % 8) & 31,
		.metrics = flags & 1,
		.loopback = flags & 2,
		.too_large = (flags & 12) == 12,
		.headers_too_large = (flags & 48) == 48,
		.target = target,
		.query = "",
		.host = host,
		.origin = origin,
		.content_type = content_type,
		.accept = accept,
		.authorization = authorization,
		.accept_encoding = encoding,
		.if_none_match = none_match,
		.last_event_id = last_id,
		.peer = (const struct sockaddr *)&peer,
	};

	log_set_level(LOG_ERROR);
	if (!apis[0])
		make_apis();
	request.api = apis[authorization != NULL];
	buffer_append(&request.body, input.data, input.size < BODY_LIMIT ? input.size : BODY_LIMIT);
	compress_accepted("gzip", encoding);
	route_request(&request, &answer);
	check(&answer);
	buffer_fini(&request.body);
	return 0;
}
