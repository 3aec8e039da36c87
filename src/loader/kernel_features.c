/* SPDX-License-Identifier: MIT */
#include "loader/kernel_features.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "base/memory.h"
#include "loader/message.h"

#define KERNEL_BTF "/sys/kernel/btf/vmlinux"
#define TRACEFS "/sys/kernel/tracing"
/* libbpf looks there first when it exists. */
#define TRACEFS_IN_DEBUGFS "/sys/kernel/debug/tracing"
#define BTF_STRINGS_LIMIT (64u << 20)

/* Since 5.8, linux/capability.h of older headers does not know them. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

static bool has_capability(const struct __user_cap_data_struct *sets, unsigned int capability)
{
	return sets[capability / 32].effective & (1u << (capability % 32));
}

static int check_privileges(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (syscall(SYS_capget, &header, sets) < 0)
		return -errno;
	if (has_capability(sets, CAP_SYS_ADMIN) ||
	    (has_capability(sets, CAP_BPF) && has_capability(sets, CAP_PERFMON)))
		return 0;
	return -EPERM;
}

int kernel_check(char *error, size_t error_size)
{
	if (check_privileges() < 0) {
		message_format(error, error_size,
			       "needs CAP_BPF and CAP_PERFMON (or root): start it with sudo");
		return -EPERM;
	}
	/* No such command: any kernel that knows the call says EINVAL. */
	if (syscall(SYS_bpf, INT32_MAX, NULL, 0) < 0 && errno == ENOSYS) {
		message_format(error, error_size,
			       "this kernel has no bpf(2): build it with CONFIG_BPF_SYSCALL=y");
		return -ENOSYS;
	}
	if (access(KERNEL_BTF, R_OK) < 0) {
		message_format(error, error_size,
			       "this kernel has no BTF (" KERNEL_BTF
			       "): build it with CONFIG_DEBUG_INFO_BTF=y");
		return -ENOENT;
	}
	return 0;
}

void kernel_features_init(struct kernel_features *kernel)
{
	*kernel = (struct kernel_features){ .btf_strings = NULL };
}

void kernel_features_trim(struct kernel_features *kernel)
{
	free(TAKE(kernel->btf_strings));
	kernel->btf_asked = false;
}

void kernel_features_fini(struct kernel_features *kernel)
{
	kernel_features_trim(kernel);
	if (kernel->tracefs_ours && umount2(TRACEFS, MNT_DETACH) < 0)
		log_warn("cannot unmount %s: %s", TRACEFS, strerror(errno));
	kernel_features_init(kernel);
}

/* ---- BTF ---- */

static int read_at(int fd, void *bytes, size_t size, off_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t part = pread(fd, (char *)bytes + done, size - done, offset + (off_t)done);

		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			return part < 0 ? -errno : -EBADMSG;
		done += (size_t)part;
	}
	return 0;
}

/* The names alone: they are a quarter of the file, and looking for one takes less than a
 * millisecond, where reading the types takes several. */
static int read_btf_strings(struct kernel_features *kernel)
{
	CLOSE int fd = open(KERNEL_BTF, O_RDONLY | O_CLOEXEC);
	struct btf_header header;
	FREE char *strings = NULL;
	int r;

	if (fd < 0)
		return -errno;
	r = read_at(fd, &header, sizeof(header), 0);
	if (r < 0)
		return r;
	if (header.magic != BTF_MAGIC || header.str_len == 0 || header.str_len > BTF_STRINGS_LIMIT)
		return -EBADMSG;
	strings = malloc(header.str_len);
	if (!strings)
		return -ENOMEM;
	r = read_at(fd, strings, header.str_len, (off_t)header.hdr_len + header.str_off);
	if (r < 0)
		return r;
	kernel->btf_strings = TAKE(strings);
	kernel->btf_strings_size = header.str_len;
	return 0;
}

bool kernel_has_btf_name(struct kernel_features *kernel, const char *name)
{
	char pattern[160];
	int length = snprintf(pattern + 1, sizeof(pattern) - 1, "%s", name);

	if (!kernel->btf_asked) {
		int r = read_btf_strings(kernel);

		if (r < 0)
			log_debug("%s: %s", KERNEL_BTF, strerror(-r));
		kernel->btf_asked = true;
	}
	/* Not known: let the kernel decide. */
	if (!kernel->btf_strings || length < 0 || (size_t)length >= sizeof(pattern) - 1)
		return true;
	pattern[0] = '\0';
	return memmem(kernel->btf_strings, kernel->btf_strings_size, pattern, (size_t)length + 2);
}

/* ---- tracefs ---- */

static int mount_tracefs(void)
{
	/* What others mount later is still seen (MS_SLAVE). */
	if (unshare(CLONE_NEWNS) < 0)
		log_debug("no mount namespace for tracefs: %s", strerror(errno));
	else if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		log_debug("cannot keep mounts to this process: %s", strerror(errno));
	if (mount("tracefs", TRACEFS, "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return -errno;
	return 0;
}

/* Looked at anew each time: what somebody else mounted may go. */
const char *kernel_tracefs(struct kernel_features *kernel)
{
	int r;

	if (access(TRACEFS_IN_DEBUGFS "/events", F_OK) == 0)
		return TRACEFS_IN_DEBUGFS;
	if (access(TRACEFS "/events", F_OK) == 0)
		return TRACEFS;
	if (kernel->tracefs_failed)
		return NULL;
	r = mount_tracefs();
	if (r < 0) {
		log_debug("cannot mount tracefs at %s: %s", TRACEFS, strerror(-r));
		kernel->tracefs_failed = true;
		return NULL;
	}
	kernel->tracefs_ours = true;
	return TRACEFS;
}

bool kernel_has_tracepoint(struct kernel_features *kernel, const char *name)
{
	const char *tracefs = kernel_tracefs(kernel);
	char path[256];

	if (!tracefs)
		return false;
	snprintf(path, sizeof(path), "%s/events/%s/id", tracefs, name);
	return access(path, F_OK) == 0;
}

/* The perf unit came with 4.17; before, kprobes are written into a file of tracefs. */
bool kernel_has_kprobes(struct kernel_features *kernel)
{
	const char *tracefs;
	char path[256];

	if (access("/sys/bus/event_source/devices/kprobe/type", F_OK) == 0)
		return true;
	tracefs = kernel_tracefs(kernel);
	if (!tracefs)
		return false;
	snprintf(path, sizeof(path), "%s/kprobe_events", tracefs);
	return access(path, F_OK) == 0;
}

/* The global barrier is one synchronize_rcu() (kernel/sched/membarrier.c), under whose read
 * side every eBPF function of a tracepoint runs. Where it is refused (nohz_full) a function
 * would have to run on for as long as the bpf(2) calls that follow take: that is let pass. */
void kernel_synchronize(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}
