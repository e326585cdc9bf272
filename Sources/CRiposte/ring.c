// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "riposte_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int riposte_ring_open(struct riposte_ring *ring, int map, uint32_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	memset(ring, 0, sizeof(*ring));
	// First our own position, then, read only, the kernel's, and the data twice in a row so that no record is cut in two.
	ring->consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (ring->consumer == MAP_FAILED)
		return -errno;
	ring->data_bytes = page + 2 * (size_t)bytes;
	ring->producer = mmap(NULL, ring->data_bytes, PROT_READ, MAP_SHARED, map, (off_t)page);
	if (ring->producer == MAP_FAILED) {
		int code = -errno;

		munmap(ring->consumer, page);
		memset(ring, 0, sizeof(*ring));
		return code;
	}
	ring->data = (const uint8_t *)ring->producer + page;
	ring->mask = bytes - 1;
	ring->position = __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
	return 0;
}

void riposte_ring_close(struct riposte_ring *ring)
{
	if (!ring->data)
		return;
	munmap(ring->consumer, (size_t)sysconf(_SC_PAGESIZE));
	munmap((void *)ring->producer, ring->data_bytes);
	memset(ring, 0, sizeof(*ring));
}
