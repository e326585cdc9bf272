/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Whether an event can matter: see "filters" in riposte_sensor.h for what is worked out here.
 *
 * Cheap things come first: numbers in registers, then what needs user memory, then names, then what needs a walk through the task. Behind each step the
 * clauses are looked at anew; where none can hold any more the event is dropped, and atoms that only dead clauses ask for are not worked out at all.
 */
#ifndef RIPOSTE_FILTER_H
#define RIPOSTE_FILTER_H

#define O_WRONLY 1
#define O_CREAT 0100
#define O_EXCL 0200
#define O_NOCTTY 0400
#define O_TRUNC 01000
#define O_CLOEXEC 02000000
#define FLAGS_OF_CALL (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)	/* those that the kernel does not keep with the file */
#define PREFIX_TEXT (RIPOSTE_PREFIX_BYTES - 7)

#define LAST_SYSTEM_UID 999	/* of accounts that services run as, and nobody logs in with */

#define SOURCE(name) (1u << RIPOSTE_NUMBER_##name)
#define SOURCES_ADDRESS (SOURCE(FAMILY) | SOURCE(REMOTE_PORT))
#define SOURCES_DESCRIPTOR (SOURCE(PROTOCOL) | SOURCE(FILE_KIND))
#define SOURCES_TASK (SOURCE(UID) | SOURCE(LOGINUID) | SOURCE(CONTAINER) | SOURCE(TTY) | SOURCE(CAP_EFFECTIVE) | SOURCE(CAP_PERMITTED) | SOURCE(VPID) \
	| SOURCE(NAME_HEAD) | SOURCE(NAME_TAIL))

static __always_inline struct riposte_filter *filter_of(struct work *work)
{
	u32 index = (work->generation & 1) * RIPOSTE_FILTERS + work->filter;

	return bpf_map_lookup_elem(&filters, &index);
}

static __always_inline void know(struct work *work, u32 source, u64 value)
{
	work->values[source] = value;
	work->known |= 1u << source;
}

/* All bits where the value is not zero. Without a branch: in a loop each would double the verifier's work. */
static __always_inline u64 mask_if(u64 value)
{
	s64 mask = value | -value;

	asm volatile("%0 s>>= 63" : "+r"(mask));
	return mask;
}

/* Of all atoms in `group` those in `holding` hold, the others do not. */
static __always_inline void decide(struct work *work, u64 group, u64 holding)
{
	holding &= group;
	work->can = (work->can & ~group) | holding;
	work->must = (work->must & ~group) | holding;
}

/* The number tests whose source is among `sources` and known; one of a value that the event cannot have, as the port of a Unix socket, does not hold. */
__noinline int test_numbers(u32 room, u32 sources)
{
	struct work *work = work_of(room);
	struct riposte_filter *filter;
	u64 can, must;
	u32 count, absent;

	if (!work)
		return 0;
	filter = filter_of(work);
	if (!filter)
		return 0;
	absent = work->absent;
	sources &= work->known | absent;
	can = work->can;
	must = work->must;
	count = filter->number_count;
	for (u32 i = 0; i < RIPOSTE_NUMBERS; i++) {
		struct riposte_number_test *test = &filter->numbers[i];
		u32 source = test->source & 31;
		u64 bit = 1ULL << (test->atom & 63);
		s64 value;
		bool holds;

		if (i >= count)
			break;
		if (!(sources >> source & 1))
			continue;
		if (absent >> source & 1) {
			can &= ~bit;
			continue;
		}
		value = work->values[source] & test->mask;
		if (test->operation == RIPOSTE_IS_EQUAL)
			holds = value == test->number;
		else if (test->operation == RIPOSTE_HAS_ANY)
			holds = value != 0;
		else if (test->operation == RIPOSTE_IS_LESS)
			holds = value < test->number;
		else
			holds = value > test->number;
		if (holds)
			must |= bit;
		else
			can &= ~bit;
	}
	work->can = can;
	work->must = must;
	return 0;
}

/*
 * Goes over the clauses. work->relevant: the open questions of those that may still hold; work->passes: one of them decides that the event passes, unless
 * it turns out not to hold; work->reflex: that of the first clause which surely holds, but for work->skipped. 0: none may hold. Before a call only the
 * clauses for that count.
 */
__noinline int settle(u32 room)
{
	struct work *work = work_of(room);
	struct riposte_filter *filter;
	u64 can, must, skipped, before, relevant = 0, passes = 0, reflex = 0;
	u32 count, alive = 0;

	if (!work)
		return 0;
	filter = filter_of(work);
	if (!filter)
		return 0;
	before = work->before;
	skipped = work->skipped;
	can = work->can;
	must = work->must;
	count = filter->clause_count;
	for (u32 i = 0; i < RIPOSTE_CLAUSES; i++) {
		struct riposte_clause *clause = &filter->clauses[i];
		u64 positive = clause->positive, negative = clause->negative, own, acts;

		if (i >= count)
			break;
		if ((positive & ~can) | (negative & must) | (before & ~mask_if(clause->before & before)))
			continue;
		/* No branch from here on: each would double what the verifier has to look at. */
		alive = 1;
		relevant |= positive | negative;
		own = clause->reflex;
		passes |= ~mask_if(own);
		acts = mask_if(own) & ~mask_if((positive & ~must) | (negative & can) | (skipped >> ((own - 1) & 63) & 1) | reflex);
		reflex |= own & acts;
	}
	work->passes = passes & 1;
	work->reflex = reflex;
	work->relevant = relevant & can & ~must;
	return alive;
}

/* The sources of number tests whose atoms are still open and asked for. */
__noinline int open_sources(u32 room)
{
	struct work *work = work_of(room);
	struct riposte_filter *filter;
	u64 relevant;
	u32 count, sources = 0;

	if (!work)
		return 0;
	filter = filter_of(work);
	if (!filter)
		return 0;
	relevant = work->relevant;
	count = filter->number_count;
	for (u32 i = 0; i < RIPOSTE_NUMBERS; i++) {
		if (i >= count)
			break;
		if (relevant >> (filter->numbers[i].atom & 63) & 1)
			sources |= 1u << (filter->numbers[i].source & 31);
	}
	return sources & ~(work->known | work->absent);
}

/* ---------------------------------------------------------------- texts */

#define BYTES(value) (0x0101010101010101ULL * (value))

/* The high bit of each byte that is zero. */
static __always_inline u64 zero_bytes(u64 word)
{
	return ~(((word & BYTES(0x7f)) + BYTES(0x7f)) | word | BYTES(0x7f));
}

static __always_inline u32 highest_byte(u64 mask)
{
	u32 at = 0;

	if (mask >> 32) {
		mask >>= 32;
		at += 4;
	}
	if (mask >> 16) {
		mask >>= 16;
		at += 2;
	}
	if (mask >> 8)
		at += 1;
	return at;
}

static __always_inline u32 lowest_byte(u64 mask)
{
	return highest_byte(mask & -mask);
}

/* One word of a text; behind its end are zeros up to the next word, as behind every item. */
static __always_inline u64 word_of(struct event *event, u32 at, u32 i)
{
	u32 place = at + i * 8;

	BOUND(place, 0x7ff8);
	return event->words[place / 8];
}

/*
 * What examine_text() remembers from word to word. It lies in memory because there the verifier does not follow it: else every word would double the
 * states that it has to look at.
 */
static __always_inline void forget(struct scan *scan)
{
	__builtin_memset(scan, 0, sizeof(*scan));
}

/* Looks over SCAN_WORDS words of a text, from word `from` on. True: that was its end. */
static __always_inline bool scan_words(struct scan *scan, struct event *event, u32 at, u32 from, u32 length)
{
	for (u32 step = 0; step < SCAN_WORDS; step++) {
		u64 word, slashes, dots, any;
		u32 i = from + step;

		if (i * 8 >= length)
			return true;
		word = word_of(event, at, i);
		slashes = zero_bytes(word ^ BYTES('/'));
		dots = zero_bytes(word ^ BYTES('.'));
		scan->odd |= ((slashes << 8 | scan->slashes >> 56) & (slashes | dots)) | ((dots << 8 | scan->dots >> 56) & dots);
		scan->slashes = slashes;
		scan->dots = dots;
		any = mask_if(slashes);
		scan->last_word = (scan->last_word & ~any) | (i & any);
		scan->last_slashes = (scan->last_slashes & ~any) | slashes;
	}
	return false;
}

/* A piece of a text that is longer than one. */
__noinline int scan_piece(u32 room, u32 at, u32 from, u32 length)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);

	if (!work || !event || from > RIPOSTE_PATH_BYTES)
		return 1;
	return scan_words(&work->scan, event, at, from, length);
}

/*
 * Looks over a path in the event, eight bytes at a time. Sets work->text_normal where it begins with `/` and joining it to a directory would not change it,
 * and where its last component is: work->name_length 0 for none, `.` and `..`. Normal is what KernelFilter.Facts.isPlain calls plain, to the byte, since
 * filters are made so that what is not plain passes: no `//`, no `/.`, no `..`, no `/` at the end.
 */
__noinline int examine_text(u32 room, u32 at, u32 length)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct scan *scan;
	u32 name = 0, odd;
	u64 place;

	if (!work || !event)
		return 0;
	work->text_normal = 0;
	work->name_length = 0;
	if (!length || length > RIPOSTE_PATH_BYTES || at > ITEM_ROOM + sizeof(struct riposte_item))
		return 0;
	scan = &work->scan;
	forget(scan);
	if (!scan_words(scan, event, at, 0, length)) {
		for (u32 piece = 1; piece < SCAN_PIECES; piece++)
			if (scan_piece(room, at, piece * SCAN_WORDS, length))
				break;
	}
	if (scan->last_slashes)
		name = scan->last_word * 8 + highest_byte(scan->last_slashes) + 1;
	place = at;
	BOUND(place, 0x7fff);
	odd = event->bytes[place] != '/' || scan->odd;
	work->name_at = at + name;
	work->name_length = length - name;
	if (!work->name_length)
		return 0;
	place = at + name;
	AT_MOST(place, RIPOSTE_EVENT_BYTES - 8);
	if (event->bytes[place] == '.' && (length - name == 1 || (length - name == 2 && event->bytes[place + 1] == '.')))
		work->name_length = 0;
	else
		work->text_normal = !odd;
	return 0;
}

/* A key without its text. */
static __always_inline void begin_name(struct work *work, struct riposte_name_key *key, u32 subject, u32 length)
{
	u64 *words = (u64 *)key;

#pragma unroll
	for (int i = 1; i < 8; i++)
		words[i] = 0;
	words[0] = (work->generation & 1) | work->filter << 8 | subject << 16 | length << 24;
}

static __always_inline u64 find_name(struct riposte_name_key *key)
{
	u64 *atoms = bpf_map_lookup_elem(&names, key);

	return atoms ? *atoms : 0;
}

/* Atoms that hold for a text at a place of the event. The key stays in work->name_key. */
__noinline u64 find_text(u32 room, u32 subject, u32 at, u32 length)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	u64 start = at;

	if (!work || !event)
		return 0;
	begin_name(work, &work->name_key, subject, length);
	if (length > RIPOSTE_NAME_BYTES)
		return 0;
	AT_MOST(start, RIPOSTE_EVENT_BYTES - 64);
	for (u64 i = 0; i < 8; i++) {
		u64 *from = (u64 *)&event->bytes[start + i * 8], *to = (u64 *)&work->name_key.text[i * 8];
		u32 left = length - i * 8;
		u64 word;

		if (i * 8 >= length)
			break;
		LAUNDER(from);
		LAUNDER(to);
		word = *from;
		if (left < 8)
			word &= ~0ULL >> (64 - 8 * left);
		if (i < 7)
			*to = word;
		else
			*(u32 *)to = word;
	}
	return find_name(&work->name_key);
}

/* The same for a dentry's name. Where it is the one in work->name_key, which it mostly is, what that had is returned. */
static __always_inline u64 find_dentry(struct work *work, u32 subject, u64 address, u64 given)
{
	u64 *one = (u64 *)&work->name_key, *other = (u64 *)&work->other_key, differences = 0;
	struct name_part part;
	u32 length;

	read_part(&part, address);
	length = part.length;
	if (length > RIPOSTE_NAME_BYTES)
		return 0;
	begin_name(work, &work->other_key, subject, length);
	bpf_probe_read_kernel(work->other_key.text, length, (void *)part.name);
#pragma unroll
	for (int i = 0; i < 8; i++)
		differences |= one[i] ^ other[i];
	if (!differences)
		return given;
	return find_name(&work->other_key);
}

/* The current task's comm; of a request the name that fetch_name() finds. */
static __always_inline void read_own_comm(u32 room, struct work *work, u64 *comm)
{
	if (work->flags & RIPOSTE_FLAG_REQUEST) {
		fetch_name(room);
		comm[0] = work->comm[0];
		comm[1] = work->comm[1];
		return;
	}
	bpf_get_current_comm(comm, 16);
}

/* The same for that. */
static __always_inline u64 find_own_comm(u32 room, struct work *work, u32 subject)
{
	u64 comm[2] = {}, ends;

	read_own_comm(room, work, comm);
	ends = zero_bytes(comm[0]);
	begin_name(work, &work->name_key, subject, ends ? lowest_byte(ends) : 8 + lowest_byte(zero_bytes(comm[1])));
	__builtin_memcpy(work->name_key.text, comm, sizeof(comm));
	return find_name(&work->name_key);
}

/* The same for another task's. */
__noinline u64 find_comm(u32 room, u32 subject, u64 address)
{
	struct work *work = work_of(room);
	struct task_struct *task = (void *)address;
	long length;

	if (!work)
		return 0;
	begin_name(work, &work->name_key, subject, 0);
	length = bpf_probe_read_kernel_str(work->name_key.text, 16, __builtin_preserve_access_index(&task->comm));
	if (length > 0)
		work->name_key.length = length - 1;
	return find_name(&work->name_key);
}

/* One word of what the walk has written. */
static __always_inline u64 walked_word(struct work *work, u32 i)
{
	u32 place = work->walk.at + i * 8;
	u64 *word;

	BOUND(place, RIPOSTE_PATH_BYTES - 1);
	word = (u64 *)&work->path[place];
	LAUNDER(word);
	return *word;
}

/* Of whole words, SCAN_WORDS from `from` on and `count` in all: are the text in the event and what the walk has written not the same? */
static __always_inline bool words_differ(struct work *work, struct event *event, u32 at, u32 from, u32 count)
{
	u64 differences = 0;

	for (u32 step = 0; step < SCAN_WORDS; step++) {
		if (from + step >= count)
			break;
		differences |= word_of(event, at, from + step) ^ walked_word(work, from + step);
	}
	return differences != 0;
}

__noinline int piece_differs(u32 room, u32 at, u32 from, u32 count)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);

	if (!work || !event || from > RIPOSTE_PATH_BYTES)
		return 1;
	return words_differ(work, event, at, from, count);
}

/* Is the text in the event the one that the walk has written? */
static __always_inline bool is_walked(u32 room, struct work *work, struct event *event, u32 at, u32 length)
{
	u32 count = length / 8, rest = length & 7;

	if (work->walk.cut || length != RIPOSTE_PATH_BYTES - work->walk.at)
		return false;
	if (rest && (word_of(event, at, count) ^ walked_word(work, count)) << (64 - 8 * rest))
		return false;
	if (words_differ(work, event, at, 0, count))
		return false;
	for (u32 piece = 1; piece < SCAN_PIECES; piece++) {
		if (piece * SCAN_WORDS >= count)
			break;
		if (piece_differs(room, at, piece * SCAN_WORDS, count))
			return false;
	}
	return true;
}

/* Atoms that hold for a path in the event. */
__noinline u64 find_prefix(u32 room, u32 subject, u32 at, u32 length)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	u64 *atoms, from = at, count = length;

	if (!work || !event)
		return 0;
	AT_MOST(count, PREFIX_TEXT);
	AT_MOST(from, RIPOSTE_EVENT_BYTES - 256);
	work->prefix_key.generation = work->generation & 1;
	work->prefix_key.filter = work->filter;
	work->prefix_key.subject = subject;
	bpf_probe_read_kernel(work->prefix_key.text, count, &event->bytes[from]);
	if (count < PREFIX_TEXT)
		work->prefix_key.text[count++] = 0;
	work->prefix_key.bits = 24 + 8 * count;
	atoms = bpf_map_lookup_elem(&prefixes, &work->prefix_key);
	return atoms ? *atoms : 0;
}

/* Those of a network address. */
static __always_inline u64 find_network(struct work *work, u32 subject, const u32 *address, u32 words)
{
	u64 *atoms;

	work->prefix_key.bits = 24 + 32 * words;
	work->prefix_key.generation = work->generation & 1;
	work->prefix_key.filter = work->filter;
	work->prefix_key.subject = subject;
	__builtin_memcpy(work->prefix_key.text, address, 16);
	atoms = bpf_map_lookup_elem(&prefixes, &work->prefix_key);
	return atoms ? *atoms : 0;
}

/* ---------------------------------------------------------------- steps */

/* Atoms of a text that has two forms. */
static __always_inline void decide_both(struct work *work, u64 group, u64 one, u64 other)
{
	work->can = (work->can & ~group) | (group & (one | other));
	work->must = (work->must & ~group) | (group & one & other);
}

/* ITEM_PATH1, once per event. */
static __always_inline void put_path1(u32 room)
{
	struct work *work = work_of(room);

	if (!work || work->path1_tried)
		return;
	work->path1_tried = 1;
	if (work->call.path1 < 0)
		return;
	work->path1_at = put_user_text(room, RIPOSTE_ITEM_PATH1, argument(work, work->call.path1));
	work->path1_length = work->item_length;
}

/* ITEM_PATH2, once per event. */
static __always_inline void put_path2(u32 room)
{
	struct work *work = work_of(room);

	if (!work || work->path2_tried)
		return;
	work->path2_tried = 1;
	if (work->call.path2 < 0)
		return;
	work->path2_at = put_user_text(room, RIPOSTE_ITEM_PATH2, argument(work, work->call.path2));
	work->path2_length = work->item_length;
}

/* ITEM_FILE_PATH, once per event. */
static __always_inline void put_file_path(u32 room)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);

	if (!work || !event || work->file_path_tried || !work->file)
		return;
	work->file_path_tried = 1;
	if (work->walked_file == work->file)
		work->kernel_path_at = put_walked(work, event, RIPOSTE_ITEM_FILE_PATH, 0);
	else
		work->kernel_path_at = put_path(room, RIPOSTE_ITEM_FILE_PATH, path_of(work->file), 0);
	work->kernel_path_length = work->item_length;
}

/*
 * Walks the path of work->file. What the walk has written stays for put_file_path(), but where it wrote nothing: that is the root, or a file that has no
 * path, which put_path() tells apart.
 */
static __always_inline bool walk_opened(u32 room, struct work *work)
{
	struct path path;

	if (work->walked_file == work->file)
		return true;
	read_path(&path, path_of(work->file));
	if (!path.dentry)
		return false;
	walk_path(room, work, (u64)path.dentry, path.mnt);
	if (work->walk.at >= RIPOSTE_PATH_BYTES)
		return false;
	work->walked_file = work->file;
	return true;
}

/*
 * Atoms about paths, by what the caller passed, and of successful opens by what was opened as well: an atom may hold where it does for either, and surely
 * holds where it does for both.
 */
__noinline int judge_paths(u32 room)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct riposte_filter *filter;
	struct dentry *dentry;
	struct file *file;
	u64 by_name, by_path, given, opened;
	u32 at, length;

	if (!work || !event)
		return 0;
	filter = filter_of(work);
	if (!filter)
		return 0;
	put_path1(room);
	if (!work->path1_at)
		return 0;
	at = work->path1_at;
	length = work->path1_length;
	examine_text(room, at, length);

	file = NULL;
	if (work->call.kind == RIPOSTE_CALL_OPEN && work->result >= 0) {
		find_file(work);
		file = (struct file *)work->file;
		if (!file)
			return 0;	/* closed by another thread already */
	}
	by_name = work->name_length ? filter->file_name_atoms & work->relevant : 0;
	/* A file that something is mounted on has another name than what is mounted. */
	if (file && by_name && BPF_CORE_READ(file, f_path.dentry) == BPF_CORE_READ(file, f_path.mnt, mnt_root))
		by_name = 0;
	by_path = work->text_normal ? filter->path_atoms & work->relevant : 0;
	/* What mostly is: the file that was asked for. Then its name is that of the path. */
	if (file && by_path && walk_opened(room, work) && is_walked(room, work, event, at, length)) {
		file = NULL;
		work->as_given = 1;
	}
	if (by_name) {
		given = find_text(room, RIPOSTE_SUBJECT_FILE_NAME, work->name_at, work->name_length);
		opened = given;
		if (file) {
			dentry = BPF_CORE_READ(file, f_path.dentry);
			opened = find_dentry(work, RIPOSTE_SUBJECT_FILE_NAME, (u64)dentry, given);
		}
		decide_both(work, by_name, given, opened);
	}
	if (by_path) {
		given = find_prefix(room, RIPOSTE_SUBJECT_PATH, at, length);
		opened = given;
		if (file) {
			put_file_path(room);
			at = work->kernel_path_at;
			if (!at)
				return 0;
			/* Of a hidden folder, say: what atoms say of plain paths is not known of it either. */
			examine_text(room, at, work->kernel_path_length);
			if (!work->text_normal)
				return 0;
			opened = find_prefix(room, RIPOSTE_SUBJECT_PATH, at, work->kernel_path_length);
		}
		decide_both(work, by_path, given, opened);
	}
	return 0;
}

static __always_inline u32 flags_given(struct work *work)
{
	return (u32)argument(work, work->call.open_flags);
}

static __always_inline u32 mode_given(struct work *work)
{
	return (u32)argument(work, work->call.open_mode);
}

/* The place where an open of the path in the event is remembered, or would be; HARMLESS_OPENS: it has none. */
__noinline int harmless_place(u32 room)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	u32 at, words;
	u64 hash;

	if (!work || !event)
		return HARMLESS_OPENS;
	at = work->path1_at;
	words = (work->path1_length + 7) / 8;
	if (!at || !words || words > HARMLESS_WORDS)
		return HARMLESS_OPENS;
	hash = work->index;
	for (u32 i = 0; i < HARMLESS_WORDS; i++) {
		if (i >= words)
			break;
		hash = (hash ^ word_of(event, at, i)) * 0x9e3779b97f4a7c15ULL;
	}
	return hash >> 56;
}

/* Is it this open that is remembered there? */
__noinline int is_remembered(u32 room, u32 place)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct harmless *known = bpf_map_lookup_elem(&harmless_opens, &place);
	u64 differences;
	u32 at, length;

	if (!work || !event || !known)
		return 0;
	at = work->path1_at;
	length = work->path1_length;
	differences = (known->generation ^ work->generation) | (known->index ^ work->index) | (known->length ^ length);
	differences |= (known->flags ^ flags_given(work)) | (known->mode ^ mode_given(work));
	for (u32 i = 0; i < HARMLESS_WORDS; i++) {
		if (i * 8 >= length)
			break;
		differences |= word_of(event, at, i) ^ known->text[i];
	}
	return !differences;
}

/* Has the walk written the path that was opened then? */
__noinline int leads_as_remembered(u32 room, u32 place)
{
	struct work *work = work_of(room);
	struct harmless *known = bpf_map_lookup_elem(&harmless_opens, &place);
	u64 differences = 0;
	u32 length;

	if (!work || !known || work->walk.cut)
		return 0;
	length = RIPOSTE_PATH_BYTES - work->walk.at;
	if (length != known->opened_length)
		return 0;
	for (u32 i = 0; i < HARMLESS_WORDS; i++) {
		u32 left = length - i * 8;
		u64 word;

		if (i * 8 >= length)
			break;
		word = walked_word(work, i) ^ known->opened[i];
		if (left < 8)
			word <<= 64 - 8 * left;
		differences |= word;
	}
	return !differences;
}

/*
 * Is this an open that was found not to matter before? Asked only where user space says that nothing else decides (RIPOSTE_WANTED_BY_PATH). The path that
 * was given must lead where it led then.
 */
__noinline int is_harmless(u32 room)
{
	struct work *work = work_of(room);
	u32 place;

	if (!work || work->result < 0)
		return 0;
	put_path1(room);
	if (!work->path1_at)
		return 0;
	place = harmless_place(room);
	if (!is_remembered(room, place))
		return 0;
	find_file(work);
	return work->file && walk_opened(room, work) && leads_as_remembered(room, place);
}

__noinline int remember_harmless(u32 room)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	u32 place = harmless_place(room), at, opened_at, opened_length;
	struct harmless *entry = bpf_map_lookup_elem(&harmless_opens, &place);

	if (!work || !event || !entry)
		return 0;
	at = work->path1_at;
	opened_at = work->as_given ? at : work->kernel_path_at;
	opened_length = work->as_given ? work->path1_length : work->kernel_path_length;
	if (!opened_at || opened_length > HARMLESS_WORDS * 8 || work->flags & RIPOSTE_FLAG_CUT)
		return 0;
	entry->generation = work->generation;
	entry->index = work->index;
	entry->flags = flags_given(work);
	entry->mode = mode_given(work);
	entry->length = work->path1_length;
	entry->opened_length = opened_length;
	for (u32 i = 0; i < HARMLESS_WORDS; i++) {
		entry->text[i] = word_of(event, at, i);
		entry->opened[i] = word_of(event, opened_at, i);
	}
	return 0;
}

/* Atoms about the second path, which is never opened. */
__noinline int judge_second_path(u32 room)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct riposte_filter *filter;
	u32 at, length;
	u64 group;

	if (!work || !event)
		return 0;
	filter = filter_of(work);
	if (!filter)
		return 0;
	put_path2(room);
	if (!work->path2_at)
		return 0;
	at = work->path2_at;
	length = work->path2_length;
	examine_text(room, at, length);
	group = work->name_length ? filter->second_file_name_atoms & work->relevant : 0;
	if (group)
		decide(work, group, find_text(room, RIPOSTE_SUBJECT_SECOND_FILE_NAME, work->name_at, work->name_length));
	group = work->text_normal ? filter->second_path_atoms & work->relevant : 0;
	if (group)
		decide(work, group, find_prefix(room, RIPOSTE_SUBJECT_SECOND_PATH, at, length));
	return 0;
}

/*
 * The peer's address: what the call passed or got, else that of a connected socket. Sets FAMILY and REMOTE_PORT, and decides network atoms. Of a connect
 * that was taken, if only to go on in the background, the socket's counts: what the caller passed may have been changed by another thread since; one that
 * failed tells nothing, for the same reason. Before a connect it is the kernel's copy of what was passed, where that is of the socket's own family; whoever
 * asks for no address at all gets one of the host's own, which is not known yet.
 */
__noinline int judge_network(u32 room)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct riposte_filter *filter;
	struct sock *sock;
	u32 address[4] = {}, words = 0, family = 0, port = 0;
	bool known = false, is_connect;
	u64 group;

	if (!work || !event)
		return 0;
	filter = filter_of(work);
	if (!filter)
		return 0;
	put_address(room);
	is_connect = work->call.flags & RIPOSTE_CALL_CONNECT && !work->before;
	if (is_connect && work->result < 0 && work->result != -EINPROGRESS)
		return 0;
	if (work->address_at && !is_connect) {
		u32 at = work->address_at;

		if (at > ITEM_ROOM + sizeof(struct riposte_item))
			return 0;
		family = *(u16 *)&event->bytes[at];
		sock = (struct sock *)work->sock;
		if (work->before && (!sock || BPF_CORE_READ(sock, __sk_common.skc_family) != family))
			return 0;
		port = swap16(*(u16 *)&event->bytes[at + 2]);
		known = !(work->call.flags & RIPOSTE_CALL_BIND);
		if (family == AF_INET && work->address_length >= 8) {
			address[0] = *(u32 *)&event->bytes[at + 4];
			words = 1;
		} else if (family == AF_INET6 && work->address_length >= 24) {
			__builtin_memcpy(address, &event->bytes[at + 8], 16);
			words = 4;
		} else if (family == AF_INET || family == AF_INET6 || family == 0) {
			return 0;	/* cut short, or AF_UNSPEC */
		}
	} else {
		resolve_descriptor(room);
		sock = (struct sock *)work->sock;
		if (!sock)
			return 0;
		family = BPF_CORE_READ(sock, __sk_common.skc_family);
		if (family == AF_INET || family == AF_INET6) {
			port = swap16(BPF_CORE_READ(sock, __sk_common.skc_dport));
			known = port != 0 && !(work->call.flags & RIPOSTE_CALL_BIND);
		} else {
			known = true;
		}
		if (family == AF_INET) {
			address[0] = BPF_CORE_READ(sock, __sk_common.skc_daddr);
			words = 1;
		} else if (family == AF_INET6) {
			bpf_probe_read_kernel(address, 16, __builtin_preserve_access_index(&sock->__sk_common.skc_v6_daddr));
			words = 4;
		}
	}
	know(work, RIPOSTE_NUMBER_FAMILY, family);
	if (!known)
		return 0;
	if (words)
		know(work, RIPOSTE_NUMBER_REMOTE_PORT, port);
	else
		work->absent |= SOURCE(REMOTE_PORT);
	group = filter->network_atoms & work->relevant;
	if (!group)
		return 0;
	/* An IPv4 address within IPv6 counts as what it stands for. */
	if (words == 4 && !address[0] && !address[1] && address[2] == __builtin_bswap32(0xffff)) {
		address[0] = address[3];
		words = 1;
	}
	if (work->before && words && !(address[0] | (words == 4 ? address[1] | address[2] | address[3] : 0)))
		return 0;
	if (words == 1)
		decide(work, group, find_network(work, RIPOSTE_SUBJECT_NETWORK4, address, 1));
	else if (words == 4)
		decide(work, group, find_network(work, RIPOSTE_SUBJECT_NETWORK6, address, 4));
	else
		decide(work, group, 0);
	return 0;
}

/* Numbers that have to be fetched from the task, as far as `sources` asks for them. */
__noinline int fetch_task_numbers(u32 room, u32 sources)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct work *work = work_of(room);
	const struct cred *cred;

	if (!work)
		return 0;
	if (sources & (SOURCE(UID) | SOURCE(CAP_EFFECTIVE) | SOURCE(CAP_PERMITTED))) {
		cred = BPF_CORE_READ(task, cred);
		know(work, RIPOSTE_NUMBER_UID, BPF_CORE_READ(cred, euid.val));
		know(work, RIPOSTE_NUMBER_CAP_EFFECTIVE, read_capabilities(__builtin_preserve_access_index(&cred->cap_effective)));
		know(work, RIPOSTE_NUMBER_CAP_PERMITTED, read_capabilities(__builtin_preserve_access_index(&cred->cap_permitted)));
	}
	if (sources & (SOURCE(NAME_HEAD) | SOURCE(NAME_TAIL))) {
		u64 comm[2] = {};

		read_own_comm(room, work, comm);
		know(work, RIPOSTE_NUMBER_NAME_HEAD, comm[0]);
		know(work, RIPOSTE_NUMBER_NAME_TAIL, comm[1]);
	}
	if (sources & SOURCE(LOGINUID))
		know(work, RIPOSTE_NUMBER_LOGINUID, login_of(task));
	if (sources & SOURCE(TTY))
		know(work, RIPOSTE_NUMBER_TTY, terminal_of(BPF_CORE_READ(task, signal)));
	if (sources & SOURCE(VPID)) {
		struct pid *pid = BPF_CORE_READ(task, signal, pids[KIND_TGID]);

		u32 level = BPF_CORE_READ(pid, level);

		know(work, RIPOSTE_NUMBER_VPID, BPF_CORE_READ(upid_of(pid, level), nr));
	}
	if (sources & SOURCE(CONTAINER)) {
		u64 id = cgroup_of((u64)task);
		u32 *place = bpf_map_lookup_elem(&cgroups, &id);

		if (place && *place == 1)
			know(work, RIPOSTE_NUMBER_CONTAINER, 0);
		else if (place && *place == 2)
			know(work, RIPOSTE_NUMBER_CONTAINER, 1);
	}
	return 0;
}

/* Numbers about what the descriptor refers to. */
__noinline int fetch_descriptor_numbers(u32 room)
{
	struct work *work = work_of(room);
	struct sock *sock;

	if (!work)
		return 0;
	resolve_descriptor(room);
	if (!work->file)
		return 0;
	know(work, RIPOSTE_NUMBER_FILE_KIND, work->file_kind);
	sock = (struct sock *)work->sock;
	if (sock)
		know(work, RIPOSTE_NUMBER_PROTOCOL, BPF_CORE_READ(sock, sk_protocol));
	return 0;
}

/* Atoms about the program that was started. */
__noinline int judge_program(u32 room)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct riposte_filter *filter;
	u32 place;

	if (!work || !event || !work->exe_at)
		return 0;
	filter = filter_of(work);
	if (!filter)
		return 0;
	examine_text(room, work->exe_at, work->exe_length);
	place = work->exe_at;
	BOUND(place, 0x7fff);
	/* The kernel's own path is normal by birth, hidden folders in it or not. */
	if (event->bytes[place] == '/')
		decide(work, filter->exe_atoms, find_prefix(room, RIPOSTE_SUBJECT_EXE, work->exe_at, work->exe_length));
	if (work->name_length)
		decide(work, filter->exe_name_atoms, find_text(room, RIPOSTE_SUBJECT_EXE_NAME, work->name_at, work->name_length));
	return 0;
}

/*
 * Is the process one that no reflex ends? By the file that it runs, and not by what it calls itself: whoever wants to be spared would call himself so. Such
 * a file's name proves nothing either, where anybody else than root can have made it, or made the container that it is in, or where a user runs it: he may
 * start a bus of his own, with whatever library in it.
 */
__noinline int judge_spared(u32 room)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct work *work = work_of(room);
	struct riposte_filter *filter;
	struct name_part part;
	struct inode *inode;
	struct file *file;
	u64 cgroup, holding = 0;
	u32 *place, length;

	if (!work)
		return 0;
	filter = filter_of(work);
	if (!filter)
		return 0;
	cgroup = cgroup_of((u64)task);
	place = bpf_map_lookup_elem(&cgroups, &cgroup);
	file = BPF_CORE_READ(task, mm, exe_file);
	if (file && !(place && *place == 2) && (u32)bpf_get_current_uid_gid() <= LAST_SYSTEM_UID) {
		inode = BPF_CORE_READ(file, f_inode);
		read_part(&part, (u64)BPF_CORE_READ(file, f_path.dentry));
		length = part.length;
		if (length <= RIPOSTE_NAME_BYTES && !BPF_CORE_READ(inode, i_uid.val) && !(BPF_CORE_READ(inode, i_mode) & 022)) {
			begin_name(work, &work->other_key, RIPOSTE_SUBJECT_SPARED, length);
			bpf_probe_read_kernel(work->other_key.text, length, (void *)part.name);
			holding = find_name(&work->other_key);
		}
	}
	decide(work, filter->spared_atoms, holding);
	return 0;
}

/* ---------------------------------------------------------------- pieces of texts */

/* The first eight bytes of argv[0], where the arguments are known. */
static __always_inline void know_argument_head(u32 room)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	u64 head, ends;

	if (!work || !event || !work->arguments_at)
		return;
	/* Behind an empty item there is nothing of its own. */
	head = work->arguments_length ? word_of(event, work->arguments_at, 0) : 0;
	ends = zero_bytes(head);
	if (ends)
		head &= ((ends & -ends) >> 7) - 1;
	know(work, RIPOSTE_NUMBER_ARGUMENT_HEAD, head);
}

/* Notes which atoms ask for a piece, given folded: for all of it, or for its first half. */
__noinline int find_piece(u32 room, u32 subject, u64 piece)
{
	struct work *work = work_of(room);

	if (!work)
		return 0;
	begin_name(work, &work->other_key, subject, 8);
	*(u64 *)work->other_key.text = piece;
	work->found |= find_name(&work->other_key);
	begin_name(work, &work->other_key, subject, 4);
	*(u32 *)work->other_key.text = piece;
	work->found |= find_name(&work->other_key);
	return 0;
}

/* Looks for pieces that begin in `word`, at each `stride`th place; `next` comes behind it. */
static __always_inline void find_pieces(u32 room, u32 subject, const u64 *bits, u64 word, u64 next, u32 stride)
{
	word |= RIPOSTE_PIECE_FOLD;
	next |= RIPOSTE_PIECE_FOLD;
#pragma unroll
	for (u32 i = 0; i < 8; i += stride) {
		u64 piece = i ? word >> (8 * i) | next << ((64 - 8 * i) & 63) : word;
		u32 place = riposte_piece_place(piece), slot = place / 64;

		BOUND(slot, RIPOSTE_PIECE_WORDS - 1);
		if (bits[slot] >> (place & 63) & 1)
			find_piece(room, subject, piece);
	}
}

static __always_inline struct riposte_pieces *pieces_of(struct work *work)
{
	u32 index = (work->generation & 1) * RIPOSTE_FILTERS + work->filter;

	return bpf_map_lookup_elem(&pieces, &index);
}

/* Looks over TEXT_WORDS words of a text, from word `from` on. What lies behind its end may be met too; it is only more. 1: that was the end. */
static __always_inline int scan_text(u32 room, u32 at, u32 from, u32 length, bool of_arguments)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct riposte_pieces *pieces;

	if (!work || !event || from > RIPOSTE_TEXT_BYTES)
		return 1;
	pieces = pieces_of(work);
	if (!pieces)
		return 1;
	for (u32 step = 0; step < TEXT_WORDS; step++) {
		u32 i = from + step;
		u64 word, next;

		if (i * 8 >= length)
			return 1;
		word = word_of(event, at, i);
		next = word_of(event, at, i + 1);
		if (of_arguments)
			find_pieces(room, RIPOSTE_SUBJECT_ARGUMENTS, pieces->arguments, word, next, 1);
		else
			find_pieces(room, RIPOSTE_SUBJECT_ENVIRONMENT, pieces->environment, word, next, 4);
	}
	return 0;
}

__noinline int scan_arguments(u32 room, u32 at, u32 from, u32 length) { return scan_text(room, at, from, length, true); }

__noinline int scan_environment(u32 room, u32 at, u32 from, u32 length) { return scan_text(room, at, from, length, false); }

/* What the name and the first seven bytes of the arguments, joined by a blank, have in them. */
__noinline int scan_seam(u32 room)
{
	struct work *work = work_of(room);
	struct event *event = event_of(room);
	struct riposte_pieces *pieces;
	u64 comm[2] = {}, place, length;
	long first;

	if (!work || !event)
		return 0;
	pieces = pieces_of(work);
	if (!pieces)
		return 0;
	bpf_get_current_comm(comm, sizeof(comm));
	length = zero_bytes(comm[0]) ? lowest_byte(zero_bytes(comm[0])) : 8 + lowest_byte(zero_bytes(comm[1]));
	work->seam[0] = comm[0];
	work->seam[1] = comm[1];
	work->seam[2] = 0;
	work->seam[3] = 0;
	/* How long argv[0] is; nothing needs the copy. */
	place = work->arguments_at;
	AT_MOST(place, RIPOSTE_EVENT_BYTES - RIPOSTE_TEXT_BYTES - 16);
	first = bpf_probe_read_kernel_str(work->path, RIPOSTE_TEXT_BYTES, &event->bytes[place]);
	work->walked_file = 0;
	if (first > 0 && first < work->arguments_length) {
		u64 rest = place + first;

		AT_MOST(rest, RIPOSTE_EVENT_BYTES - 8);
		AT_MOST(length, 15);
		bpf_probe_read_kernel((u8 *)work->seam + length + 1, 8, &event->bytes[rest]);
	}
	for (u32 i = 0; i < 3; i++)
		find_pieces(room, RIPOSTE_SUBJECT_ARGUMENTS, pieces->arguments, work->seam[i], work->seam[i + 1], 1);
	return 0;
}

/* Atoms about what the program was started with. None of them surely holds. */
__noinline int judge_start(u32 room)
{
	struct work *work = work_of(room);
	struct riposte_filter *filter;
	u64 group;

	if (!work)
		return 0;
	filter = filter_of(work);
	if (!filter)
		return 0;
	work->found = 0;
	group = 0;
	if (work->arguments_at && work->relevant & filter->argument_atoms) {
		group |= filter->argument_atoms;
		scan_seam(room);
		for (u32 piece = 0; piece < TEXT_PIECES; piece++)
			if (scan_arguments(room, work->arguments_at, piece * TEXT_WORDS, work->arguments_length))
				break;
	}
	if (work->environment_at && work->relevant & filter->environment_atoms) {
		group |= filter->environment_atoms;
		for (u32 piece = 0; piece < TEXT_PIECES; piece++)
			if (scan_environment(room, work->environment_at, piece * TEXT_WORDS, work->environment_length))
				break;
	}
	work->can &= ~group | work->found;
	return 0;
}

/* ---------------------------------------------------------------- the verdict */

/*
 * Judges the event that `work` is about. work->known and work->values hold what costs nothing. Returns false where it can be dropped; sets work->reflex
 * where a reflex surely holds. `is_start`: a constant; what is known of the start of a program only is left out of what is compiled for others.
 */
static __always_inline bool judge(u32 room, struct work *work, bool is_start)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct riposte_filter *filter = filter_of(work);
	u32 sources;
	u64 group;

	if (!filter)
		return true;
	work->can = ~0ULL;
	work->must = 0;
	work->absent = 0;
	work->as_given = 0;
	test_numbers(room, ~0u);
	if (!settle(room))
		return false;
	if (work->relevant & (filter->file_name_atoms | filter->path_atoms)) {
		judge_paths(room);
		if (!settle(room)) {
			if (work->call.wanted & RIPOSTE_WANTED_BY_PATH && work->result >= 0)
				remember_harmless(room);
			return false;
		}
	}
	if (work->relevant & (filter->second_file_name_atoms | filter->second_path_atoms)) {
		judge_second_path(room);
		if (!settle(room))
			return false;
	}
	if (!work->relevant)
		goto settled;
	sources = open_sources(room);
	if (sources & SOURCES_ADDRESS || work->relevant & filter->network_atoms) {
		judge_network(room);
		test_numbers(room, sources & SOURCES_ADDRESS);
		if (!settle(room))
			return false;
	}
	group = work->relevant & filter->name_atoms;
	if (group) {
		decide(work, group, find_own_comm(room, work, RIPOSTE_SUBJECT_NAME));
		if (!settle(room))
			return false;
	}
	if (!work->relevant)
		goto settled;
	sources &= SOURCES_TASK | SOURCES_DESCRIPTOR;
	if (sources) {
		if (sources & SOURCES_TASK)
			fetch_task_numbers(room, sources);
		if (sources & SOURCES_DESCRIPTOR)
			fetch_descriptor_numbers(room);
		test_numbers(room, sources);
		if (!settle(room))
			return false;
	}
	group = work->relevant & filter->parent_atoms;
	if (group) {
		u64 parent = parent_of(task);

		decide(work, group, parent ? find_comm(room, RIPOSTE_SUBJECT_PARENT, parent) : 0);
	}
	if (work->relevant & filter->spared_atoms)
		judge_spared(room);
	if (is_start && work->relevant & (filter->exe_atoms | filter->exe_name_atoms))
		judge_program(room);
	if (!settle(room))
		return false;
	if (is_start && work->relevant & (filter->argument_atoms | filter->environment_atoms)) {
		judge_start(room);
		settle(room);
	}
settled:
	return work->passes || work->reflex;
}

/* ---------------------------------------------------------------- reflexes */

#define CLOCK_TICK_NS 10000000	/* of USER_HZ, 100 everywhere */

/*
 * Carries out work->reflex on the current task. The signal reaches the whole thread group, and before the next instruction in user space; what the call
 * itself has done is done, where it was not refused before (riposte_deny.h). (bpf_send_signal: 5.3.) 1: the signal was sent.
 *
 * The budget is an atomic decrement without its old value, which plain BPF has no instruction for before 5.12, and then a look at what is left. Of several
 * CPUs at once each sees its own decrement at least, so never more signals are sent than the budget had; in a race for the last one there may be none.
 */
__noinline int carry_out(u32 room)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct riposte_control *settings = control_entry();
	struct work *work = work_of(room);
	struct riposte_reflex *reflex;
	struct riposte_budget *budget;
	u32 index, tgid = bpf_get_current_pid_tgid() >> 32;
	u64 *start;

	if (!work || !settings || !work->reflex)
		return 0;
	index = (work->generation & 1) * RIPOSTE_REFLEXES + work->reflex - 1;
	reflex = bpf_map_lookup_elem(&reflexes, &index);
	if (!reflex || work->reflex > RIPOSTE_REFLEXES) {
		work->reflex = 0;
		return 0;
	}
	if (!reflex->acts || settings->unattended) {
		work->outcome = RIPOSTE_REFLEX_WOULD;
		return 0;
	}
	work->outcome = RIPOSTE_REFLEX_PROTECTED;
	if (tgid <= 1 || tgid == settings->self || BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 0;
	start = bpf_map_lookup_elem(&protected, &tgid);
	/* User space knows the start to a clock tick, rounded down. */
	if (start && (!*start || BPF_CORE_READ(task, group_leader, start_boottime) - *start < CLOCK_TICK_NS))
		return 0;
	index = reflex->budget_index;
	budget = bpf_map_lookup_elem(&budgets, &index);
	if (!budget) {
		work->outcome = RIPOSTE_REFLEX_FAILED;
		return 0;
	}
	work->outcome = RIPOSTE_REFLEX_SPENT;
	if (budget->left <= 0)
		return 0;
	__sync_fetch_and_add(&budget->left, -1);
	if (*(volatile s64 *)&budget->left < 0) {
		__sync_fetch_and_add(&budget->left, 1);
		return 0;
	}
	if (bpf_send_signal(reflex->signal)) {
		__sync_fetch_and_add(&budget->left, 1);
		work->outcome = RIPOSTE_REFLEX_FAILED;
		return 0;
	}
	__sync_fetch_and_add(&budget->used, 1);
	work->outcome = RIPOSTE_REFLEX_SENT;
	return 1;
}

/*
 * Carries out the first reflex that holds and may act: one that only observes, or whose budget is spent, must not stand before one that does more. Where none
 * may, what became of the first is told. 1: a signal was sent.
 */
#define REFLEX_TRIES 4

__noinline int act(u32 room)
{
	struct work *work = work_of(room);
	u32 first, outcome;

	if (!work)
		return 0;
	first = work->reflex;
	outcome = 0;
	for (int i = 0; i < REFLEX_TRIES; i++) {
		if (carry_out(room))
			return 1;
		if (!outcome)
			outcome = work->outcome;
		if (!work->reflex || work->outcome == RIPOSTE_REFLEX_PROTECTED)
			break;
		work->skipped |= 1ULL << ((work->reflex - 1) & 63);
		settle(room);
		if (!work->reflex)
			break;
	}
	work->reflex = first;
	work->outcome = outcome;
	return 0;
}

/* What a reflex has done and nobody will hear of, as the event found no room, is counted at least. */
static __always_inline void miss_reflex(struct work *work)
{
	struct riposte_reflex *reflex;
	struct riposte_budget *budget;
	u32 index;

	if (work->outcome != RIPOSTE_REFLEX_SENT || !work->reflex)
		return;
	index = (work->generation & 1) * RIPOSTE_REFLEXES + work->reflex - 1;
	reflex = bpf_map_lookup_elem(&reflexes, &index);
	if (!reflex)
		return;
	index = reflex->budget_index;
	budget = bpf_map_lookup_elem(&budgets, &index);
	if (budget)
		__sync_fetch_and_add(&budget->unrecorded, 1);
}

#endif
