/*
 * Makes one request of io_uring, and prints its result: what a program does that makes no system call for it.
 *
 *     requester [HOW…] OPERATION ARGUMENT…
 *
 *     async      by a thread that the kernel makes for it (IOSQE_ASYNC)
 *     silent     without a completion where it succeeds (IOSQE_CQE_SKIP_SUCCESS)
 *     polled     by a thread of the kernel's that looks for requests (IORING_SETUP_SQPOLL)
 *     direct     what is made gets no descriptor, but a place in the ring's own table
 *     fixed      the socket has no descriptor either
 *     abandoned  nobody answers the connect, and its ring is closed meanwhile
 *     again      nobody answers the connect, it is called off, and the next one has a new socket: five times
 *     refused    the connect waits, nobody listens any more by then, and another address stands where its own did
 *     late       a socket of a connection takes what is sent only once the request has waited for that
 *     partial    to a socket of a connection goes more than it takes, and nobody waits for the rest
 *     unread     the address lies where nobody has looked yet
 *     changed    it waits behind another request, and the address is another one by the time that it is its turn
 *
 *     openat PATH FLAGS · openat2 PATH FLAGS · mkdirat PATH · unlinkat PATH · renameat OLD NEW · linkat OLD NEW · symlinkat TARGET PATH
 *     socket · connect PORT · bind PORT · listen · accept PORT · sendmsg PORT TEXT · send PORT TEXT
 *     flood FOLDER COUNT PATH: so many threads, each of which opens a file that is not there, with a long name; meanwhile somebody opens PATH, and waits
 *
 * Ports are those of 127.0.0.1, of datagrams where something is sent. What must be there before is made by calls: sockets, who listens, and the connection
 * that is accepted. Exit status 77: this kernel has no io_uring, or not this operation.
 *
 * Build: gcc -static -O1 -o requester requester.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* enum io_uring_op, of which older headers lack the last. */
enum { OP_SOCKET = 45, OP_BIND = 56, OP_LISTEN = 57 };

static struct io_uring_params parameters;
static char *submissions, *completions;
static struct io_uring_sqe *entries;
static int ring;
static unsigned count;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void *shared(size_t length, off_t place)
{
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, place);

	if (memory == MAP_FAILED)
		fail("mmap of the ring");
	return memory;
}

static void open_ring(bool polled)
{
	if (polled) {
		parameters.flags = IORING_SETUP_SQPOLL;
		parameters.sq_thread_idle = 10000;
	}
	ring = syscall(SYS_io_uring_setup, 4, &parameters);
	if (ring < 0)
		exit(77);
	submissions = shared(parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	completions = shared(parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	entries = shared(parameters.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
}

static void add(struct io_uring_sqe entry)
{
	atomic_uint *tail = (atomic_uint *)(submissions + parameters.sq_off.tail);
	unsigned place = count++ % parameters.sq_entries;

	entries[place] = entry;
	((unsigned *)(submissions + parameters.sq_off.array))[place] = place;
	atomic_store(tail, count);
}

static struct sockaddr_in address_of(const char *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return address;
}

static int socket_of(int type)
{
	int made = socket(AF_INET, type, 0), on = 1;

	if (made < 0 || setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on))
		fail("socket");
	return made;
}

/* Listens at a port; so many wait there at most, and one more. */
static int listening_for(const char *port, int backlog)
{
	struct sockaddr_in address = address_of(port);
	int listener = socket_of(SOCK_STREAM);

	if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, backlog))
		fail("listen");
	return listener;
}

static int listening(const char *port)
{
	return listening_for(port, 4);
}

/* The one end of a connection to a port, which takes no more for now if it is `full`; the other end goes to `other`. */
static int connection(const char *port, bool full, int *other)
{
	static const char block[65536];
	struct sockaddr_in address = address_of(port);
	int listener = listening(port), made = socket_of(SOCK_STREAM);

	if (connect(made, (struct sockaddr *)&address, sizeof address))
		fail("connect");
	*other = accept(listener, NULL, NULL);
	if (*other < 0)
		fail("accept");
	while (full && send(made, block, sizeof block, MSG_DONTWAIT) > 0)
		;
	return made;
}

/* A copy that no page table leads to. */
static void *unread(const void *data, size_t length)
{
	int file = memfd_create("unread", 0);
	void *memory;

	if (file < 0 || write(file, data, length) != (ssize_t)length)
		fail("memfd");
	memory = mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, 0);
	if (memory == MAP_FAILED)
		fail("mmap");
	return memory;
}

static bool is_done(unsigned wanted)
{
	return atomic_load((atomic_uint *)(completions + parameters.cq_off.tail)) >= wanted;
}

static void enter(unsigned submitted, unsigned wanted)
{
	if (syscall(SYS_io_uring_enter, ring, submitted, wanted, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		fail("io_uring_enter");
}

/* Waits for the next completion, and makes room for another one. */
static void reap(void)
{
	atomic_uint *head = (atomic_uint *)(completions + parameters.cq_off.head);

	while (!is_done(atomic_load(head) + 1))
		enter(0, 1);
	atomic_fetch_add(head, 1);
}

static const char *folder;

static void *flooding(void *number)
{
	char name[512];

	snprintf(name, sizeof name, "%s/%0250ld", folder, (long)number);
	add((struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (uintptr_t)name});
	/* From then on the name is the kernel's own. */
	enter(1, 0);
	return NULL;
}

/* Opens a pipe that nobody writes to until all of the others have had their turn. */
static int flood(const char *where, long threads, const char *pipe)
{
	pthread_t thread;

	folder = where;
	open_ring(false);
	add((struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (uintptr_t)pipe, .flags = IOSQE_ASYNC});
	enter(1, 0);
	/* Until a worker waits in it, most likely. */
	usleep(200000);
	for (long i = 0; i < threads; i++) {
		if (pthread_create(&thread, NULL, flooding, (void *)i) || pthread_join(thread, NULL))
			fail("thread");
		reap();
	}
	if (open(pipe, O_WRONLY) < 0)
		fail("open");
	reap();
	return 0;
}

int main(int argc, char **words)
{
	bool async = false, silent = false, polled = false, direct = false, fixed = false, abandoned = false, again = false, refused = false, late = false, partial = false;
	bool is_unread = false, changed = false;
	struct io_uring_sqe entry = {.fd = AT_FDCWD};
	static struct sockaddr_in address, peer;
	static struct open_how how;
	static struct iovec vector;
	static struct msghdr message;
	static socklen_t length = sizeof address;
	int result = 0, socket_at = -1, other = -1, listener = -1, gate[2], table[4] = {-1, -1, -1, -1};
	static char block[8 << 20], byte;
	char **a;

	for (words++; *words; words++) {
		if (!strcmp(*words, "async")) async = true;
		else if (!strcmp(*words, "silent")) silent = true;
		else if (!strcmp(*words, "polled")) polled = true;
		else if (!strcmp(*words, "direct")) direct = true;
		else if (!strcmp(*words, "fixed")) fixed = true;
		else if (!strcmp(*words, "abandoned")) abandoned = true;
		else if (!strcmp(*words, "again")) again = true;
		else if (!strcmp(*words, "refused")) refused = true;
		else if (!strcmp(*words, "late")) late = true;
		else if (!strcmp(*words, "partial")) partial = true;
		else if (!strcmp(*words, "unread")) is_unread = true;
		else if (!strcmp(*words, "changed")) changed = true;
		else break;
	}
	if (!*words)
		return 2;
	a = words + 1;
	if (a[0] && a[0][0] >= '1' && a[0][0] <= '9')
		address = address_of(a[0]);

	if (!strcmp(*words, "openat")) {
		entry.opcode = IORING_OP_OPENAT, entry.addr = (uintptr_t)a[0], entry.open_flags = strtol(a[1], NULL, 0), entry.len = 0640;
	} else if (!strcmp(*words, "openat2")) {
		how.flags = strtol(a[1], NULL, 0), how.mode = how.flags & O_CREAT ? 0640 : 0;
		entry.opcode = IORING_OP_OPENAT2, entry.addr = (uintptr_t)a[0], entry.off = (uintptr_t)&how, entry.len = sizeof how;
	} else if (!strcmp(*words, "mkdirat")) {
		entry.opcode = IORING_OP_MKDIRAT, entry.addr = (uintptr_t)a[0], entry.len = 0750;
	} else if (!strcmp(*words, "unlinkat")) {
		entry.opcode = IORING_OP_UNLINKAT, entry.addr = (uintptr_t)a[0];
	} else if (!strcmp(*words, "renameat")) {
		entry.opcode = IORING_OP_RENAMEAT, entry.addr = (uintptr_t)a[0], entry.len = AT_FDCWD, entry.off = (uintptr_t)a[1];
	} else if (!strcmp(*words, "linkat")) {
		entry.opcode = IORING_OP_LINKAT, entry.addr = (uintptr_t)a[0], entry.len = AT_FDCWD, entry.off = (uintptr_t)a[1];
	} else if (!strcmp(*words, "symlinkat")) {
		entry.opcode = IORING_OP_SYMLINKAT, entry.addr = (uintptr_t)a[0], entry.addr2 = (uintptr_t)a[1];
	} else if (!strcmp(*words, "socket")) {
		entry.opcode = OP_SOCKET, entry.fd = AF_INET, entry.off = SOCK_STREAM;
	} else if (!strcmp(*words, "connect")) {
		bool is_full = abandoned || again || refused;

		listener = listening_for(a[0], is_full ? 0 : 4);
		socket_at = socket_of(SOCK_STREAM);
		for (int i = 0; is_full && i < 3; i++) {
			int waiting = socket_of(SOCK_STREAM | SOCK_NONBLOCK);

			if (connect(waiting, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
				fail("connect");
		}
		entry.opcode = IORING_OP_CONNECT, entry.addr = (uintptr_t)&address, entry.off = sizeof address;
	} else if (!strcmp(*words, "bind")) {
		socket_at = socket_of(SOCK_STREAM);
		entry.opcode = OP_BIND, entry.addr = (uintptr_t)&address, entry.addr2 = sizeof address;
	} else if (!strcmp(*words, "listen")) {
		socket_at = socket_of(SOCK_STREAM);
		entry.opcode = OP_LISTEN, entry.len = 3;
	} else if (!strcmp(*words, "accept")) {
		socket_at = listening(a[0]);
		if (connect(socket_of(SOCK_STREAM), (struct sockaddr *)&address, sizeof address))
			fail("connect");
		entry.opcode = IORING_OP_ACCEPT, entry.addr = (uintptr_t)&peer, entry.addr2 = (uintptr_t)&length;
	} else if (!strcmp(*words, "sendmsg")) {
		socket_at = socket_of(SOCK_DGRAM);
		vector = (struct iovec){a[1], strlen(a[1])};
		message = (struct msghdr){.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &vector, .msg_iovlen = 1};
		entry.opcode = IORING_OP_SENDMSG, entry.addr = (uintptr_t)&message, entry.len = 1;
	} else if (!strcmp(*words, "send") && (late || partial)) {
		socket_at = connection(a[0], late, &other);
		entry.opcode = IORING_OP_SEND, entry.addr = (uintptr_t)a[1], entry.len = strlen(a[1]);
		if (partial) {
			strcpy(block, a[1]);
			entry.addr = (uintptr_t)block, entry.len = sizeof block, entry.msg_flags = MSG_WAITALL | MSG_DONTWAIT;
		}
	} else if (!strcmp(*words, "send")) {
		socket_at = socket_of(SOCK_DGRAM);
		entry.opcode = IORING_OP_SEND, entry.addr = (uintptr_t)a[1], entry.len = strlen(a[1]);
		entry.addr2 = (uintptr_t)(is_unread ? unread(&address, sizeof address) : &address), entry.addr_len = sizeof address;
	} else if (!strcmp(*words, "flood")) {
		return flood(a[0], atoi(a[1]), a[2]);
	} else {
		return 2;
	}

	open_ring(polled);
	if (direct || fixed) {
		if (fixed)
			table[0] = socket_at;
		if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, table, 4))
			fail("io_uring_register");
	}
	if (direct)
		entry.file_index = 3;
	if (socket_at >= 0) {
		entry.fd = fixed ? 0 : socket_at;
		if (fixed) {
			close(socket_at);
			entry.flags |= IOSQE_FIXED_FILE;
		}
	}
	if (async)
		entry.flags |= IOSQE_ASYNC;
	if (silent)
		entry.flags |= IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK;
	if (changed) {
		if (pipe(gate))
			fail("pipe");
		add((struct io_uring_sqe){.opcode = IORING_OP_READ, .fd = gate[0], .addr = (uintptr_t)&byte, .len = 1, .off = -1, .flags = IOSQE_IO_LINK});
	}
	for (int i = 0; again && i < 5; i++) {
		add(entry);
		enter(1, 0);
		add((struct io_uring_sqe){.opcode = IORING_OP_ASYNC_CANCEL, .fd = -1, .addr = entry.user_data});
		enter(1, 0);
		reap();
		reap();
		close(entry.fd);
		/* Until the kernel has room where that socket's file lay, most likely. */
		usleep(100000);
		entry.fd = socket_of(SOCK_STREAM);
	}
	if (again)
		return 0;
	add(entry);
	if (abandoned) {
		enter(1, 0);
		return is_done(1) ? 1 : 0;
	}
	if (refused) {
		enter(1, 0);
		address = address_of("1");
		close(listener);
		reap();
		return 0;
	}
	if (late) {
		enter(1, 0);
		while (!is_done(1)) {
			while (recv(other, block, sizeof block, MSG_DONTWAIT) > 0)
				;
			enter(0, 0);
		}
		return 0;
	}
	if (changed) {
		enter(2, 0);
		address.sin_port = htons(1);
		if (write(gate[1], &byte, 1) != 1)
			fail("write");
		enter(0, 2);
		return 0;
	}
	/* Done behind the other one, and told. */
	if (silent)
		add((struct io_uring_sqe){.opcode = IORING_OP_NOP});
	if (syscall(SYS_io_uring_enter, ring, polled ? 0 : count, 1, IORING_ENTER_GETEVENTS | (polled ? IORING_ENTER_SQ_WAKEUP : 0), NULL, 0) < 0)
		fail("io_uring_enter");
	result = ((struct io_uring_cqe *)(completions + parameters.cq_off.cqes))->res;
	printf("%d\n", result);
	return 0;
}
