// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "riposte_bpf.h"

#include <fcntl.h>
#include <unistd.h>

// linux/lsm.h and asm-generic/unistd.h of 6.8, which older headers lack.
#define LSM_LIST_MODULES 461
#define BPF_MODULE 110

static bool is_in_list(const char *list, size_t length)
{
	size_t start = 0;

	for (size_t i = 0; i <= length; i++) {
		if (i < length && list[i] != ',' && list[i] != '\n')
			continue;
		if (i - start == 3 && !memcmp(list + start, "bpf", 3))
			return true;
		start = i + 1;
	}
	return false;
}

bool riposte_bpf_lsm_is_active(void)
{
	uint64_t modules[32];
	uint32_t size = sizeof(modules);
	long count = syscall(LSM_LIST_MODULES, modules, &size, 0);
	char list[512];
	ssize_t length;
	int file;

	for (long i = 0; i < count && i < 32; i++)
		if (modules[i] == BPF_MODULE)
			return true;
	if (count >= 0)
		return false;
	file = open("/sys/kernel/security/lsm", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	length = read(file, list, sizeof(list));
	close(file);
	return length > 0 && is_in_list(list, (size_t)length);
}
