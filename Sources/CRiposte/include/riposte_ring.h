// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

// The reading end of a BPF ring buffer (kernel: Documentation/bpf/ringbuf.rst). libbpf's own hands out record by record from one ring after the
// other; we look at the heads of two rings and take the older one, so we read them ourselves. One thread reads a ring.
struct riposte_ring {
	uint64_t *consumer;
	const uint64_t *producer;
	const uint8_t *data;
	uint64_t mask;
	uint64_t position;
	size_t data_bytes;
};

// Maps the ring of a BPF_MAP_TYPE_RINGBUF map of events; `bytes` is its max_entries, 64 KiB at least. 0, or -errno.
int riposte_ring_open(struct riposte_ring *ring, int map, uint32_t bytes);
void riposte_ring_close(struct riposte_ring *ring);

enum riposte_ring_state { RIPOSTE_RING_EMPTY = 0, RIPOSTE_RING_READY = 1, RIPOSTE_RING_BUSY = 2 };

// The oldest record, which stays where it is until riposte_ring_advance. BUSY: it is being written at this moment.
static inline enum riposte_ring_state riposte_ring_peek(struct riposte_ring *ring, const void **record, uint32_t *length)
{
	for (;;) {
		uint64_t produced = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);

		if (ring->position >= produced)
			return RIPOSTE_RING_EMPTY;
		const uint32_t *head = (const uint32_t *)(ring->data + (ring->position & ring->mask));
		uint32_t word = __atomic_load_n(head, __ATOMIC_ACQUIRE);

		if (word & BPF_RINGBUF_BUSY_BIT)
			return RIPOSTE_RING_BUSY;
		*length = word & ~(uint32_t)(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		if (!(word & BPF_RINGBUF_DISCARD_BIT)) {
			*record = (const uint8_t *)head + BPF_RINGBUF_HDR_SZ;
			return RIPOSTE_RING_READY;
		}
		ring->position += (*length + BPF_RINGBUF_HDR_SZ + 7) & ~7ull;
		__atomic_store_n(ring->consumer, ring->position, __ATOMIC_RELEASE);
	}
}

// Gives the oldest record, of that length, back to the kernel. The kernel wakes a sleeping reader only for a record at this very position, so the
// position is told at once, with full order against the look at the producer that follows.
static inline void riposte_ring_advance(struct riposte_ring *ring, uint32_t length)
{
	ring->position += (length + BPF_RINGBUF_HDR_SZ + 7) & ~7ull;
	__atomic_store_n(ring->consumer, ring->position, __ATOMIC_SEQ_CST);
}

// Bytes that wait to be read.
static inline uint64_t riposte_ring_waiting(const struct riposte_ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) - ring->position;
}
