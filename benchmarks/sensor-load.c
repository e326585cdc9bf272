/*
 * What a sensor is measured with: harmless calls in loops, programs started one after another, and programs that are to be caught. Each command
 * prints JSON lines. Nothing is bound to a core, and nothing is touched but the paths that are given; connections go to a listener of its own on
 * loopback.
 *
 *     sensor-load calls COUNT PATH             nanoseconds per call: open_close, stat, read, connect, getppid
 *     sensor-load spawn COUNT PROGRAM          nanoseconds per program, from vfork to the end of waitpid
 *     sensor-load saturate SECONDS PATH        two processes that open and close: {"calls","seconds"}, calls being opens
 *     sensor-load executions COUNT GAP PROGRAM each {"pid","exec_ns"}, CLOCK_REALTIME right before execve; GAP in microseconds between them
 *     sensor-load victims COUNT GAP PROGRAM    the same with {"dead_ns","printed","killed"}: PROGRAM writes a byte and waits to be killed
 *
 * Called `victim` it is such a program, called `observed` one that ends at once.
 * Build: gcc -static -O2 -o sensor-load sensor-load.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long a victim may live. */
enum { PATIENCE_MILLISECONDS = 2000 };

static void fail(const char *what) {
	perror(what);
	exit(1);
}

static int64_t now(clockid_t clock) {
	struct timespec time;
	clock_gettime(clock, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void wait_microseconds(long count) {
	struct timespec span = {count / 1000000, count % 1000000 * 1000};
	nanosleep(&span, NULL);
}

// ---------------------------------------------------------------- calls

struct subject {
	const char *path;
	int file;
	struct sockaddr_in server;
	int listener;
};

static void open_close(struct subject *subject) {
	int file = syscall(SYS_openat, AT_FDCWD, subject->path, O_RDONLY | O_CLOEXEC);
	if (file < 0) fail(subject->path);
	close(file);
}

static void stat_path(struct subject *subject) {
	struct stat facts;
	if (fstatat(AT_FDCWD, subject->path, &facts, 0) < 0) fail("stat");
}

static void read_byte(struct subject *subject) {
	char byte;
	if (pread(subject->file, &byte, 1, 0) < 0) fail("pread");
}

/* Connecting to a full backlog would wait, so the connection is taken and closed; that is part of what a connection costs. */
static void connect_loopback(struct subject *subject) {
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct linger at_once = {1, 0};
	setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	if (connect(client, (struct sockaddr *)&subject->server, sizeof subject->server) < 0) fail("connect");
	int server = accept(subject->listener, NULL, NULL);
	close(client);
	close(server);
}

static void getppid_only(struct subject *subject) {
	(void)subject;
	syscall(SYS_getppid);
}

static struct subject subject_at(const char *path) {
	struct subject subject = {.path = path, .file = open(path, O_RDONLY | O_CLOEXEC), .server = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}}};
	socklen_t length = sizeof subject.server;
	subject.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (subject.file < 0) fail(path);
	if (bind(subject.listener, (struct sockaddr *)&subject.server, length) < 0 || listen(subject.listener, 16) < 0) fail("listen");
	getsockname(subject.listener, (struct sockaddr *)&subject.server, &length);
	return subject;
}

/* The best of ten parts: what disturbed the others is not what is measured. */
static double nanoseconds_per_call(void (*call)(struct subject *), struct subject *subject, long count) {
	double best = 0;
	long part = count / 10 > 0 ? count / 10 : 1;
	for (int turn = 0; turn < 10; turn++) {
		int64_t began = now(CLOCK_MONOTONIC);
		for (long i = 0; i < part; i++) call(subject);
		double cost = (double)(now(CLOCK_MONOTONIC) - began) / part;
		if (turn == 0 || cost < best) best = cost;
	}
	return best;
}

static int measure_calls(long count, const char *path) {
	static const struct { const char *name; void (*call)(struct subject *); int divisor; } calls[] = {
		{"open_close", open_close, 1}, {"stat", stat_path, 1}, {"read", read_byte, 1}, {"connect", connect_loopback, 20}, {"getppid", getppid_only, 1},
	};
	struct subject subject = subject_at(path);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		calls[i].call(&subject);
		printf("%s\"%s\":%.1f", i ? "," : "{", calls[i].name, nanoseconds_per_call(calls[i].call, &subject, count / calls[i].divisor));
	}
	printf("}\n");
	return 0;
}

// ---------------------------------------------------------------- programs

static pid_t started(const char *program, int output, int64_t *exec_time) {
	/* The child writes into our memory: vfork. */
	pid_t child = vfork();
	if (child == 0) {
		char *words[] = {(char *)program, NULL}, *environment[] = {NULL};
		if (output >= 0) dup2(output, STDOUT_FILENO);
		*exec_time = now(CLOCK_REALTIME);
		execve(program, words, environment);
		_exit(127);
	}
	if (child < 0) fail("vfork");
	return child;
}

static int measure_spawn(long count, const char *program) {
	double best = 0, total = 0;
	for (long i = 0; i < count; i++) {
		int64_t unused, began = now(CLOCK_MONOTONIC);
		int status;
		waitpid(started(program, -1, &unused), &status, 0);
		double cost = now(CLOCK_MONOTONIC) - began;
		total += cost;
		if (i == 0 || cost < best) best = cost;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 127) fail(program);
	}
	printf("{\"spawn\":%.0f,\"spawn_best\":%.0f}\n", total / count, best);
	return 0;
}

static int measure_executions(long count, long gap, const char *program) {
	for (long i = 0; i < count; i++) {
		int64_t exec_time;
		pid_t child = started(program, -1, &exec_time);
		waitpid(child, NULL, 0);
		printf("{\"pid\":%d,\"exec_ns\":%lld}\n", (int)child, (long long)exec_time);
		/* Whoever reads along knows at once. */
		fflush(stdout);
		wait_microseconds(gap);
	}
	return 0;
}

/* Dead by itself within the time, and when. What lives longer is killed by us. */
static bool dies(pid_t child, int64_t *when) {
	int descriptor = syscall(SYS_pidfd_open, child, 0);
	struct pollfd end = {descriptor, POLLIN, 0};
	bool in_time = poll(&end, 1, PATIENCE_MILLISECONDS) == 1;
	*when = now(CLOCK_REALTIME);
	if (!in_time) kill(child, SIGKILL);
	close(descriptor);
	return in_time;
}

static int measure_victims(long count, long gap, const char *program) {
	for (long i = 0; i < count; i++) {
		int output[2], status;
		if (pipe2(output, O_CLOEXEC) < 0) fail("pipe2");
		int64_t exec_time, dead_time;
		pid_t child = started(program, output[1], &exec_time);
		close(output[1]);
		bool killed = dies(child, &dead_time);
		waitpid(child, &status, 0);
		char byte;
		bool printed = read(output[0], &byte, 1) == 1;
		close(output[0]);
		printf("{\"pid\":%d,\"exec_ns\":%lld,\"dead_ns\":%lld,\"printed\":%s,\"killed\":%s}\n", (int)child, (long long)exec_time, (long long)dead_time,
			printed ? "true" : "false", killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? "true" : "false");
		fflush(stdout);
		if (gap > 0) wait_microseconds(gap);
	}
	return 0;
}

// ---------------------------------------------------------------- saturation

static int saturate(double seconds, const char *path) {
	enum { PROCESSES = 2 };
	/* Counts on cache lines of their own. */
	volatile long *counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED) fail("mmap");
	struct subject subject = {.path = path};
	int64_t began = now(CLOCK_MONOTONIC), deadline = began + (int64_t)(seconds * 1e9);
	for (int i = 0; i < PROCESSES; i++) {
		if (fork() != 0) continue;
		long own = 0;
		while (now(CLOCK_MONOTONIC) < deadline)
			for (int turn = 0; turn < 256; turn++, own++) open_close(&subject);
		counts[i * 64] = own;
		_exit(0);
	}
	for (int i = 0; i < PROCESSES; i++) wait(NULL);
	double taken = (now(CLOCK_MONOTONIC) - began) / 1e9;
	printf("{\"calls\":%ld,\"seconds\":%.3f}\n", counts[0] + counts[64], taken);
	return 0;
}

int main(int count, char **words) {
	const char *slash = strrchr(words[0], '/'), *name = slash ? slash + 1 : words[0];
	if (strcmp(name, "observed") == 0) return 0;
	if (strcmp(name, "victim") == 0) {
		if (write(STDOUT_FILENO, "!", 1) != 1) return 1;
		for (;;) pause();
	}
	const char *command = count > 1 ? words[1] : "";
	if (count == 4 && strcmp(command, "calls") == 0) return measure_calls(atol(words[2]), words[3]);
	if (count == 4 && strcmp(command, "spawn") == 0) return measure_spawn(atol(words[2]), words[3]);
	if (count == 4 && strcmp(command, "saturate") == 0) return saturate(atof(words[2]), words[3]);
	if (count == 5 && strcmp(command, "executions") == 0) return measure_executions(atol(words[2]), atol(words[3]), words[4]);
	if (count == 5 && strcmp(command, "victims") == 0) return measure_victims(atol(words[2]), atol(words[3]), words[4]);
	fprintf(stderr, "usage: sensor-load calls COUNT PATH | spawn COUNT PROGRAM | saturate SECONDS PATH | executions COUNT GAP PROGRAM | victims COUNT GAP PROGRAM\n");
	return 2;
}
