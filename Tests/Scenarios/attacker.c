/*
 * Harmless attacks: each command makes the system calls of one, once, and changes nothing but what lies below the paths that it is given.
 * Network calls go where the arguments say; the tests name loopback only.
 *
 *     attacker COMMAND [ARGUMENT…]        `attacker` alone lists the commands
 *     await COMMAND [ARGUMENT…]           as a command: waits for the end of standard input first
 *     hold COMMAND [ARGUMENT…]            the same call, then stays for a minute: something for a response to act on
 *
 * The name does not matter: as a copy or a link called `nginx` it is a web server that starts a shell, and with a first argument that is no
 * command it does nothing at all, so `find / -name id_rsa` can be played without a search.
 *
 * On standard output one JSON object: {"command","pid","result"}, result being that of the last call, or a negative errno. Exit status: 0 the call
 * was made, whether or not the kernel granted it; 2 wrong usage; 1 what should have prepared the call failed; 77 this kernel or sandbox has no such way in.
 *
 * Build: gcc -static -O1 -o attacker attacker.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DONE = 0, BROKEN = 1, USAGE = 2, UNSUPPORTED = 77 };

static int perform(int count, char **words);

// ---------------------------------------------------------------- results

static long last_result;

/* Keeps the result of the call that a command is about; errno is still that of the call. */
static long noted(long result) {
	last_result = result == -1 ? -errno : result;
	return result;
}

static int broken(const char *what) {
	fprintf(stderr, "attacker: %s: %s\n", what, strerror(errno));
	return BROKEN;
}

static int unsupported(const char *what) {
	fprintf(stderr, "attacker: not here: %s\n", what);
	return UNSUPPORTED;
}

/* A call that the kernel refused, or does not know, was made all the same. */
static int made(long result) {
	noted(result);
	return DONE;
}

static long number(const char *text) {
	return strtol(text, NULL, 0);
}

// ---------------------------------------------------------------- files

static const struct { const char *name; int bits; } open_flags[] = {
	{"rdonly", O_RDONLY}, {"wronly", O_WRONLY}, {"rdwr", O_RDWR}, {"creat", O_CREAT}, {"trunc", O_TRUNC}, {"append", O_APPEND}, {"excl", O_EXCL},
	{"directory", O_DIRECTORY}, {"path", O_PATH}, {"cloexec", O_CLOEXEC}, {"nofollow", O_NOFOLLOW}, {"nonblock", O_NONBLOCK}, {"tmpfile", O_TMPFILE},
};

/* `wronly,creat,trunc`. Nothing is O_RDONLY. */
static int flags_of(const char *text) {
	int bits = 0;
	char copy[128];
	snprintf(copy, sizeof copy, "%s", text ? text : "rdonly");
	for (char *word = strtok(copy, ","); word; word = strtok(NULL, ","))
		for (size_t i = 0; i < sizeof open_flags / sizeof *open_flags; i++)
			if (strcmp(open_flags[i].name, word) == 0) bits |= open_flags[i].bits;
	return bits;
}

static int mode_of(const char *text) {
	return text ? (int)strtol(text, NULL, 8) : 0644;
}

/* PATH [FLAGS [MODE]], by open(2) itself, which libraries no longer call. */
static int do_open(char **a) {
#ifdef SYS_open
	return made(syscall(SYS_open, a[0], flags_of(a[1]), mode_of(a[1] ? a[2] : NULL)));
#else
	return unsupported("open(2)");
#endif
}

static int do_openat(char **a) {
	return made(syscall(SYS_openat, AT_FDCWD, a[0], flags_of(a[1]), mode_of(a[1] ? a[2] : NULL)));
}

/* DIRECTORY PATH [FLAGS]: below a descriptor. */
static int do_openat_below(char **a) {
	int directory = open(a[0], O_RDONLY | O_DIRECTORY);
	if (directory < 0) return broken(a[0]);
	return made(syscall(SYS_openat, directory, a[1], flags_of(a[2]), 0644));
}

/* DIRECTORY PATH [FLAGS]: below the working directory. */
static int do_openat_inside(char **a) {
	if (chdir(a[0]) < 0) return broken(a[0]);
	return made(syscall(SYS_openat, AT_FDCWD, a[1], flags_of(a[2]), 0644));
}

/* The same by fchdir. */
static int do_fchdir_open(char **a) {
	int directory = open(a[0], O_RDONLY | O_DIRECTORY);
	if (directory < 0 || fchdir(directory) < 0) return broken(a[0]);
	return made(syscall(SYS_openat, AT_FDCWD, a[1], flags_of(a[2]), 0644));
}

static int do_openat2(char **a) {
	int bits = flags_of(a[1]);
	struct open_how how = {.flags = bits, .mode = bits & O_CREAT ? 0644 : 0, .resolve = a[1] && a[2] ? number(a[2]) : 0};
	return made(syscall(SYS_openat2, AT_FDCWD, a[0], &how, sizeof how));
}

static int do_creat(char **a) {
#ifdef SYS_creat
	return made(syscall(SYS_creat, a[0], mode_of(a[1])));
#else
	return unsupported("creat(2)");
#endif
}

/* PATH, by a handle (CAP_DAC_READ_SEARCH). */
static int do_open_by_handle(char **a) {
	union { struct file_handle handle; char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ]; } file = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
	int mount;
	if (name_to_handle_at(AT_FDCWD, a[0], &file.handle, &mount, 0) < 0) return unsupported("file handles");
	int root = open(a[1] ? a[1] : a[0], O_RDONLY);
	return made(open_by_handle_at(root, &file.handle, O_RDONLY));
}

/* PATH, by io_uring and no system call that opens. */
static int do_uring_open(char **a) {
	struct io_uring_params parameters = {0};
	int ring = syscall(SYS_io_uring_setup, 4, &parameters);
	if (ring < 0) return unsupported("io_uring");
	size_t length = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned);
	char *submission = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	length = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
	char *completion = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
	length = parameters.sq_entries * sizeof(struct io_uring_sqe);
	struct io_uring_sqe *entry = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
	if (submission == MAP_FAILED || completion == MAP_FAILED || entry == MAP_FAILED) return broken("mmap of the ring");

	*entry = (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (uintptr_t)a[0], .open_flags = flags_of(a[1]), .len = 0644};
	unsigned tail = *(unsigned *)(submission + parameters.sq_off.tail);
	((unsigned *)(submission + parameters.sq_off.array))[tail & *(unsigned *)(submission + parameters.sq_off.ring_mask)] = 0;
	atomic_store((atomic_uint *)(submission + parameters.sq_off.tail), tail + 1);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) return broken("io_uring_enter");
	last_result = ((struct io_uring_cqe *)(completion + parameters.cq_off.cqes))->res;
	return DONE;
}

/* PATH [FLAGS], by the 32-bit door of a 64-bit kernel. */
static int do_open32(char **a) {
#ifdef __x86_64__
	char *low = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (low == MAP_FAILED) return broken("mmap below 4 GiB");
	snprintf(low, 8192, "%s", a[0]);
	long result = 295; /* openat */
	/* r8 to r11 do not survive this way into the kernel. */
	__asm__ volatile("int $0x80" : "+a"(result) : "b"((long)AT_FDCWD), "c"(low), "d"((long)flags_of(a[1])), "S"(0644L) : "memory", "r8", "r9", "r10", "r11");
	last_result = (int)result;
	return last_result == -ENOSYS ? unsupported("32-bit calls") : DONE;
#else
	return unsupported("32-bit calls");
#endif
}

/* Two paths of one length, which a second thread exchanges in memory for as long as `race_goes_on`. */
static char race_path[4096];
static const char *race_choice[2];
static atomic_bool race_goes_on = true;

static void *exchange_paths(void *unused) {
	for (unsigned turn = 0; race_goes_on; turn++) memcpy(race_path, race_choice[turn % 2], strlen(race_choice[0]));
	return unused;
}

/* HARMLESS-PATH PROTECTED-PATH TIMES: opens whatever the buffer says at that instant. Result: how often something else than the first was opened. */
static int do_open_race(char **a) {
	if (strlen(a[0]) != strlen(a[1]) || strlen(a[0]) >= sizeof race_path) return USAGE;
	struct stat wanted, found;
	if (stat(a[1], &wanted) < 0) return broken(a[1]);
	race_choice[0] = a[0], race_choice[1] = a[1];
	strcpy(race_path, a[0]);
	pthread_t thread;
	if (pthread_create(&thread, NULL, exchange_paths, NULL) != 0) return broken("pthread_create");
	long hits = 0;
	for (long left = number(a[2]); left > 0; left--) {
		int file = syscall(SYS_openat, AT_FDCWD, race_path, O_RDONLY);
		if (file < 0) continue;
		hits += fstat(file, &found) == 0 && found.st_dev == wanted.st_dev && found.st_ino == wanted.st_ino;
		close(file);
	}
	race_goes_on = false;
	pthread_join(thread, NULL);
	last_result = hits;
	return DONE;
}

/* LENGTH PATH: reaches PATH by a path of that many bytes, the most being 4095. */
static int do_open_long(char **a) {
	size_t length = number(a[0]), own = strlen(a[1]);
	static char path[8192];
	if (length > sizeof path - 1 || own > length) return USAGE;
	size_t padding = length - own;
	for (size_t i = 0; i < padding; i++) path[i] = i % 2 ? '.' : '/';
	/* `/./././etc/shadow`; an odd padding ends in a slash, and two slashes are as good as one. */
	strcpy(path + padding, a[1]);
	return made(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
}

/* DIRECTORY: makes a file whose name is no UTF-8. */
static int do_open_bytes(char **a) {
	char path[4096];
	snprintf(path, sizeof path, "%s/\xff\xfe\x1b[31m\n\xc3(\x80", a[0]);
	return made(syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT, 0600));
}

/* DIRECTORY PATH: chroot, then open as seen from there. */
static int do_chroot_open(char **a) {
	if (chroot(a[0]) < 0) return broken("chroot");
	if (chdir("/") < 0) return broken("chdir");
	return made(syscall(SYS_openat, AT_FDCWD, a[1], O_RDONLY));
}

#ifdef SYS_symlink
#define OLD_CALL(name, ...) made(syscall(SYS_##name, __VA_ARGS__))
#else
#define OLD_CALL(name, ...) unsupported(#name "(2)")
#endif

static int do_symlink(char **a) { return OLD_CALL(symlink, a[0], a[1]); }
static int do_symlinkat(char **a) { return made(syscall(SYS_symlinkat, a[0], AT_FDCWD, a[1])); }
static int do_link(char **a) { return OLD_CALL(link, a[0], a[1]); }
static int do_linkat(char **a) { return made(syscall(SYS_linkat, AT_FDCWD, a[0], AT_FDCWD, a[1], 0)); }
static int do_rename(char **a) { return OLD_CALL(rename, a[0], a[1]); }
static int do_renameat(char **a) { return OLD_CALL(renameat, AT_FDCWD, a[0], AT_FDCWD, a[1]); }
static int do_renameat2(char **a) { return made(syscall(SYS_renameat2, AT_FDCWD, a[0], AT_FDCWD, a[1], 0)); }
static int do_unlink(char **a) { return OLD_CALL(unlink, a[0]); }
static int do_unlinkat(char **a) { return made(syscall(SYS_unlinkat, AT_FDCWD, a[0], 0)); }
static int do_rmdir(char **a) { return OLD_CALL(rmdir, a[0]); }
static int do_mkdir(char **a) { return OLD_CALL(mkdir, a[0], 0755); }
static int do_mkdirat(char **a) { return made(syscall(SYS_mkdirat, AT_FDCWD, a[0], 0755)); }
static int do_chmod(char **a) { return OLD_CALL(chmod, a[0], mode_of(a[1])); }
static int do_fchmodat(char **a) { return made(syscall(SYS_fchmodat, AT_FDCWD, a[0], mode_of(a[1]))); }
static int do_fchownat(char **a) { return made(syscall(SYS_fchownat, AT_FDCWD, a[0], number(a[1]), number(a[2]), 0)); }
static int do_truncate(char **a) { return made(syscall(SYS_truncate, a[0], 0)); }

static int do_fchmod(char **a) {
	int file = open(a[0], O_RDONLY);
	if (file < 0) return broken(a[0]);
	return made(syscall(SYS_fchmod, file, mode_of(a[1])));
}

/* DIRECTORY NAME: unlinkat below a descriptor. */
static int do_unlinkat_below(char **a) {
	int directory = open(a[0], O_RDONLY | O_DIRECTORY);
	if (directory < 0) return broken(a[0]);
	return made(syscall(SYS_unlinkat, directory, a[1], 0));
}

/* PATH: maps it, and makes an anonymous page executable. */
static int do_map(char **a) {
	int file = open(a[0], O_RDONLY);
	if (file < 0) return broken(a[0]);
	void *content = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (content == MAP_FAILED || page == MAP_FAILED) return broken("mmap");
	return made(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

/* TARGET: a bind of nothing onto it. The source does not exist, so the kernel refuses. */
static int do_mount(char **a) { return made(mount("/nonexistent/source", a[0], NULL, MS_BIND, NULL)); }
static int do_umount(char **a) { return made(umount2(a[0], MNT_DETACH)); }

// ---------------------------------------------------------------- sockets

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

/* The length, or 0 for what is no address. */
static socklen_t address_of(const char *host, long port, union address *address) {
	memset(address, 0, sizeof *address);
	if (inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
		address->v4.sin_family = AF_INET;
		address->v4.sin_port = htons(port);
		return sizeof address->v4;
	}
	if (inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1) {
		address->v6.sin6_family = AF_INET6;
		address->v6.sin6_port = htons(port);
		return sizeof address->v6;
	}
	return 0;
}

static socklen_t unix_address(const char *path, union address *address) {
	memset(address, 0, sizeof *address);
	address->un.sun_family = AF_UNIX;
	strncpy(address->un.sun_path, path, sizeof address->un.sun_path - 1);
	return sizeof address->un;
}

/* A listening socket at a port of the kernel's choice unless one is named; `address` becomes where it listens. */
static int listener_at(const char *host, long port, union address *address, socklen_t *length) {
	*length = address_of(host, port, address);
	if (*length == 0) { errno = EINVAL; return -1; }
	int listener = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (listener < 0 || bind(listener, &address->any, *length) < 0 || noted(listen(listener, 8)) < 0) return -1;
	return getsockname(listener, &address->any, length) < 0 ? -1 : listener;
}

/* ADDRESS PORT [nonblock]: whether or not somebody listens there. */
static int do_connect(char **a) {
	union address address;
	socklen_t length = address_of(a[0], number(a[1]), &address);
	if (length == 0) return USAGE;
	int type = a[2] && strcmp(a[2], "nonblock") == 0 ? SOCK_STREAM | SOCK_NONBLOCK : SOCK_STREAM;
	int client = socket(address.any.sa_family, type, 0);
	if (client < 0) return broken("socket");
	return made(connect(client, &address.any, length));
}

/* ADDRESS [PORT [nonblock]]: to a listener of its own. */
static int do_connect_self(char **a) {
	union address address;
	socklen_t length;
	if (listener_at(a[0], a[1] ? number(a[1]) : 0, &address, &length) < 0) return broken("listen");
	int client = socket(address.any.sa_family, SOCK_STREAM | (a[1] && a[2] ? SOCK_NONBLOCK : 0), 0);
	if (client < 0) return broken("socket");
	return made(connect(client, &address.any, length));
}

/* ADDRESS [PORT]: listens, and accepts a client of its own. */
static int do_accept(char **a) {
	union address address;
	socklen_t length;
	int listener = listener_at(a[0], a[1] ? number(a[1]) : 0, &address, &length);
	if (listener < 0) return broken("listen");
	int client = socket(address.any.sa_family, SOCK_STREAM, 0);
	if (client < 0 || connect(client, &address.any, length) < 0) return broken("connect");
	return made(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

static int do_listen(char **a) {
	union address address;
	socklen_t length;
	if (listener_at(a[0], a[1] ? number(a[1]) : 0, &address, &length) < 0) return broken("listen");
	return DONE;
}

static int do_udp_connect(char **a) {
	union address address;
	socklen_t length = address_of(a[0], number(a[1]), &address);
	int client = socket(address.any.sa_family, SOCK_DGRAM, 0);
	if (length == 0 || client < 0) return USAGE;
	return made(connect(client, &address.any, length));
}

/* ADDRESS PORT sendto|sendmsg|sendmmsg: one datagram. */
static int do_send(char **a) {
	union address address;
	socklen_t length = address_of(a[0], number(a[1]), &address);
	int client = socket(address.any.sa_family, SOCK_DGRAM, 0);
	if (length == 0 || client < 0) return USAGE;
	static char text[] = "harmless";
	struct iovec piece = {text, sizeof text - 1};
	struct mmsghdr message = {.msg_hdr = {.msg_name = &address, .msg_namelen = length, .msg_iov = &piece, .msg_iovlen = 1}};
	if (strcmp(a[2], "sendto") == 0) return made(sendto(client, text, sizeof text - 1, 0, &address.any, length));
	if (strcmp(a[2], "sendmsg") == 0) return made(sendmsg(client, &message.msg_hdr, 0));
	if (strcmp(a[2], "sendmmsg") == 0) return made(sendmmsg(client, &message, 1, 0));
	return USAGE;
}

/* ADDRESS recvfrom|recvmsg|recvmmsg: a datagram from itself. */
static int do_receive(char **a) {
	union address address, from;
	socklen_t length = address_of(a[0], 0, &address), from_length = sizeof from;
	int server = socket(address.any.sa_family, SOCK_DGRAM, 0), client = socket(address.any.sa_family, SOCK_DGRAM, 0);
	if (length == 0 || server < 0 || client < 0) return USAGE;
	if (bind(server, &address.any, length) < 0 || getsockname(server, &address.any, &length) < 0) return broken("bind");
	char text[16] = "harmless";
	if (sendto(client, text, 8, 0, &address.any, length) < 0) return broken("sendto");
	struct iovec piece = {text, sizeof text};
	struct mmsghdr message = {.msg_hdr = {.msg_name = &from, .msg_namelen = from_length, .msg_iov = &piece, .msg_iovlen = 1}};
	if (strcmp(a[1], "recvfrom") == 0) return made(recvfrom(server, text, sizeof text, 0, &from.any, &from_length));
	if (strcmp(a[1], "recvmsg") == 0) return made(recvmsg(server, &message.msg_hdr, 0));
	if (strcmp(a[1], "recvmmsg") == 0) return made(recvmmsg(server, &message, 1, 0, NULL));
	return USAGE;
}

/* PATH: a Unix socket of its own, connected to. */
static int do_unix(char **a) {
	union address address;
	socklen_t length = unix_address(a[0], &address);
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	if (server < 0 || client < 0 || bind(server, &address.any, length) < 0 || listen(server, 1) < 0) return broken(a[0]);
	int result = made(connect(client, &address.any, length));
	unlink(a[0]);
	return result;
}

static int do_unix_connect(char **a) {
	union address address;
	socklen_t length = unix_address(a[0], &address);
	int client = socket(AF_UNIX, SOCK_STREAM, 0);
	if (client < 0) return broken("socket");
	return made(connect(client, &address.any, length));
}

static int do_packet_socket(char **a) {
	(void)a;
	return made(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
}

static int do_raw_socket(char **a) {
	(void)a;
	return made(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

/* A socket connected to a listener of this process; the listener stays open. */
static int connected_socket(const char *host) {
	union address address;
	socklen_t length;
	if (listener_at(host, 0, &address, &length) < 0) return -1;
	int client = socket(address.any.sa_family, SOCK_STREAM, 0);
	if (client < 0 || connect(client, &address.any, length) < 0) return -1;
	return client;
}

/* ADDRESS STREAM dup|dup2|dup3|fcntl: the connection takes the place of standard stream 0, 1 or 2, which is put back. */
static int do_redirect(char **a) {
	int client = connected_socket(a[0]), stream = number(a[1]), kept = fcntl(stream, F_DUPFD_CLOEXEC, 100);
	if (client < 0 || kept < 0) return broken("connect");
	const char *call = a[2] ? a[2] : "dup2";
	long result;
	if (strcmp(call, "dup3") == 0) {
		result = syscall(SYS_dup3, client, stream, 0);
	} else if (strcmp(call, "dup") == 0) {
		close(stream);
		result = syscall(SYS_dup, client);
	} else if (strcmp(call, "fcntl") == 0) {
		close(stream);
		result = fcntl(client, F_DUPFD, stream);
	} else {
#ifdef SYS_dup2
		result = syscall(SYS_dup2, client, stream);
#else
		result = syscall(SYS_dup3, client, stream, 0);
#endif
	}
	int status = made(result);
	/* By dup3 of a descriptor that is no socket, so that it is no attack a second time. */
	syscall(SYS_dup3, kept, stream, 0);
	return status;
}

/* ADDRESS PROGRAM ARGUMENT…: starts it with a connection as its three streams, as a reverse shell would be. */
static int do_remote_shell(char **a) {
	int client = connected_socket(a[0]);
	if (client < 0) return broken("connect");
	pid_t child = fork();
	if (child == 0) {
		for (int stream = 0; stream < 3; stream++) dup2(client, stream);
		execv(a[1], a + 1);
		_exit(127);
	}
	int status;
	if (child < 0 || waitpid(child, &status, 0) < 0) return broken("fork");
	last_result = child;
	return DONE;
}

/* PATH: hands an open file to another process by SCM_RIGHTS; the other reads of it. */
static int do_pass(char **a) {
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return broken("socketpair");
	union { struct cmsghdr header; char bytes[CMSG_SPACE(sizeof(int))]; } control = {0};
	char byte = 0;
	struct iovec piece = {&byte, 1};
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	pid_t child = fork();
	if (child == 0) {
		recvmsg(pair[1], &message, 0);
		int file;
		memcpy(&file, CMSG_DATA(&control.header), sizeof file);
		_exit(read(file, &byte, 1) < 0);
	}
	int file = open(a[0], O_RDONLY);
	if (file < 0) return broken(a[0]);
	control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(&control.header), &file, sizeof file);
	int status = made(sendmsg(pair[0], &message, 0));
	waitpid(child, NULL, 0);
	return status;
}

// ---------------------------------------------------------------- programs

/* Runs in the child of a fork; the parent waits, and its result is the child's pid. */
static int in_child(int (*body)(char **), char **a) {
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) _exit(body(a));
	int status;
	if (child < 0 || waitpid(child, &status, 0) < 0) return broken("fork");
	last_result = child;
	return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? DONE : WIFSIGNALED(status) ? DONE : BROKEN;
}

/* PROGRAM ARGUMENT…: in this process's place. Comes back only when it fails. */
static int do_exec(char **a) {
	fflush(stdout);
	return made(execv(a[0], a));
}

/* PROGRAM ARGV0 ARGUMENT…: under another name than its own. */
static int do_exec_as(char **a) {
	fflush(stdout);
	return made(execv(a[0], a + 1));
}

static int exec_or_127(char **a) {
	execv(a[0], a);
	return 127;
}

/* PROGRAM ARGUMENT…: as a child, waited for. */
static int do_run(char **a) { return in_child(exec_or_127, a); }

/* The 127 is what the test wants. */
static int do_exec_missing(char **a) { return made(execv(a[0], a)); }

/* DIRECTORY PROGRAM ARGUMENT…: from that working directory. */
static int do_run_inside(char **a) {
	if (chdir(a[0]) < 0) return broken(a[0]);
	return do_run(a + 1);
}

static int copy_to(int target) {
	int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char block[65536];
	ssize_t count;
	while ((count = read(own, block, sizeof block)) > 0)
		if (write(target, block, count) != count) return -1;
	close(own);
	return count < 0 ? -1 : 0;
}

/* Leaves an executable copy of this program there. 0, or -1. */
static int copy_as(const char *path) {
	int target = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	if (target < 0 || copy_to(target) < 0) return -1;
	return close(target);
}

/* PATH ARGUMENT…: drops a copy of this program there, runs it with those arguments, and removes it. */
static int do_drop(char **a) {
	if (copy_as(a[0]) < 0) return broken(a[0]);
	int status = in_child(exec_or_127, a);
	unlink(a[0]);
	return status;
}

/* PATH ARGUMENT…: the same, but the file is gone before it runs. */
static int exec_deleted(char **a) {
	int file = open(a[0], O_RDONLY);
	if (file < 0 || unlink(a[0]) < 0) return 127;
	syscall(SYS_execveat, file, "", a, environ, AT_EMPTY_PATH);
	return 127;
}

static int do_drop_deleted(char **a) {
	if (copy_as(a[0]) < 0) return broken(a[0]);
	return in_child(exec_deleted, a);
}

/* NAME execveat|proc ARGV0 ARGUMENT…: a copy of this program that no directory has. */
static int exec_from_memory(char **a) {
	int file = syscall(SYS_memfd_create, a[0], strcmp(a[1], "proc") ? MFD_CLOEXEC : 0);
	if (file < 0 || copy_to(file) < 0) return 127;
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	if (strcmp(a[1], "proc") == 0) {
		/* Open for writing, it would be busy. */
		int again = open(path, O_RDONLY);
		close(file);
		snprintf(path, sizeof path, "/proc/self/fd/%d", again);
		execv(path, a + 2);
	} else {
		syscall(SYS_execveat, file, "", a + 2, environ, AT_EMPTY_PATH);
	}
	return 127;
}

static int do_memory(char **a) { return in_child(exec_from_memory, a); }

/* DIRECTORY NAME ARGUMENT…: execveat below a descriptor. */
static int execveat_below(char **a) {
	int directory = open(a[0], O_PATH | O_DIRECTORY);
	if (directory >= 0) syscall(SYS_execveat, directory, a[1], a + 1, environ, 0);
	return 127;
}

static int do_execveat_below(char **a) { return in_child(execveat_below, a); }

static char **thread_words;

static int exec_of_thread(void *unused) {
	(void)unused;
	execv(thread_words[0], thread_words);
	_exit(127);
}

/* A thread that is not the first one starts a program: the kernel gives it the first one's number. */
static int exec_in_thread(char **a) {
	enum { STACK = 65536 };
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	thread_words = a;
	int kind = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	if (stack == MAP_FAILED || clone(exec_of_thread, stack + STACK, kind, NULL) < 0) return 127;
	for (;;) pause();
}

static int do_thread_exec(char **a) { return in_child(exec_in_thread, a); }

static void *open_in_thread(void *path) {
	made(syscall(SYS_openat, AT_FDCWD, (char *)path, O_RDONLY));
	return NULL;
}

static int do_thread_open(char **a) {
	pthread_t thread;
	if (pthread_create(&thread, NULL, open_in_thread, a[0]) != 0) return broken("pthread_create");
	pthread_join(thread, NULL);
	return DONE;
}

/* BYTES: starts itself with one argument of that length; 131071 is the most. */
static int do_big_argument(char **a) {
	size_t length = number(a[0]);
	char *text = malloc(length + 1);
	if (!text) return broken("malloc");
	memset(text, 'x', length);
	text[length] = 0;
	char *words[] = {"/proc/self/exe", "noop", text, NULL};
	return in_child(exec_or_127, words);
}

/* COUNT BYTES: starts itself with that many arguments. */
static int do_many_arguments(char **a) {
	long total = number(a[0]);
	char **words = calloc(total + 3, sizeof *words);
	if (!words) return broken("calloc");
	words[0] = "/proc/self/exe", words[1] = "noop";
	for (long i = 0; i < total; i++) words[i + 2] = a[1];
	return in_child(exec_or_127, words);
}

static void sleep_until(struct timespec *when, long nanoseconds) {
	when->tv_nsec += nanoseconds;
	when->tv_sec += when->tv_nsec / 1000000000;
	when->tv_nsec %= 1000000000;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, when, NULL);
}

/* COUNT [PER-SECOND]: children that end at once. */
static int do_forks(char **a) {
	long total = number(a[0]), rate = a[1] ? number(a[1]) : 0;
	struct timespec next;
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (long i = 0; i < total; i++) {
		pid_t child = fork();
		if (child == 0) _exit(0);
		if (child < 0) return broken("fork");
		waitpid(child, NULL, 0);
		last_result = i + 1;
		if (rate > 0) sleep_until(&next, 1000000000 / rate);
	}
	return DONE;
}

/* COUNT PROGRAM ARGUMENT…: that many programs, one after the other. Result: how many there were. */
static int do_short_lives(char **a) {
	long total = number(a[0]);
	for (long i = 0; i < total; i++) {
		pid_t child = vfork();
		if (child == 0) {
			execv(a[1], a + 1);
			_exit(127);
		}
		int status;
		if (child < 0 || waitpid(child, &status, 0) < 0) return broken("vfork");
		last_result = i + 1;
	}
	return DONE;
}

/* The words after the first one or two as a command of their own, its status this one's. */
static int rest(char **a) {
	int count = 0;
	while (a[count]) count++;
	return count == 0 ? USAGE : perform(count, a);
}

/* MILLISECONDS. */
static int do_sleep(char **a) {
	long milliseconds = number(a[0]);
	struct timespec span = {milliseconds / 1000, milliseconds % 1000 * 1000000};
	return made(nanosleep(&span, NULL));
}

/* MILLISECONDS COMMAND…: by a process of some age. */
static int do_after(char **a) {
	do_sleep(a);
	return rest(a + 1);
}

static int do_noop(char **a) {
	(void)a;
	return DONE;
}

/* COMMAND…: as a daemon, whose parent is long gone. Waits until it has ended, by the end of a pipe. */
static int do_daemon(char **a) {
	int pipes[2];
	if (pipe(pipes) < 0) return broken("pipe");
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		setsid();
		pid_t first = getpid();
		if (fork() != 0) _exit(0);
		close(pipes[0]);
		while (getppid() == first) sched_yield();
		int status = rest(a);
		fflush(stdout);
		_exit(status);
	}
	close(pipes[1]);
	waitpid(child, NULL, 0);
	char byte;
	while (read(pipes[0], &byte, 1) > 0) continue;
	return DONE;
}

static int do_session(char **a) {
	noted(setsid());
	return rest(a);
}

static int do_child(char **a) { return in_child(rest, a); }

/* NAME COMMAND…: under a false name. */
static int do_rename_self(char **a) {
	if (prctl(PR_SET_NAME, a[0]) < 0) return broken("prctl");
	return rest(a + 1);
}

/* UID COMMAND… */
static int do_setuid(char **a) {
	noted(setuid(number(a[0])));
	return a[1] ? rest(a + 1) : DONE;
}

/* COMMAND…: without any capability. */
static int do_powerless(char **a) {
	struct { uint32_t version; int pid; } header = {0x20080522, 0};
	struct { uint32_t effective, permitted, inheritable; } none[2] = {{0}};
	if (syscall(SYS_capset, &header, none) < 0) return broken("capset");
	return rest(a);
}

// ---------------------------------------------------------------- namespaces

static const struct { const char *name; int bits; } namespaces[] = {
	{"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET}, {"uts", CLONE_NEWUTS}, {"ipc", CLONE_NEWIPC},
};

static int namespaces_of(const char *text) {
	int bits = 0;
	for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++)
		if (strstr(text, namespaces[i].name)) bits |= namespaces[i].bits;
	return bits;
}

/* user,mount,pid,net,uts,ipc COMMAND… in new ones. With `pid`, a child of this process is in them and performs the command. */
static int do_unshare(char **a) {
	int bits = namespaces_of(a[0]);
	long result = noted(unshare(bits));
	if (!a[1] || result < 0) return DONE;
	return bits & CLONE_NEWPID ? in_child(rest, a + 1) : rest(a + 1);
}

/* DEPTH COMMAND…: so many pid namespaces inside each other. */
static int do_nested_pids(char **a) {
	long depth = number(a[0]);
	if (depth == 0) return rest(a + 1);
	if (noted(unshare(CLONE_NEWPID)) < 0) return DONE;
	char less[24];
	snprintf(less, sizeof less, "%ld", depth - 1);
	a[0] = less;
	return in_child(do_nested_pids, a);
}

/* PATH of a namespace, such as /proc/self/ns/net: enters where it is already. */
static int do_setns(char **a) {
	int space = open(a[0], O_RDONLY | O_CLOEXEC);
	if (space < 0) return broken(a[0]);
	return made(setns(space, a[1] ? namespaces_of(a[1]) : 0));
}

// ---------------------------------------------------------------- the kernel

static int traceme(char **a) {
	(void)a;
	return made(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int do_traceme(char **a) { return in_child(traceme, a); }

/* attach|seize|poke: a child of its own. */
static int do_trace(char **a) {
	static long word = 1;
	pid_t child = fork();
	if (child == 0) for (;;) pause();
	if (child < 0) return broken("fork");
	int status;
	if (strcmp(a[0], "seize") == 0) {
		made(ptrace(PTRACE_SEIZE, child, NULL, NULL));
	} else {
		made(ptrace(PTRACE_ATTACH, child, NULL, NULL));
		waitpid(child, &status, 0);
		if (strcmp(a[0], "poke") == 0) made(ptrace(PTRACE_POKEDATA, child, &word, (void *)2L));
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return DONE;
}

/* init|finit: four bytes that are no module. */
static int do_module(char **a) {
	static char image[] = "none";
	if (strcmp(a[0], "finit") != 0) return made(syscall(SYS_init_module, image, sizeof image, ""));
	int file = syscall(SYS_memfd_create, "module", 0);
	if (file < 0 || write(file, image, sizeof image) < 0) return broken("memfd_create");
	return made(syscall(SYS_finit_module, file, "", 0));
}

/* COMMAND-NUMBER: of bpf(2), with nothing in its attributes. */
static int do_bpf(char **a) {
	union bpf_attr attributes;
	memset(&attributes, 0, sizeof attributes);
	return made(syscall(SYS_bpf, number(a[0]), &attributes, sizeof attributes));
}

static int do_userfaultfd(char **a) {
	(void)a;
	return made(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
}

/* SIGNAL: to a child of its own. */
static int do_kill(char **a) {
	pid_t child = fork();
	if (child == 0) for (;;) pause();
	if (child < 0) return broken("fork");
	int status = made(kill(child, number(a[0])));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return status;
}

/* COMMAND… after the end of standard input. */
static int do_await(char **a) {
	char byte;
	while (read(STDIN_FILENO, &byte, 1) > 0) continue;
	return rest(a);
}

/* COMMAND… and then a minute in which a response can be seen. */
static int do_hold(char **a) {
	int status = rest(a);
	printf("{\"held\":%d}\n", (int)getpid());
	fflush(stdout);
	sleep(60);
	return status;
}

/* TIMES COMMAND…: again and again. */
static int do_repeat(char **a) {
	int status = DONE;
	for (long left = number(a[0]); left > 0 && status == DONE; left--) status = rest(a + 1);
	return status;
}

// ---------------------------------------------------------------- commands

static const struct command {
	const char *name;
	int least; /* arguments */
	int (*perform)(char **arguments);
	const char *usage;
} commands[] = {
	{"open", 1, do_open, "PATH [FLAGS [MODE]]"},
	{"openat", 1, do_openat, "PATH [FLAGS [MODE]]"},
	{"openat-below", 2, do_openat_below, "DIRECTORY PATH [FLAGS]"},
	{"openat-inside", 2, do_openat_inside, "DIRECTORY PATH [FLAGS]"},
	{"fchdir-open", 2, do_fchdir_open, "DIRECTORY PATH [FLAGS]"},
	{"openat2", 1, do_openat2, "PATH [FLAGS [RESOLVE]]"},
	{"creat", 1, do_creat, "PATH [MODE]"},
	{"open-by-handle", 1, do_open_by_handle, "PATH [FILE-OF-THE-MOUNT]"},
	{"uring-open", 1, do_uring_open, "PATH [FLAGS]"},
	{"open32", 1, do_open32, "PATH [FLAGS]"},
	{"open-race", 3, do_open_race, "HARMLESS PROTECTED TIMES"},
	{"open-long", 2, do_open_long, "LENGTH PATH"},
	{"open-bytes", 1, do_open_bytes, "DIRECTORY"},
	{"chroot-open", 2, do_chroot_open, "DIRECTORY PATH"},
	{"thread-open", 1, do_thread_open, "PATH"},
	{"symlink", 2, do_symlink, "TARGET PATH"},
	{"symlinkat", 2, do_symlinkat, "TARGET PATH"},
	{"link", 2, do_link, "PATH NEW"},
	{"linkat", 2, do_linkat, "PATH NEW"},
	{"rename", 2, do_rename, "PATH NEW"},
	{"renameat", 2, do_renameat, "PATH NEW"},
	{"renameat2", 2, do_renameat2, "PATH NEW"},
	{"unlink", 1, do_unlink, "PATH"},
	{"unlinkat", 1, do_unlinkat, "PATH"},
	{"unlinkat-below", 2, do_unlinkat_below, "DIRECTORY NAME"},
	{"rmdir", 1, do_rmdir, "PATH"},
	{"mkdir", 1, do_mkdir, "PATH"},
	{"mkdirat", 1, do_mkdirat, "PATH"},
	{"chmod", 2, do_chmod, "PATH MODE"},
	{"fchmod", 2, do_fchmod, "PATH MODE"},
	{"fchmodat", 2, do_fchmodat, "PATH MODE"},
	{"fchownat", 3, do_fchownat, "PATH UID GID"},
	{"truncate", 1, do_truncate, "PATH"},
	{"map", 1, do_map, "PATH"},
	{"mount", 1, do_mount, "TARGET"},
	{"umount", 1, do_umount, "TARGET"},
	{"connect", 2, do_connect, "ADDRESS PORT [nonblock]"},
	{"connect-self", 1, do_connect_self, "ADDRESS [PORT [nonblock]]"},
	{"accept", 1, do_accept, "ADDRESS [PORT]"},
	{"listen", 1, do_listen, "ADDRESS [PORT]"},
	{"udp-connect", 2, do_udp_connect, "ADDRESS PORT"},
	{"send", 3, do_send, "ADDRESS PORT sendto|sendmsg|sendmmsg"},
	{"receive", 2, do_receive, "ADDRESS recvfrom|recvmsg|recvmmsg"},
	{"unix", 1, do_unix, "PATH"},
	{"unix-connect", 1, do_unix_connect, "PATH"},
	{"packet-socket", 0, do_packet_socket, ""},
	{"raw-socket", 0, do_raw_socket, ""},
	{"redirect", 2, do_redirect, "ADDRESS STREAM [dup|dup2|dup3|fcntl]"},
	{"remote-shell", 2, do_remote_shell, "ADDRESS PROGRAM [ARGUMENT…]"},
	{"pass", 1, do_pass, "PATH"},
	{"exec", 1, do_exec, "PROGRAM [ARGUMENT…]"},
	{"exec-as", 2, do_exec_as, "PROGRAM ARGV0 [ARGUMENT…]"},
	{"exec-missing", 1, do_exec_missing, "PROGRAM"},
	{"execveat-below", 2, do_execveat_below, "DIRECTORY NAME [ARGUMENT…]"},
	{"run", 1, do_run, "PROGRAM [ARGUMENT…]"},
	{"run-inside", 2, do_run_inside, "DIRECTORY PROGRAM [ARGUMENT…]"},
	{"drop", 1, do_drop, "PATH [ARGUMENT…]"},
	{"drop-deleted", 1, do_drop_deleted, "PATH [ARGUMENT…]"},
	{"memory", 3, do_memory, "NAME execveat|proc ARGV0 [ARGUMENT…]"},
	{"thread-exec", 1, do_thread_exec, "PROGRAM [ARGUMENT…]"},
	{"big-argument", 1, do_big_argument, "BYTES"},
	{"many-arguments", 2, do_many_arguments, "COUNT TEXT"},
	{"forks", 1, do_forks, "COUNT [PER-SECOND]"},
	{"short-lives", 2, do_short_lives, "COUNT PROGRAM [ARGUMENT…]"},
	{"daemon", 1, do_daemon, "COMMAND…"},
	{"session", 1, do_session, "COMMAND…"},
	{"child", 1, do_child, "COMMAND…"},
	{"rename-self", 2, do_rename_self, "NAME COMMAND…"},
	{"setuid", 1, do_setuid, "UID [COMMAND…]"},
	{"powerless", 1, do_powerless, "COMMAND…"},
	{"unshare", 1, do_unshare, "user,mount,pid,net,uts,ipc [COMMAND…]"},
	{"nested-pids", 2, do_nested_pids, "DEPTH COMMAND…"},
	{"setns", 1, do_setns, "PATH [KIND]"},
	{"traceme", 0, do_traceme, ""},
	{"trace", 1, do_trace, "attach|seize|poke"},
	{"module", 1, do_module, "init|finit"},
	{"bpf", 1, do_bpf, "NUMBER"},
	{"userfaultfd", 0, do_userfaultfd, ""},
	{"kill", 1, do_kill, "SIGNAL"},
	{"sleep", 1, do_sleep, "MILLISECONDS"},
	{"after", 2, do_after, "MILLISECONDS COMMAND…"},
	{"noop", 0, do_noop, "[ANYTHING…]"},
	{"await", 1, do_await, "COMMAND…"},
	{"hold", 1, do_hold, "COMMAND…"},
	{"repeat", 2, do_repeat, "TIMES COMMAND…"},
};

static const struct command *command_named(const char *name) {
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, name) == 0) return &commands[i];
	return NULL;
}

static int perform(int count, char **words) {
	const struct command *command = command_named(words[0]);
	if (!command) return USAGE;
	if (count - 1 < command->least) {
		fprintf(stderr, "usage: attacker %s %s\n", command->name, command->usage);
		return USAGE;
	}
	return command->perform(words + 1);
}

static int list(void) {
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) printf("%s %s\n", commands[i].name, commands[i].usage);
	return USAGE;
}

int main(int count, char **words) {
	/* A played one has nothing to say. */
	const char *name = strrchr(words[0], '/') ? strrchr(words[0], '/') + 1 : words[0];
	if (count < 2) return strcmp(name, "attacker") == 0 ? list() : DONE;
	if (!command_named(words[1])) return DONE;
	int status = perform(count - 1, words + 1);
	if (status == USAGE) return USAGE;
	printf("{\"command\":\"%s\",\"pid\":%d,\"result\":%ld}\n", words[1], (int)getpid(), last_result);
	return fflush(stdout) == 0 ? status : BROKEN;
}
