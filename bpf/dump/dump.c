// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Prints what the BPF programs tell, as text. For developers of either side of riposte_sensor.h: what the agent decodes, without the agent.
 *
 *     make -C bpf dump
 *     .output/riposte-dump [-o OBJECT] [-r OBJECT] [-a] [-c CALL,...] [-s SECONDS] [-- COMMAND ARGUMENT...]
 *
 * Runs COMMAND and prints events of it and of its descendants until it has ended, or with -a those of everybody. Without a COMMAND it prints everybody's
 * until SECONDS are over. -r: requests of io_uring, too, by .output/riposte.x86.requests.bpf.o, say. -c: only these calls, by name; default are all that are in the table below.
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/btf.h>

#include "../../Sources/CRiposte/include/riposte_sensor.h"

#define NONE { .path1 = -1, .base1 = -1, .path2 = -1, .base2 = -1, .fd = -1, .address = -1, .address_length = -1, .data = -1, .data_length = -1, \
	.open_flags = -1, .open_mode = -1, .extra = -1 }
#define CALL(...) { .wanted = RIPOSTE_WANTED_RULES, .path1 = -1, .base1 = -1, .path2 = -1, .base2 = -1, .fd = -1, .address = -1, \
	.address_length = -1, .data = -1, .data_length = -1, .open_flags = -1, .open_mode = -1, .extra = -1, __VA_ARGS__ }

#pragma GCC diagnostic ignored "-Woverride-init"

static const struct named_call {
	const char *name;
	int nr;
	int compat;	/* number of i386, 0: not here */
	struct riposte_call call;
} table[] = {
#ifdef SYS_open
	{ "open", SYS_open, 5, CALL(.kind = RIPOSTE_CALL_OPEN, .path1 = 0, .fd = -2, .open_flags = 1, .open_mode = 2) },
	{ "creat", SYS_creat, 8, CALL(.kind = RIPOSTE_CALL_OPEN, .path1 = 0, .fd = -2, .open_mode = 1) },
	{ "rename", SYS_rename, 38, CALL(.path1 = 0, .path2 = 1) },
	{ "unlink", SYS_unlink, 10, CALL(.path1 = 0) },
	{ "mkdir", SYS_mkdir, 39, CALL(.path1 = 0) },
	{ "rmdir", SYS_rmdir, 40, CALL(.path1 = 0) },
	{ "symlink", SYS_symlink, 83, CALL(.path1 = 0, .path2 = 1) },
	{ "chmod", SYS_chmod, 15, CALL(.path1 = 0) },
	{ "dup2", SYS_dup2, 63, CALL(.fd = -2, .flags = RIPOSTE_CALL_OLD_FD) },
#endif
	{ "openat", SYS_openat, 295, CALL(.kind = RIPOSTE_CALL_OPEN, .path1 = 1, .base1 = 0, .fd = -2, .open_flags = 2, .open_mode = 3) },
	{ "openat2", SYS_openat2, 437, CALL(.kind = RIPOSTE_CALL_OPEN, .flags = RIPOSTE_CALL_OPEN_HOW, .path1 = 1, .base1 = 0, .fd = -2, .extra = 2) },
	{ "execve", SYS_execve, 11, CALL(.kind = RIPOSTE_CALL_EXEC, .path1 = 0) },
	{ "execveat", SYS_execveat, 358, CALL(.kind = RIPOSTE_CALL_EXEC, .path1 = 1, .base1 = 0) },
	{ "renameat2", SYS_renameat2, 353, CALL(.path1 = 1, .base1 = 0, .path2 = 3, .base2 = 2) },
	{ "linkat", SYS_linkat, 303, CALL(.path1 = 1, .base1 = 0, .path2 = 3, .base2 = 2) },
	{ "symlinkat", SYS_symlinkat, 304, CALL(.path1 = 0, .path2 = 2, .base2 = 1, .fd = 1) },
	{ "unlinkat", SYS_unlinkat, 301, CALL(.path1 = 1, .base1 = 0, .fd = 0) },
	{ "mkdirat", SYS_mkdirat, 296, CALL(.path1 = 1, .base1 = 0, .fd = 0) },
	{ "fchmodat", SYS_fchmodat, 306, CALL(.path1 = 1, .base1 = 0, .fd = 0) },
	{ "fchmod", SYS_fchmod, 94, CALL(.fd = 0) },
	{ "dup", SYS_dup, 41, CALL(.fd = -2, .flags = RIPOSTE_CALL_OLD_FD) },
	{ "dup3", SYS_dup3, 330, CALL(.fd = -2, .flags = RIPOSTE_CALL_OLD_FD) },
	{ "socket", SYS_socket, 359, CALL(.kind = RIPOSTE_CALL_SOCKET, .fd = -2) },
	{ "bind", SYS_bind, 361, CALL(.kind = RIPOSTE_CALL_SOCKET, .flags = RIPOSTE_CALL_BIND, .fd = 0, .address = 1, .address_length = 2) },
	{ "connect", SYS_connect, 362, CALL(.kind = RIPOSTE_CALL_SOCKET, .flags = RIPOSTE_CALL_CONNECT, .fd = 0, .address = 1, .address_length = 2) },
	{ "listen", SYS_listen, 363, CALL(.kind = RIPOSTE_CALL_SOCKET, .fd = 0) },
#ifdef SYS_accept
	{ "accept", SYS_accept, 0,
		CALL(.kind = RIPOSTE_CALL_SOCKET, .flags = RIPOSTE_CALL_ACCEPT | RIPOSTE_CALL_ADDRESS_BACK, .fd = -2, .address = 1, .address_length = 2) },
#endif
	{ "accept4", SYS_accept4, 364,
		CALL(.kind = RIPOSTE_CALL_SOCKET, .flags = RIPOSTE_CALL_ACCEPT | RIPOSTE_CALL_ADDRESS_BACK, .fd = -2, .address = 1, .address_length = 2) },
	{ "sendto", SYS_sendto, 369, CALL(.kind = RIPOSTE_CALL_SOCKET, .fd = 0, .address = 4, .address_length = 5, .data = 1, .data_length = 2) },
	{ "recvfrom", SYS_recvfrom, 371,
		CALL(.kind = RIPOSTE_CALL_SOCKET, .flags = RIPOSTE_CALL_ADDRESS_BACK, .fd = 0, .address = 4, .address_length = 5, .data = 1, .data_length = -2) },
	{ "sendmsg", SYS_sendmsg, 370, CALL(.kind = RIPOSTE_CALL_MESSAGE, .fd = 0, .address = 1) },
	{ "recvmsg", SYS_recvmsg, 372, CALL(.kind = RIPOSTE_CALL_MESSAGE, .flags = RIPOSTE_CALL_ADDRESS_BACK, .fd = 0, .address = 1) },
	{ "sendmmsg", SYS_sendmmsg, 345, CALL(.kind = RIPOSTE_CALL_MESSAGE, .flags = RIPOSTE_CALL_MESSAGES, .fd = 0, .address = 1) },
	{ "clone3", SYS_clone3, 435, CALL(.extra = 0) },
	{ "ptrace", SYS_ptrace, 26, CALL(.fd = -1) },
	{ "memfd_create", SYS_memfd_create, 356, CALL(.path1 = 0, .fd = -2) },
	{ "chdir", SYS_chdir, 12, CALL(.wanted = RIPOSTE_WANTED_RULES | RIPOSTE_WANTED_STATE, .path1 = 0) },
	{ "fchdir", SYS_fchdir, 133, CALL(.wanted = RIPOSTE_WANTED_STATE, .fd = 0) },
	{ "chroot", SYS_chroot, 61, CALL(.wanted = RIPOSTE_WANTED_STATE, .path1 = 0) },
	{ "setsid", SYS_setsid, 66, CALL(.wanted = RIPOSTE_WANTED_STATE) },
	{ "unshare", SYS_unshare, 310, CALL(.wanted = RIPOSTE_WANTED_RULES | RIPOSTE_WANTED_STATE) },
	{ "setns", SYS_setns, 346, CALL(.wanted = RIPOSTE_WANTED_RULES | RIPOSTE_WANTED_STATE, .fd = 0) },
	{ "eventfd2", SYS_eventfd2, 328, CALL(.fd = -2) },
	{ "epoll_create1", SYS_epoll_create1, 329, CALL(.fd = -2) },
	{ "timerfd_create", SYS_timerfd_create, 322, CALL(.fd = -2) },
	{ "signalfd4", SYS_signalfd4, 327, CALL(.fd = -2) },
	{ "inotify_init1", SYS_inotify_init1, 332, CALL(.fd = -2) },
	{ "pidfd_open", SYS_pidfd_open, 434, CALL(.fd = -2) },
	{ "userfaultfd", SYS_userfaultfd, 374, CALL(.fd = -2) },
	{ "io_uring_setup", SYS_io_uring_setup, 425, CALL(.fd = -2) },
	{ "bpf", SYS_bpf, 357, CALL(.fd = -2) },
	{ "getpid", SYS_getpid, 20, CALL(.wanted = 0) },
};

static const char *only;
static bool everybody;
static unsigned char followed[1 << 22];	/* by tgid */

static const char *call_name(const struct riposte_event *event)
{
	static char text[16];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if ((event->flags & RIPOSTE_FLAG_COMPAT ? table[i].compat : table[i].nr) == event->nr)
			return table[i].name;
	snprintf(text, sizeof(text), "%d", event->nr);
	return text;
}

static void print_text(const unsigned char *text, size_t length)
{
	putchar('"');
	for (size_t i = 0; i < length && i < 400; i++) {
		if (text[i] == '"' || text[i] == '\\' || !isprint(text[i]))
			printf("\\x%02x", text[i]);
		else
			putchar(text[i]);
	}
	printf("\"%s", length > 400 ? "..." : "");
	if (length > 400)
		printf(" (%zu bytes, ends ...%.*s)", length, 30, (const char *)text + length - 30);
}

static void print_address(const unsigned char *bytes, size_t length)
{
	char text[INET6_ADDRSTRLEN];
	unsigned short family = *(unsigned short *)bytes;

	if (family == AF_INET && length >= 8)
		printf("%s:%d", inet_ntop(AF_INET, bytes + 4, text, sizeof(text)), ntohs(*(unsigned short *)(bytes + 2)));
	else if (family == AF_INET6 && length >= 24)
		printf("[%s]:%d", inet_ntop(AF_INET6, bytes + 8, text, sizeof(text)), ntohs(*(unsigned short *)(bytes + 2)));
	else {
		printf("family %d ", family);
		print_text(bytes + 2, length - 2);
	}
}

static void print_item(const struct riposte_item *item)
{
	static const char *const names[] = { "?", "PATH1", "PATH2", "BASE1", "BASE2", "FILE", "FILE_PATH", "SOCKET", "ADDRESS", "DATA", "PROCESS", "EXE",
		"EXE_PATH", "ARGUMENTS", "ENVIRONMENT", "CWD", "CGROUP", "SOCKET_PATH", "EXTRA", "OLD_FILE" };
	static const char *const kinds[] = { "unknown", "regular", "directory", "socket", "pipe", "event", "signal", "eventpoll", "inotify", "timer", "bpf",
		"userfaultfd", "io_uring", "memfd", "pidfd", "device", "link" };
	const unsigned char *data = (const void *)(item + 1);

	printf("    %s", item->type < sizeof(names) / sizeof(names[0]) ? names[item->type] : "?");
	if (item->detail)
		printf("(%u)", item->detail);
	printf(" ");
	switch (item->type) {
	case RIPOSTE_ITEM_FILE:
	case RIPOSTE_ITEM_OLD_FILE:
	case RIPOSTE_ITEM_EXE: {
		const struct riposte_file *file = (const void *)data;

		printf("%s flags %x mode %o dev %x ino %llu ctime %lld mtime %lld uid %u open_flags %o", kinds[file->kind], file->flags, file->mode, file->dev,
			(unsigned long long)file->ino, (long long)file->ctime, (long long)file->mtime, file->uid, file->open_flags);
		break;
	}
	case RIPOSTE_ITEM_SOCKET: {
		const struct riposte_socket *socket = (const void *)data;
		char local[INET6_ADDRSTRLEN] = "", remote[INET6_ADDRSTRLEN] = "";

		if (socket->family == AF_INET || socket->family == AF_INET6) {
			inet_ntop(socket->family, socket->local, local, sizeof(local));
			inet_ntop(socket->family, socket->remote, remote, sizeof(remote));
		}
		printf("family %d type %d protocol %d state %d role %d %s:%d -> %s:%d backlog %u/%u net_ns %u own %llx peer %llx", socket->family, socket->type,
			socket->protocol, socket->state, socket->role, local, socket->local_port, remote, socket->remote_port, socket->backlog,
			socket->backlog_limit, socket->net_ns, (unsigned long long)socket->own, (unsigned long long)socket->peer);
		break;
	}
	case RIPOSTE_ITEM_PROCESS: {
		const struct riposte_process *process = (const void *)data;

		printf("start %llu parent %u (%llu) session %u group %u inner %u/%u/%u tty %u level %u init %llu clone %llx fds %llu faults %llu/%llu KiB %llu/%llu/%llu "
		       "uid %u gid %u exe %u threads %u", (unsigned long long)process->start, process->parent, (unsigned long long)process->parent_start,
			process->session, process->group, process->vpid, process->vsession, process->vgroup, process->tty, process->ns_level,
			(unsigned long long)process->ns_init_start, (unsigned long long)process->clone_flags, (unsigned long long)process->fd_limit,
			(unsigned long long)process->minor_faults, (unsigned long long)process->major_faults, (unsigned long long)process->vm_size,
			(unsigned long long)process->vm_rss, (unsigned long long)process->vm_swap, process->uid, process->gid, process->exe_is_set,
			process->thread_count);
		break;
	}
	case RIPOSTE_ITEM_ADDRESS:
		print_address(data, item->length);
		break;
	default:
		print_text(data, item->length);
	}
	printf("\n");
}

static void print_event(const struct riposte_event *event)
{
	static const char *const kinds[] = { "?", "SYSCALL", "EXEC", "FORK", "EXIT", "UPDATE" };
	const unsigned char *end = (const unsigned char *)event + event->size;
	const struct riposte_item *item = (const void *)(event + 1);

	printf("%s %s pid %u tid %u vtid %u comm %.16s result %lld fd %d flags %x uid %u gid %u login %d start %llu cgroup %llu mnt %u pidns %u caps %llx args",
		kinds[event->kind], call_name(event), event->pid, event->tid, event->vtid, event->comm, (long long)event->result, event->fd, event->flags,
		event->uid, event->gid, (int)event->loginuid, (unsigned long long)event->start, (unsigned long long)event->cgroup, event->mount_ns,
		event->pid_ns, (unsigned long long)event->cap_effective);
	for (int i = 0; i < 6; i++)
		printf(" %llx", (unsigned long long)event->args[i]);
	if (event->reflex)
		printf(" reflex %u outcome %u", event->reflex, event->reflex_outcome);
	printf("\n");
	while ((const unsigned char *)(item + 1) <= end) {
		const unsigned char *next = (const unsigned char *)(item + 1) + ((item->length + 7) & ~7);

		if (!item->type || next > end) {
			printf("    BROKEN item type %u length %u\n", item->type, item->length);
			break;
		}
		for (const unsigned char *padding = (const unsigned char *)(item + 1) + item->length; padding < next; padding++)
			if (*padding)
				printf("    BROKEN padding of item type %u\n", item->type);
		print_item(item);
		item = (const void *)next;
	}
}

/* State events come by another ring than calls: whom to follow has to be known before calls are looked at. */
static int receive(void *context, void *data, size_t size)
{
	const struct riposte_event *event = data;

	if (size != event->size || size % 8 || event->version != RIPOSTE_WIRE_VERSION)
		printf("BROKEN event of %zu bytes says %u, version %u\n", size, event->size, event->version);
	if (event->kind == RIPOSTE_EVENT_FORK && event->args[1] < sizeof(followed) && followed[event->args[1]] && event->pid < sizeof(followed))
		followed[event->pid] = 1;
	if (everybody || (event->pid < sizeof(followed) && followed[event->pid]))
		print_event(event);
	return 0;
}

static bool is_chosen(const char *name)
{
	size_t length = strlen(name);

	for (const char *at = only; at && *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == length && !strncmp(at, name, length))
			return true;
	return !only;
}

static void fill_table(struct riposte_control *control)
{
	static const struct riposte_call none = NONE;

	for (int i = 0; i < RIPOSTE_CALLS; i++)
		control->calls[0][i] = none;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!is_chosen(table[i].name))
			continue;
		control->calls[0][table[i].nr] = table[i].call;
		if (table[i].compat)
			control->calls[0][512 + table[i].compat] = table[i].call;
	}
	control->self = getpid();
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "riposte-dump: %s: %s\n", what, strerror(error < 0 ? -error : error));
	return 1;
}

/* Programs that see requests, on the maps of the others. */
static int add_requests(const char *path, struct bpf_object *others)
{
	static const char *const bodies[] = { "riposte_request_begin", "riposte_request_end" };
	struct bpf_object *object = bpf_object__open(path);
	struct btf *types = btf__load_vmlinux_btf();
	struct bpf_program *program;
	struct bpf_map *map;
	int error;

	if (!object || !types)
		return errno;
	bpf_object__for_each_program(program, object) {
		const char *function = strchr(bpf_program__section_name(program), '/') + 1;

		bpf_program__set_autoload(program, btf__find_by_name_kind(types, function, BTF_KIND_FUNC) > 0);
	}
	btf__free(types);
	bpf_object__for_each_map(map, object) {
		int descriptor = bpf_object__find_map_fd_by_name(others, bpf_map__name(map));

		if (descriptor >= 0 && !bpf_map__is_internal(map))
			bpf_map__reuse_fd(map, descriptor);
	}
	error = bpf_object__load(object);
	if (error)
		return error;
	for (int i = 0; i < 2; i++) {
		unsigned int zero = 0;
		int descriptor = bpf_program__fd(bpf_object__find_program_by_name(object, bodies[i]));

		bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, i ? "request_end" : "request_begin"), &zero, &descriptor, 0);
	}
	bpf_object__for_each_program(program, object) {
		const char *name = bpf_program__name(program);

		if (bpf_program__autoload(program) && strcmp(name, bodies[0]) && strcmp(name, bodies[1]) && !bpf_program__attach(program))
			return errno;
	}
	return 0;
}

int main(int count, char **arguments)
{
	const char *requests = NULL;
	const char *path = ".output/riposte.x86.bpf.o";
	int option, seconds = 0, error, gate[2], status = 0;
	struct riposte_control *control;
	struct bpf_program *program;
	struct bpf_object *object;
	struct ring_buffer *rings;
	pid_t child = 0;
	time_t end;

	while ((option = getopt(count, arguments, "+o:r:c:s:a")) != -1) {
		switch (option) {
		case 'o': path = optarg; break;
		case 'c': only = optarg; break;
		case 's': seconds = atoi(optarg); break;
		case 'a': everybody = true; break;
		case 'r': requests = optarg; break;
		default: return 2;
		}
	}
	object = bpf_object__open(path);
	if (!object)
		return fail(path, errno);
	bpf_object__for_each_program(program, object) {
		/* It refuses nothing, and sees everything once. */
		if (!strncmp(bpf_program__section_name(program), "lsm/", 4) || !strncmp(bpf_program__section_name(program), "tp/", 3))
			bpf_program__set_autoload(program, false);
	}
	error = bpf_object__load(object);
	if (error)
		return fail("load", error);
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_object__find_map_fd_by_name(object, "control"), 0);
	if (control == MAP_FAILED)
		return fail("mmap", errno);
	fill_table(control);
	rings = ring_buffer__new(bpf_object__find_map_fd_by_name(object, "state_events"), receive, NULL, NULL);
	if (!rings || ring_buffer__add(rings, bpf_object__find_map_fd_by_name(object, "call_events"), receive, NULL))
		return fail("rings", errno);

	if (optind < count) {
		if (pipe(gate))
			return fail("pipe", errno);
		child = fork();
		if (!child) {
			char byte;

			close(gate[1]);
			if (read(gate[0], &byte, 1) < 0)
				_exit(126);
			close(gate[0]);
			execvp(arguments[optind], arguments + optind);
			_exit(127);
		}
		followed[child] = 1;
	} else {
		everybody = true;
	}
	bpf_object__for_each_program(program, object) {
		if (bpf_program__autoload(program) && !bpf_program__attach(program))
			return fail(bpf_program__name(program), errno);
	}
	if (requests) {
		error = add_requests(requests, object);
		if (error)
			return fail(requests, error);
	}
	if (child)
		close(gate[1]);
	end = time(NULL) + seconds;
	for (;;) {
		ring_buffer__poll(rings, 50);
		if (child && waitpid(child, &status, WNOHANG) == child)
			break;
		if (!child && time(NULL) >= end)
			break;
	}
	ring_buffer__consume(rings);
	bpf_object__close(object);
	return child ? WEXITSTATUS(status) : 0;
}
