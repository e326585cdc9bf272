/*
 * The floor: the least that a program can do between an alert and a dead process. It reads a line from a Unix stream socket, finds
 * `"proc.pid":` in it, and kills that process through a pidfd. No JSON, no playbook, no proof of who the process is, no guard, no journal.
 *
 * Usage: floor SOCKET
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* glibc has wrappers for these two only since 2.36. */
static void kill_process(pid_t pid) {
    int descriptor = syscall(SYS_pidfd_open, pid, 0);
    if (descriptor < 0) return;
    syscall(SYS_pidfd_send_signal, descriptor, SIGKILL, NULL, 0);
    close(descriptor);
}

static void answer(const char *line) {
    static const char key[] = "\"proc.pid\":";
    const char *place = strstr(line, key);
    long pid = place ? strtol(place + sizeof key - 1, NULL, 10) : 0;
    if (pid > 1) kill_process(pid);
}

static void serve(int connection) {
    static char buffer[1 << 20];
    size_t length = 0;
    for (;;) {
        ssize_t count = read(connection, buffer + length, sizeof buffer - 1 - length);
        if (count <= 0) return;
        length += count;
        buffer[length] = 0;
        char *line = buffer, *end;
        while ((end = memchr(line, '\n', buffer + length - line))) {
            *end = 0;
            answer(line);
            line = end + 1;
        }
        length -= line - buffer;
        memmove(buffer, line, length);
    }
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: floor SOCKET\n");
        return 2;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, arguments[1], sizeof address.sun_path - 1);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) fail("socket");
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    if (listen(listener, 1) < 0) fail("listen");
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection < 0) fail("accept");
        serve(connection);
        close(connection);
    }
}
