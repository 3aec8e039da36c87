/* SPDX-License-Identifier: MIT */
/*
 * hello PORT: the least that an HTTP server on the same library costs: one constant answer, with
 * the same threads and the same way to wait for requests. Ends at SIGTERM.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2
#define THREADS 2

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *body,
			      size_t *body_size, void **slot)
{
	static char hello[] = "{\"hello\":\"world\"}\n";
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)context;
	(void)url;
	(void)method;
	(void)version;
	(void)body;
	(void)body_size;
	/* The first call is about the head alone. */
	if (!*slot) {
		*slot = hello;
		return MHD_YES;
	}
	response = MHD_create_response_from_buffer(strlen(hello), hello, MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct MHD_Daemon *daemon;
	sigset_t signals;
	int number;

	if (argc != 2) {
		fprintf(stderr, "usage: hello PORT\n");
		return EXIT_USAGE;
	}
	address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL,
				  answer, NULL, MHD_OPTION_SOCK_ADDR, &address,
				  MHD_OPTION_THREAD_POOL_SIZE, (unsigned int)THREADS,
				  MHD_OPTION_END);
	if (!daemon) {
		fprintf(stderr, "hello: cannot listen on port %s\n", argv[1]);
		return EXIT_FAILURE;
	}
	printf("{\"ready\":true}\n");
	fflush(stdout);
	sigwait(&signals, &number);
	MHD_stop_daemon(daemon);
	return EXIT_SUCCESS;
}
