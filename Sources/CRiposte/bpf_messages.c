// SPDX-License-Identifier: Apache-2.0
#include "riposte_bpf.h"

#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

// Written while programs are loaded and attached, which several threads do at once; read when they are done.
static char messages[1024];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int collect(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char line[512];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof(line), format, arguments);
	size_t length = strlen(line);

	pthread_mutex_lock(&lock);
	size_t used = strlen(messages);

	// The end says what was wrong.
	if (used + length >= sizeof(messages)) {
		size_t kept = sizeof(messages) - 1 - length;

		if (kept > used)
			kept = used;
		memmove(messages, messages + used - kept, kept);
		used = kept;
	}
	memcpy(messages + used, line, length + 1);
	pthread_mutex_unlock(&lock);
	return 0;
}

void riposte_collect_bpf_messages(void)
{
	messages[0] = 0;
	libbpf_set_print(collect);
}

const char *riposte_last_bpf_messages(void)
{
	return messages;
}
