// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "riposte_bpf.h"
#include "riposte_sensor.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

// The programs are built by Debian's clang and embedded here, so that there is one file to ship.
#if defined(__x86_64__)
#define RIPOSTE_BPF_OBJECT "../../.output/riposte_bpf_x86.inc"
#define RIPOSTE_TYPED_BPF_OBJECT "../../.output/riposte_bpf_x86.typed.inc"
#define RIPOSTE_REQUESTS_BPF_OBJECT "../../.output/riposte_bpf_x86.requests.inc"
#define RIPOSTE_TYPED_REQUESTS_BPF_OBJECT "../../.output/riposte_bpf_x86.typed.requests.inc"
#elif defined(__aarch64__)
#define RIPOSTE_BPF_OBJECT "../../.output/riposte_bpf_arm64.inc"
#define RIPOSTE_TYPED_BPF_OBJECT "../../.output/riposte_bpf_arm64.typed.inc"
#define RIPOSTE_REQUESTS_BPF_OBJECT "../../.output/riposte_bpf_arm64.requests.inc"
#define RIPOSTE_TYPED_REQUESTS_BPF_OBJECT "../../.output/riposte_bpf_arm64.typed.requests.inc"
#else
#error "Riposte's sensor is built for x86-64 and arm64"
#endif

#if !__has_include(RIPOSTE_BPF_OBJECT) || !__has_include(RIPOSTE_TYPED_BPF_OBJECT) || !__has_include(RIPOSTE_REQUESTS_BPF_OBJECT) || \
	!__has_include(RIPOSTE_TYPED_REQUESTS_BPF_OBJECT)
#error "the BPF programs are not built: run `make bpf` first (or `make build`, which does)"
#endif

#include "../../.output/riposte_bpf_version.h"
_Static_assert(RIPOSTE_BPF_WIRE_VERSION == RIPOSTE_WIRE_VERSION, "the BPF programs are older than riposte_sensor.h: run `make bpf`");

// ELF wants its headers aligned.
static const unsigned char object[] __attribute__((aligned(16))) = {
#include RIPOSTE_BPF_OBJECT
};

static const unsigned char typed_object[] __attribute__((aligned(16))) = {
#include RIPOSTE_TYPED_BPF_OBJECT
};

static const unsigned char requests_object[] __attribute__((aligned(16))) = {
#include RIPOSTE_REQUESTS_BPF_OBJECT
};

static const unsigned char typed_requests_object[] __attribute__((aligned(16))) = {
#include RIPOSTE_TYPED_REQUESTS_BPF_OBJECT
};

const void *riposte_requests_bpf_object(bool typed, size_t *bytes)
{
	*bytes = typed ? sizeof(typed_requests_object) : sizeof(requests_object);
	return typed ? typed_requests_object : requests_object;
}

const void *riposte_bpf_object(bool typed, size_t *bytes)
{
	*bytes = typed ? sizeof(typed_object) : sizeof(object);
	return typed ? typed_object : object;
}

uint32_t riposte_bpf_id(int descriptor)
{
	// What is told of maps, programs and links begins alike: the type, then the id.
	uint32_t facts[64] = { 0 };
	uint32_t length = sizeof(facts);

	if (descriptor < 0 || bpf_obj_get_info_by_fd(descriptor, facts, &length) || length < 2 * sizeof(facts[0]))
		return 0;
	return facts[1];
}

int riposte_mount_bpf(const char *place)
{
	struct statfs facts;

	if (!statfs(place, &facts) && (unsigned int)facts.f_type == BPF_FS_MAGIC)
		return 0;
	return mount("bpf", place, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") ? -errno : 0;
}

int riposte_bpf_map_facts(int descriptor, uint32_t *entries, uint32_t *value_bytes)
{
	struct bpf_map_info facts = { 0 };
	uint32_t length = sizeof(facts);
	int code = bpf_obj_get_info_by_fd(descriptor, &facts, &length);

	if (code)
		return code;
	*entries = facts.max_entries;
	*value_bytes = facts.value_size;
	return 0;
}

uint64_t riposte_bpf_missed_runs(int descriptor)
{
	struct bpf_prog_info facts = { 0 };
	uint32_t length = sizeof(facts);

	if (descriptor < 0 || bpf_obj_get_info_by_fd(descriptor, &facts, &length))
		return 0;
	return facts.recursion_misses;
}

// A mount of tracefs that is in no folder, and goes with its descriptor.
static int unseen_tracefs(void)
{
	enum { FSCONFIG_CREATE = 6 };
	int mounted = -1, configured = syscall(SYS_fsopen, "tracefs", 1 /* FSOPEN_CLOEXEC */);

	if (configured < 0)
		return -1;
	if (!syscall(SYS_fsconfig, configured, FSCONFIG_CREATE, NULL, NULL, 0))
		mounted = syscall(SYS_fsmount, configured, 1 /* FSMOUNT_CLOEXEC */, 0);
	close(configured);
	return mounted;
}

// What stands in events/NAME/id below the folder, 0: nothing.
static uint64_t tracepoint_below(int folder, const char *name)
{
	char place[128], text[32];
	int file;
	ssize_t length;

	if (snprintf(place, sizeof(place), "events/%s/id", name) >= (int)sizeof(place))
		return 0;
	file = openat(folder, place, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return 0;
	length = read(file, text, sizeof(text) - 1);
	close(file);
	if (length <= 0)
		return 0;
	text[length] = 0;
	return strtoull(text, NULL, 10);
}

static uint64_t tracepoint_number(const char *name)
{
	static const char *const places[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	uint64_t number = 0;

	for (size_t i = 0; i <= sizeof(places) / sizeof(places[0]) && !number; i++) {
		int folder = i < sizeof(places) / sizeof(places[0]) ? open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC) : unseen_tracefs();

		if (folder < 0)
			continue;
		number = tracepoint_below(folder, name);
		close(folder);
	}
	return number;
}

int riposte_open_tracepoint(const char *name)
{
	struct perf_event_attr event = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(event), .config = tracepoint_number(name) };
	int processor = sched_getcpu(), descriptor;

	if (!event.config)
		return -ENOENT;
	// A program that is attached to it is run on all processors; the event itself has to be on one.
	descriptor = syscall(SYS_perf_event_open, &event, -1, processor < 0 ? 0 : processor, -1, PERF_FLAG_FD_CLOEXEC);
	return descriptor < 0 ? -errno : descriptor;
}
