/* SPDX-License-Identifier: MIT */
/* Programs on network interfaces that come and go. */
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "loader/internal.h"
#include "loader/netlink.h"
#include "loader/object.h"

#define RETRY_NS (2 * NS_PER_SECOND)

/* ---- what there is ---- */

/* Which interface has each name that the configuration has, 0 for none: looked up once, so that
 * all programs see the same while names are being changed. The caller frees; NULL: no memory. */
static unsigned int *take_stock(const struct loader *loader)
{
	unsigned int *stock = calloc(loader->config->interface_count + 1, sizeof(*stock));

	for (size_t i = 0; stock && i < loader->config->interface_count; i++)
		stock[i] = if_nametoindex(loader->config->interfaces[i]);
	return stock;
}

static unsigned int look_up(const struct loader *loader, const unsigned int *stock,
			    const char *name)
{
	for (size_t i = 0; i < loader->config->interface_count; i++) {
		if (!strcmp(loader->config->interfaces[i], name))
			return stock[i];
	}
	return 0;
}

/* ---- attaching to one ---- */

/* A tunnel's packets begin with the IP header; an XDP function would take that for Ethernet's. */
static bool has_ethernet(const char *name)
{
	CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_flags = 0 };

	message_set_text(request.ifr_name, "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		return true; /* the kernel will say what is wrong */
	return request.ifr_hwaddr.sa_family == ARPHRD_ETHER ||
	       request.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
}

static bool qdisc_is_ours(const struct loader *loader, unsigned int ifindex)
{
	for (size_t i = 0; i < loader->program_count; i++) {
		const struct program *program = &loader->programs[i];

		for (size_t j = 0; j < program->attachment_count; j++) {
			const struct interface_link *link = &program->attachments[j].link;

			if (link->ifindex == ifindex && link->qdisc_ours)
				return true;
		}
	}
	return false;
}

static int attach_function(const struct loader *loader, struct attachment *attachment,
			   unsigned int ifindex, enum interface_hook hook, int function, char *why,
			   size_t size)
{
	struct interface_request request = {
		.program_fd = function,
		.ifindex = ifindex,
		.hook = hook,
		.qdisc_ours = qdisc_is_ours(loader, ifindex),
	};

	if (hook == INTERFACE_XDP && !has_ethernet(attachment->interface)) {
		message_format(why, size, "XDP: no Ethernet header there");
		return -EOPNOTSUPP;
	}
	return interface_link_attach(&request, &attachment->link, why, size);
}

/* Functions from the best rank on, until one can be attached. What kept the better ones away stays
 * in `reason`. 0, or the last one's -errno. */
static int try_functions(const struct loader *loader, const struct program *program,
			 struct attachment *attachment, unsigned int ifindex, char *reason,
			 size_t size)
{
	unsigned int rank = 0;
	int r = -ENOENT;

	attachment->refused_for_now = false;
	for (;;) {
		char why[MESSAGE_TEXT_SIZE] = "";
		enum interface_hook hook;
		int function = object_interface_function(program->object, attachment->direction,
							 rank, &rank, &hook);

		if (function < 0)
			return r;
		r = attach_function(loader, attachment, ifindex, hook, function, why, sizeof(why));
		if (r == 0)
			break;
		attachment->refused_for_now |= r == -EBUSY;
		message_append(reason, size, "; ", why);
	}
	attachment->rank = rank;
	if (attachment->link.reason[0])
		message_append(reason, size, "; ", attachment->link.reason);
	return 0;
}

static void log_attached(const struct program *program, const struct attachment *attachment)
{
	log_info("%s: attached to %s %s (%s)%s%s", program->name, attachment->interface,
		 interface_direction_name(attachment->direction),
		 interface_mode_name(attachment->link.mode),
		 attachment->reason[0] ? "; better hooks do not work here: " : "",
		 attachment->reason);
}

/* The one that is attached to this interface under another name: an alternative name, or names are
 * being exchanged just now, of which the kernel will tell more. */
static const struct attachment *find_double(const struct program *program,
					    const struct attachment *attachment,
					    unsigned int ifindex)
{
	for (size_t i = 0; i < program->attachment_count; i++) {
		const struct attachment *other = &program->attachments[i];

		if (other != attachment && other->direction == attachment->direction &&
		    other->link.ifindex == ifindex)
			return other;
	}
	return NULL;
}

/* True when something changed. */
static bool attach(const struct loader *loader, const struct program *program,
		   struct attachment *attachment, unsigned int ifindex)
{
	const struct attachment *same = find_double(program, attachment, ifindex);
	char reason[MESSAGE_TEXT_SIZE] = "";
	bool changed;
	int r;

	if (ifindex && same) {
		message_set_text(attachment->reason, "is attached to as %s", same->interface);
		return true;
	}
	/* What a driver refuses it would refuse again, and some take the line down to find out. */
	if (!ifindex || (attachment->refused_by == ifindex && !attachment->refused_for_now))
		return false;
	r = try_functions(loader, program, attachment, ifindex, reason, sizeof(reason));
	/* Gone again: the next word from the kernel is about that. */
	if (r < 0 && if_nametoindex(attachment->interface) != ifindex)
		return false;
	changed = r == 0 || strcmp(reason, attachment->reason) != 0;
	message_set_text(attachment->reason, "%s", reason);
	attachment->refused_by = r < 0 ? ifindex : 0;
	if (r == 0)
		log_attached(program, attachment);
	else if (changed)
		log_warn("%s: cannot be attached to %s %s: %s", program->name,
			 attachment->interface, interface_direction_name(attachment->direction),
			 reason);
	return changed;
}

static bool attach_missing(const struct loader *loader, struct program *program,
			   const unsigned int *stock)
{
	bool changed = false;

	for (size_t i = 0; i < program->attachment_count; i++) {
		struct attachment *attachment = &program->attachments[i];

		if (!attachment_is_attached(attachment))
			changed |= attach(loader, program, attachment,
					  look_up(loader, stock, attachment->interface));
	}
	return changed;
}

static void set_missing(struct attachment *attachment)
{
	attachment->refused_by = 0;
	attachment->refused_for_now = false;
	message_set_text(attachment->reason, "there is no such interface now");
}

/* True when the interface that had the name is not there any more under it, or somebody
 * detached. */
static bool let_go(const struct program *program, struct attachment *attachment,
		   unsigned int ifindex)
{
	bool gone = ifindex != attachment->link.ifindex;

	if (!attachment_is_attached(attachment)) {
		if (!attachment->refused_by || attachment->refused_by == ifindex)
			return false;
		set_missing(attachment);
		return true;
	}
	if (!gone && interface_link_is_attached(&attachment->link))
		return false;
	log_warn("%s: %s %s: %s", program->name, attachment->interface,
		 interface_direction_name(attachment->direction),
		 gone ? "the interface is gone, or has another name: waiting for one of this name"
		      : "somebody detached it: attaching it again");
	interface_link_detach(&attachment->link);
	set_missing(attachment);
	return true;
}

/* ---- what that makes of the program ---- */

static void settle(struct loader *loader, struct program *program)
{
	enum program_status status = PROGRAM_FAILED;

	program->attached = false;
	for (size_t i = 0; i < program->attachment_count; i++) {
		const struct attachment *attachment = &program->attachments[i];

		if (attachment_is_attached(attachment))
			program->attached = true;
		else if (!attachment->refused_by)
			status = PROGRAM_WAITING;
	}
	if (program->attached)
		status = PROGRAM_RUNNING;
	else if (status == PROGRAM_WAITING)
		interfaces_name_missing(program, program->error, sizeof(program->error));
	else
		interfaces_name_refused(program, program->error, sizeof(program->error));
	if (status == PROGRAM_WAITING && program->status != PROGRAM_WAITING)
		log_info("%s: %s", program->name, program->error);
	announce_interfaces(loader, program);
	program_set_status(loader, program, status);
}

/* The kernel tells nobody when the link of another program goes: it has to be tried. */
static void plan_look(struct loader *loader)
{
	loader->look_at = 0;
	for (size_t i = 0; i < loader->program_count; i++) {
		const struct program *program = &loader->programs[i];

		for (size_t j = 0; j < program->attachment_count; j++) {
			if (program->attachments[j].refused_by &&
			    program->attachments[j].refused_for_now)
				loader->look_at = clock_boot_ns() + RETRY_NS;
		}
	}
}

/* First what goes, of all programs, then what comes: names may have been exchanged. */
void interfaces_look(struct loader *loader)
{
	bool changed[MESSAGE_MAX_PROGRAMS] = { false };
	FREE unsigned int *stock = NULL;

	netlink_discard(loader->interfaces);
	stock = take_stock(loader);
	if (!stock)
		return;
	for (size_t i = 0; i < loader->program_count; i++) {
		struct program *program = &loader->programs[i];

		for (size_t j = 0; j < program->attachment_count; j++) {
			struct attachment *attachment = &program->attachments[j];

			changed[i] |= let_go(program, attachment,
					     look_up(loader, stock, attachment->interface));
		}
	}
	for (size_t i = 0; i < loader->program_count; i++) {
		changed[i] |= attach_missing(loader, &loader->programs[i], stock);
		if (changed[i])
			settle(loader, &loader->programs[i]);
	}
	plan_look(loader);
}

int interfaces_timeout(const struct loader *loader)
{
	uint64_t now = clock_boot_ns();

	if (!loader->look_at)
		return -1;
	return loader->look_at <= now ? 0
				      : (int)((loader->look_at - now + NS_PER_MS - 1) / NS_PER_MS);
}

/* ---- a program's list ---- */

/* What the configuration names, for each direction that the program has functions for. */
static struct attachment *make_list(const struct loader *loader, const struct program *program,
				    size_t *ret_count)
{
	const struct config *config = loader->config;
	struct attachment *list =
		calloc(config->interface_count * INTERFACE_DIRECTIONS + 1, sizeof(*list));
	size_t count = 0;

	*ret_count = 0;
	for (unsigned int i = 0; list && i < INTERFACE_DIRECTIONS; i++) {
		enum interface_direction direction = (enum interface_direction)i;
		enum interface_hook hook;
		unsigned int rank;

		if (object_interface_function(program->object, direction, 0, &rank, &hook) < 0)
			continue;
		for (size_t j = 0; j < config->interface_count; j++) {
			struct attachment *attachment = &list[count++];

			attachment->direction = direction;
			attachment->link = (struct interface_link)INTERFACE_LINK_INIT;
			message_set_text(attachment->interface, "%s", config->interfaces[j]);
			set_missing(attachment);
		}
	}
	*ret_count = count;
	return list;
}

void interfaces_detach(struct program *program)
{
	for (size_t i = 0; i < program->attachment_count; i++) {
		struct attachment *attachment = &program->attachments[i];
		int r = interface_link_detach(&attachment->link);

		if (r < 0)
			log_warn("%s: detaching from %s: %s", program->name, attachment->interface,
				 strerror(-r));
	}
	free(TAKE(program->attachments));
	program->attachment_count = 0;
}

int interfaces_attach(struct loader *loader, struct program *program)
{
	FREE unsigned int *stock = take_stock(loader);

	if (!program->attachments)
		program->attachments = make_list(loader, program, &program->attachment_count);
	if (!program->attachments || !stock) {
		message_set_text(program->error, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	/* Whoever asks for it once more wants another try. */
	for (size_t i = 0; i < program->attachment_count; i++)
		program->attachments[i].refused_by = 0;
	attach_missing(loader, program, stock);
	settle(loader, program);
	plan_look(loader);
	return program->status == PROGRAM_FAILED ? -EBUSY : 0;
}

static struct attachment *find_same(struct attachment *list, size_t count,
				    const struct attachment *as)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i].direction == as->direction && !strcmp(list[i].interface, as->interface))
			return &list[i];
	}
	return NULL;
}

void interfaces_configure(struct loader *loader, struct program *program)
{
	size_t count = 0;
	FREE struct attachment *list = make_list(loader, program, &count);
	bool changed = count != program->attachment_count;

	if (!list) {
		log_warn("%s: its interfaces stay as they were: %s", program->name,
			 strerror(ENOMEM));
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct attachment *same =
			find_same(program->attachments, program->attachment_count, &list[i]);

		if (!same || same != &program->attachments[i])
			changed = true;
		if (!same)
			continue;
		list[i] = *same;
		same->link = (struct interface_link)INTERFACE_LINK_INIT;
	}
	/* Those that nobody took over are not named any more. */
	interfaces_detach(program);
	program->attachments = TAKE(list);
	program->attachment_count = count;
	if (changed)
		interfaces_attach(loader, program);
}

/* ---- another object ---- */

static int update(struct attachment *attachment, const struct object *object)
{
	enum interface_hook hook;
	unsigned int rank;
	int function;

	/* Gone: the kernel's word of it is on its way. */
	if (!attachment_is_attached(attachment) || !interface_link_is_attached(&attachment->link))
		return 0;
	function = object_interface_function(object, attachment->direction, attachment->rank - 1,
					     &rank, &hook);
	if (function < 0 || rank != attachment->rank)
		return -ENOENT;
	return interface_link_update(&attachment->link, function);
}

int interfaces_move(struct program *program, const struct object *next, char *error,
		    size_t error_size)
{
	for (size_t i = 0; i < program->attachment_count; i++) {
		int r = update(&program->attachments[i], next);

		if (r == 0)
			continue;
		message_format(error, error_size, "%s %s: %s", program->attachments[i].interface,
			       interface_direction_name(program->attachments[i].direction),
			       strerror(-r));
		while (i-- > 0) {
			int back = update(&program->attachments[i], program->object);

			if (back < 0)
				log_warn("%s: %s: %s", program->name,
					 program->attachments[i].interface, strerror(-back));
		}
		return r;
	}
	return 0;
}

/* ---- the ear ---- */

void interfaces_watch(struct loader *loader)
{
	if (!loader->config->interface_count) {
		if (loader->interfaces >= 0)
			close(TAKE_FD(loader->interfaces));
		return;
	}
	if (loader->interfaces >= 0)
		return;
	loader->interfaces = netlink_watch_interfaces();
	if (loader->interfaces >= 0)
		return;
	log_warn("interfaces that come and go are not noticed: %s", strerror(-loader->interfaces));
	loader->interfaces = -1;
}
