/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The maps, and the room in which an event is built.
 *
 * An event is put together in per-CPU memory and copied into a ring at its exact size; reserving in the ring would need a size that is known beforehand.
 * Every program has its own room: the kernel lets no program run into itself on one CPU (it counts a miss instead), so a room has one user at a time even
 * where tracepoints may be preempted, as on PREEMPT_RT. The hooks of security modules it lets run into themselves, and those of requests are many that lead
 * into one program; they take whichever of theirs is free.
 *
 * What the global functions (those marked __noinline, not static) need is in `struct work`, not in their arguments. The verifier checks such a function
 * once, whoever calls it, knowing nothing of what is in memory; so each has to prove its bounds itself, and the whole stays small enough for it.
 */
#ifndef RIPOSTE_MAPS_H
#define RIPOSTE_MAPS_H

enum room { ROOM_CALL, ROOM_EXEC, ROOM_FORK, ROOM_EXIT, ROOM_BEFORE, ROOM_BEFORE_TOO, ROOM_REQUEST, ROOM_REQUEST_TOO, ROOMS };

#define PATH_SLACK 256		/* the longest component, NAME_MAX + 1 */
/*
 * Loops over long texts and deep folders are cut into pieces, each a function that the verifier looks at once: its work is that of one piece, and not of
 * all. What is common is done by the first piece, so that it costs nothing when it runs.
 */
#define WALK_STEPS 8		/* components per call of path_step() */
#define WALK_CALLS 272		/* 8 * 272 > 2048 components and some mounts */
#define SCAN_WORDS 16		/* of a path, per piece */
#define SCAN_PIECES (RIPOSTE_PATH_BYTES / 8 / SCAN_WORDS)
#define TEXT_WORDS 8		/* the same of arguments and environment */
#define TEXT_PIECES (RIPOSTE_TEXT_BYTES / 8 / TEXT_WORDS)

/* Where a walk from a dentry to the root has come to. */
struct walk {
	u64 dentry;
	u64 mount;		/* struct mount * */
	u64 mount_root;		/* its topmost dentry */
	u64 root_dentry;	/* the root of the task: where the walk ends */
	u64 root_mount;
	u32 at;			/* the text so far is path[at...RIPOSTE_PATH_BYTES) */
	u32 cut;
};

/* See examine_text(). */
struct scan {
	u64 slashes;		/* of the word before, the high bit of each byte that is one */
	u64 dots;
	u64 odd;
	u64 last_slashes;	/* of the last word that has any */
	u64 last_word;
};

/*
 * An open that could not matter: the path that was given, the one that was opened, and whatever else its filter looks at before it drops such a call.
 * Whole, so that no two paths can be taken for each other. See is_harmless().
 */
#define HARMLESS_WORDS 15
#define HARMLESS_OPENS 256

struct harmless {
	u32 generation;		/* riposte_control.generation, whole: no two sets of tables have the same */
	u32 index;		/* into the call table, and with it the filter */
	u32 flags;
	u32 mode;
	u32 length;
	u32 opened_length;
	u64 text[HARMLESS_WORDS];
	u64 opened[HARMLESS_WORDS];
};

/* What is known of a request of io_uring before it is carried out, and not behind that any more: see riposte_requests.h. */
struct request {
	u64 start;		/* start_boottime of the thread that carries it out */
	u64 address;		/* struct io_kiocb * */
	u64 file;		/* struct file * that was put into the ring's own table, 0: none */
	u64 worked_on;		/* struct file * of one that works on a file, 0: none */
	s32 fd;			/* RIPOSTE_NO_DESCRIPTOR: that file is in the ring's own table */
	u32 target_length;	/* of the address below, 0: there is none */
	u32 told;		/* 1: of an open, which has two functions, or by an earlier try */
	u32 is_again;		/* there was such a try */
	u64 peer[3];		/* of a connect that was told: see read_peer() */
	u8 target[128];		/* struct sockaddr */
};

/* What is kept of a request that is tried again. */
struct request_try {
	u64 worked_on;
	s32 fd;
	u32 told;
	u64 peer[3];
	u32 target_length;	/* 0: there was none, or a longer one, as no address of IP is */
	u8 target[28];		/* struct sockaddr_in6 */
};

/* The names that it was given; most are short. */
#define SHORT_TEXT 256

struct request_names {
	u64 start;
	u64 address;
	u8 text[2][SHORT_TEXT];
};

struct request_long_names {
	u64 start;
	u64 address;
	u8 text[2][RIPOSTE_PATH_BYTES];
};

struct work {
	struct riposte_call call;
	u64 args[8];		/* six, and two to make an index of three bits safe */
	s64 result;
	s32 nr;
	u32 index;		/* into the call table */
	u32 generation;		/* riposte_control.generation */
	u32 filter;		/* index into `filters` */

	u32 size;		/* of the event so far */
	u32 flags;		/* enum riposte_event_flag */
	s32 fd;
	u32 file_tried;		/* find_file() has run */
	u32 fd_known;		/* resolve_descriptor() has run */
	u64 file;		/* struct file * of fd, 0: none */
	u64 sock;		/* struct sock *, where it is a socket */
	u64 socket;		/* struct socket * */
	u32 file_kind;		/* enum riposte_file_kind */
	u32 file_flags;		/* enum riposte_file_flag of the last put_file() */
	u32 file_path_tried;
	u64 walked_file;	/* what work->path has the path of, 0: another one's or none. Of this event: the next file may lie where this one did */
	u64 cgroup;		/* whose path ITEM_CGROUP is; 0: there is none */
	u32 item_length;	/* of the item that was put last */
	u32 exe_at;		/* of ITEM_EXE_PATH's text, EXEC only */
	u32 exe_length;
	u32 arguments_at;	/* of ITEM_ARGUMENTS and ITEM_ENVIRONMENT, EXEC only; 0: not known */
	u32 arguments_length;
	u32 environment_at;
	u32 environment_length;
	u32 path1_at;		/* of the text in the event, 0: not there */
	u32 path1_length;
	u32 path1_tried;
	u32 path2_at;		/* the same of the second path */
	u32 path2_length;
	u32 path2_tried;
	u32 kernel_path_at;	/* of ITEM_FILE_PATH's text */
	u32 kernel_path_length;
	u32 address_at;
	u32 address_length;
	u32 address_tried;
	u32 message;		/* which of those that sendmmsg or recvmmsg moved */
	u32 before;		/* enum riposte_before: the call has not done anything yet, and only what says so in its clause may act; 0: it has ended */
	u32 taken;		/* ROOM_BEFORE…, ROOM_REQUEST…: somebody is in it */
	u64 how;		/* ROOM_REQUEST…: struct open_how * of openat2 */
	struct request request;	/* the same */
	u32 recalled;		/* the same: that is of this very call of the function */
	u32 sent;		/* the event was handed up */
	u64 comm[2];		/* the same: see fetch_name() */

	/* What the filter knows. */
	u64 can;
	u64 must;
	u64 relevant;		/* atoms of clauses that may still hold */
	u32 known;		/* by enum riposte_number_source: values[] is filled */
	u32 absent;		/* the same: the event has no such value */
	u32 passes;
	u32 reflex;		/* index + 1 of a reflex that holds */
	u32 has_acted;		/* for this call already */
	u32 outcome;
	u64 skipped;		/* reflexes that hold and may do nothing, a bit for each index */
	u32 as_given;		/* judge_paths(): what was opened has the path that was given */
	u32 text_normal;	/* examine_text(): nothing that user space would normalise */
	u32 name_at;		/* last component, as offset into the event */
	u32 name_length;
	u64 found;		/* atoms of pieces that were met */
	u64 seam[4];		/* where proc.name and the arguments meet */
	u64 values[32];
	struct riposte_name_key name_key __attribute__((aligned(8)));
	struct riposte_name_key other_key __attribute__((aligned(8)));
	struct riposte_prefix_key prefix_key;

	struct scan scan;
	struct walk walk;
	u8 path[RIPOSTE_PATH_BYTES + PATH_SLACK];
};

/* One event; room for the last item's padding included. */
struct event {
	union {
		u8 bytes[RIPOSTE_EVENT_BYTES];
		u64 words[RIPOSTE_EVENT_BYTES / 8];
	};
};

struct role_key {
	u64 sock;
	u64 inode;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct riposte_control);
} control SEC(".maps");

/* EXEC, FORK, EXIT, UPDATE. User space sets the sizes of both rings before it loads. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} state_events SEC(".maps");

/* SYSCALL. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} call_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * RIPOSTE_FILTERS);
	__type(key, u32);
	__type(value, struct riposte_filter);
} filters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * RIPOSTE_FILTERS);
	__type(key, u32);
	__type(value, struct riposte_pieces);
} pieces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct riposte_name_key);
	__type(value, u64);
} names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct riposte_prefix_key);
	__type(value, u64);
} prefixes SEC(".maps");

/* By cgroup id: 1 of the host, 2 of a container, 3 nobody can tell, as it is nested too deep. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u32);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * RIPOSTE_REFLEXES);
	__type(key, u32);
	__type(value, struct riposte_reflex);
} reflexes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, struct riposte_budget);
} budgets SEC(".maps");

/* Thread groups that no reflex signals, by tgid: start_boottime of the leader, rounded down to a clock tick; 0: whichever has that tgid. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u64);
} protected SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct riposte_counters);
} counters SEC(".maps");

/* Which end of a connection a socket is: enum riposte_socket_role. The inode tells it from an earlier socket at the same address. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct role_key);
	__type(value, u32);
} roles SEC(".maps");

/* Calls that a hook has refused and that have not ended yet, by thread. LRU: a thread may vanish without an end of its call. */
struct denial {
	u64 start;		/* start_boottime of the thread */
	s64 nr;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);	/* bpf_get_current_pid_tgid() */
	__type(value, struct denial);
} denials SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HARMLESS_OPENS);
	__type(key, u32);
	__type(value, struct harmless);
} harmless_opens SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ROOMS);
	__type(key, u32);
	__type(value, struct work);
} works SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ROOMS);
	__type(key, u32);
	__type(value, struct event);
} events SEC(".maps");

/* KiB of a page; user space sets it before it loads, where a page has not 4096 bytes. */
const volatile u32 page_kib = 4;

/*
 * Since 5.11 the current task comes as a pointer that the verifier knows, and members are plain loads. Before, and for whatever else was found as a mere
 * number, each member is a call of bpf_probe_read_kernel(), which costs ten times as much. A load of the first kind is in an `if` on this, and only there.
 */
#define TASK_IS_TYPED bpf_core_enum_value_exists(enum bpf_func_id___riposte, BPF_FUNC_get_current_task_btf___riposte)

/*
 * Since 6.17 the verifier lets any number be taken for the address of a type that it knows, or of mere bytes, and read from: what is not there reads as
 * zeros, as with bpf_probe_read_kernel(), at a fraction of the cost. Kernels that cannot do that get the programs that were built without (RIPOSTE_TYPED).
 */
#ifdef RIPOSTE_TYPED
extern void *bpf_rdonly_cast(const void *address, u32 type) __ksym;
#define TYPED(type, address) ((type *)bpf_rdonly_cast((const void *)(address), bpf_core_type_id_kernel(type)))
#define WORD_AT(address) (*(u64 *)bpf_rdonly_cast((const void *)(address), 0))
/* The members one behind the other, as libbpf's macro of that name reads them. */
#undef BPF_CORE_READ
#define BPF_CORE_READ(address, ...) ___arrow((TYPED(typeof(*(address)), address)), __VA_ARGS__)
#endif
#define MEMBER(type, address, member) BPF_CORE_READ((type *)(address), member)

/* What was read as a pointer as a mere number, which is all that global functions take. */
static __always_inline u64 number_of(const volatile void *pointer)
{
	u64 number = (u64)pointer;
#ifdef RIPOSTE_TYPED
	const void *null;

	/* A number minus a pointer would be a pointer. */
	if (!number)
		return 0;
	null = bpf_rdonly_cast(NULL, 0);
	asm volatile("%0 -= %1" : "+r"(number) : "r"(null));
#endif
	return number;
}

/*
 * Since 7.0 tracepoints may be preempted, and a program that is would be passed over, with what it has to tell, by whatever else comes to its hook on that
 * CPU meanwhile: the kernel counts that (`recursion_misses`) and runs nothing. There perf's tracepoints are what the programs are attached to. What can only be
 * attached to a function, or where no perf event can be had, is one piece at least, from its first instruction on; what is missed before that, and where whoever
 * is waiting takes over as soon as it ends, is told as lost. Only the typed programs can ask for it, and older kernels have preemption off there by themselves.
 */
#ifdef RIPOSTE_TYPED
extern void bpf_preempt_disable(void) __ksym;
extern void bpf_preempt_enable(void) __ksym;
static __always_inline int stay_on_cpu(void)
{
	bpf_preempt_disable();
	return 0;
}
static __always_inline void leave_cpu(int *stay)
{
	bpf_preempt_enable();
}
#define IN_ONE_PIECE int stay __attribute__((cleanup(leave_cpu), unused)) = stay_on_cpu()
#else
#define IN_ONE_PIECE int stay __attribute__((unused)) = 0
#endif

static __always_inline struct work *work_of(u32 room)
{
	return bpf_map_lookup_elem(&works, &room);
}

/* The first of two rooms of this CPU's that nobody is in; ROOMS: none. Whoever is in one stays on this CPU until he leaves it, but others may run there meanwhile. */
static __always_inline u32 take_room(u32 first)
{
#pragma unroll
	for (u32 i = 0; i < 2; i++) {
		struct work *work = work_of(first + i);

		if (work && !__sync_lock_test_and_set(&work->taken, 1))
			return first + i;
	}
	return ROOMS;
}

static __always_inline void leave_room(struct work *work)
{
	__sync_lock_test_and_set(&work->taken, 0);
}

static __always_inline struct event *event_of(u32 room)
{
	return bpf_map_lookup_elem(&events, &room);
}

static __always_inline struct riposte_control *control_entry(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

static __always_inline struct riposte_counters *counters_entry(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

/* Makes the compiler forget what it knows about a pointer: it splits stores that it thinks may be unaligned into bytes. */
#define LAUNDER(pointer) asm volatile("" : "+r"(pointer))

/*
 * Binds a number where the compiler must not reason about it: it drops an `& mask` that it can prove to change nothing, but the verifier, who sees less,
 * needs it.
 */
#define BOUND(value, mask) asm volatile("%0 &= %1" : "+r"(value) : "i"(mask))

/*
 * The same by a comparison: what is more becomes `limit`. Verifiers before 6.18 learn of a register only what is compared in that very register, and the
 * compiler makes one comparison of two, in another one. Of 64 bits: what they know of the upper end is lost when such a register is cut to 32.
 */
#define AT_MOST(value, limit) asm volatile("if %0 <= %1 goto +1; %0 = %1" : "+r"(value) : "i"(limit))

#endif
