// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "riposte_ring.h"
#include "riposte_sensor.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Whole pages, of any size that there is, that hold the longest record.
#define OVERHANG_BYTES 65536
_Static_assert(RIPOSTE_EVENT_BYTES + BPF_RINGBUF_HDR_SZ <= OVERHANG_BYTES, "a record may begin at the last byte of the ring");

int riposte_ring_open(struct riposte_ring *ring, int map, uint32_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	memset(ring, 0, sizeof(*ring));
	// First our own position, then, read only, the kernel's, and the data, with the beginning of it once more behind its end, so that no record is cut in
	// two. The kernel would show all of it twice, but whatever is mapped counts as resident.
	ring->consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (ring->consumer == MAP_FAILED)
		return -errno;
	ring->data_bytes = page + (size_t)bytes + OVERHANG_BYTES;
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
