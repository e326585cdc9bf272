/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Putting items behind the header of the event that is being built. Each returns the place of its data in the event, or 0. */
#ifndef RIPOSTE_ITEMS_H
#define RIPOSTE_ITEMS_H

#define ITEM_ROOM (RIPOSTE_EVENT_BYTES - RIPOSTE_PATH_BYTES - 64)	/* an item that begins here always has its room */

/* Place of the next item's data, 0: the event is full. */
static __always_inline u32 item_begin(struct work *work)
{
	u64 size = work->size;

	BOUND(size, 0x7fff);
	if (size > ITEM_ROOM)
		goto full;
	LAUNDER(size);
	if (size < sizeof(struct riposte_event))
		goto full;
	return size + sizeof(struct riposte_item);
full:
	work->flags |= RIPOSTE_FLAG_CUT;
	return 0;
}

/* The data is at `at`; writes what stands before and behind it. `length` may be RIPOSTE_PATH_BYTES at most. */
static __always_inline void item_end(struct work *work, struct event *event, u32 at, u32 type, u32 length, u32 detail)
{
	struct riposte_item *item;
	u64 *padding, end;

	if (at > ITEM_ROOM + sizeof(struct riposte_item) || at < sizeof(struct riposte_item) || length > RIPOSTE_PATH_BYTES)
		return;
	item = (struct riposte_item *)&event->bytes[at - sizeof(struct riposte_item)];
	item->type = type;
	item->length = length;
	item->detail = detail;
	end = at + length;
	AT_MOST(end, RIPOSTE_EVENT_BYTES - 8);
	padding = (u64 *)&event->bytes[end];
	LAUNDER(padding);
	*padding = 0;	/* what is too much is written over by the next item */
	work->size = (at + length + 7) & ~7;
	work->item_length = length;
}

/* A text of user memory that ends with NUL. RIPOSTE_FLAG_FAULT where it cannot be read; a null pointer is just no item. */
__noinline int put_user_text(u32 room, u32 type, u64 address)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	long length;
	u32 at;

	if (!work || !event || !address)
		return 0;
	at = item_begin(work);
	if (!at)
		return 0;
	length = bpf_probe_read_user_str(&event->bytes[at], RIPOSTE_PATH_BYTES + 1, (void *)address);
	if (length <= 0) {
		work->flags |= RIPOSTE_FLAG_FAULT;
		return 0;
	}
	length--;
	if (length >= RIPOSTE_PATH_BYTES) {
		length = RIPOSTE_PATH_BYTES;
		work->flags |= RIPOSTE_FLAG_CUT;
	}
	item_end(work, event, at, type, length, 0);
	return at;
}

/* The same of kernel memory. */
__noinline int put_kernel_text(u32 room, u32 type, u64 address)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	long length;
	u32 at;

	if (!work || !event || !address)
		return 0;
	at = item_begin(work);
	if (!at)
		return 0;
	length = bpf_probe_read_kernel_str(&event->bytes[at], RIPOSTE_PATH_BYTES + 1, (void *)address);
	if (length <= 0)
		return 0;
	length--;
	if (length >= RIPOSTE_PATH_BYTES) {
		length = RIPOSTE_PATH_BYTES;
		work->flags |= RIPOSTE_FLAG_CUT;
	}
	item_end(work, event, at, type, length, 0);
	return at;
}

/* An item of nothing: it is known that there is nothing, so user space need not look for it. */
__noinline int put_empty(u32 room, u32 type)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	u32 at;

	if (!work || !event)
		return 0;
	at = item_begin(work);
	if (at)
		item_end(work, event, at, type, 0, 0);
	return at;
}

/* Bytes of user memory, `length` of them, RIPOSTE_TEXT_BYTES at most. */
__noinline int put_user_bytes(u32 room, u32 type, u64 address, u32 length)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	u64 count = length;
	u32 at;

	if (!work || !event || !address || !length)
		return 0;
	at = item_begin(work);
	if (!at)
		return 0;
	AT_MOST(count, RIPOSTE_TEXT_BYTES);
	if (bpf_probe_read_user(&event->bytes[at], count, (void *)address)) {
		u64 page = 4096 - (address & 4095);

		/* Half of it may be there: what is in the first page. */
		if (page >= count || bpf_probe_read_user(&event->bytes[at], page, (void *)address)) {
			work->flags |= RIPOSTE_FLAG_FAULT;
			return 0;
		}
		count = page;
		work->flags |= RIPOSTE_FLAG_CUT;
	}
	item_end(work, event, at, type, count, 0);
	return at;
}

/* Bytes of kernel memory, the same. */
__noinline int put_kernel_bytes(u32 room, u32 type, u64 address, u32 length, u32 detail)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	u64 count = length;
	u32 at;

	if (!work || !event || !address || !length)
		return 0;
	at = item_begin(work);
	if (!at)
		return 0;
	AT_MOST(count, RIPOSTE_TEXT_BYTES);
	if (bpf_probe_read_kernel(&event->bytes[at], count, (void *)address))
		return 0;
	item_end(work, event, at, type, count, detail);
	return at;
}

/*
 * What the walk has written into work->path. Where that is the end of something longer, the slash that it begins with is left out: what lies in a deep
 * enough folder would else bear whatever absolute path its owner likes.
 */
static __always_inline u32 put_walked(struct work *work, struct event *event, u32 type, u32 detail)
{
	u32 at = item_begin(work);
	u64 from = work->walk.at, length;

	if (!at)
		return 0;
	if (work->walk.cut) {
		work->flags |= RIPOSTE_FLAG_CUT;
		if (type != RIPOSTE_ITEM_CGROUP)
			from++;
	}
	if (from >= RIPOSTE_PATH_BYTES) {
		event->bytes[at] = '/';
		length = 1;
	} else {
		length = RIPOSTE_PATH_BYTES - from;
		BOUND(from, RIPOSTE_PATH_BYTES - 1);
		AT_MOST(length, RIPOSTE_PATH_BYTES);
		/* Reads up to PATH_SLACK bytes past the text at most: the verifier knows nothing of from + length. */
		bpf_probe_read_kernel(&event->bytes[at], length, &work->path[from]);
	}
	item_end(work, event, at, type, length, detail);
	return at;
}

#endif
