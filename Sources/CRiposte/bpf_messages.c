// SPDX-License-Identifier: Apache-2.0
#include "riposte_bpf.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>

// Written while programs are loaded and attached; what one thread meets is no other's.
static _Thread_local char messages[1024];

static int collect(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t used = strlen(messages);
	char line[512];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof(line), format, arguments);
	size_t length = strlen(line);

	// The end says what was wrong.
	if (used + length >= sizeof(messages)) {
		size_t kept = sizeof(messages) - 1 - length;

		if (kept > used)
			kept = used;
		memmove(messages, messages + used - kept, kept);
		used = kept;
	}
	memcpy(messages + used, line, length + 1);
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
