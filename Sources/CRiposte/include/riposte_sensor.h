// SPDX-License-Identifier: Apache-2.0
//
// What the BPF programs of bpf/ and RiposteSensor say to each other: the events in the ring buffers, and the tables that tell the programs what
// the rules need. Both sides are built from this header, so they cannot differ; RIPOSTE_WIRE_VERSION changes with every change of a layout.
//
// Fixed-width fields only, no pointers, every byte filled. All numbers are of the host's byte order unless they say otherwise.
#ifndef RIPOSTE_SENSOR_H
#define RIPOSTE_SENSOR_H

#ifndef __VMLINUX_H__
#include <stdint.h>
typedef uint8_t riposte_u8;
typedef uint16_t riposte_u16;
typedef uint32_t riposte_u32;
typedef uint64_t riposte_u64;
typedef int8_t riposte_s8;
typedef int32_t riposte_s32;
typedef int64_t riposte_s64;
#else
typedef __u8 riposte_u8;
typedef __u16 riposte_u16;
typedef __u32 riposte_u32;
typedef __u64 riposte_u64;
typedef __s8 riposte_s8;
typedef __s32 riposte_s32;
typedef __s64 riposte_s64;
#endif

#define RIPOSTE_WIRE_VERSION 6

// ---------------------------------------------------------------- events

enum riposte_event_kind {
	RIPOSTE_EVENT_SYSCALL = 1,	// the end of a system call, failed ones too
	RIPOSTE_EVENT_EXEC = 2,		// a program was started, before its first instruction (sched_process_exec)
	RIPOSTE_EVENT_FORK = 3,		// a process or thread was made; the header is of the child (sched_process_fork)
	RIPOSTE_EVENT_EXIT = 4,		// a thread ends; a process, where pid == tid (sched_process_exit)
	RIPOSTE_EVENT_UPDATE = 5,	// what the process table keeps has changed: working directory, root, session, group, namespaces
};

enum riposte_event_flag {
	RIPOSTE_FLAG_COMPAT = 1,	// a call of the 32-bit ABI; nr is of that ABI
	RIPOSTE_FLAG_CUT = 2,		// an item is shorter than what it stands for
	RIPOSTE_FLAG_FAULT = 4,		// user memory could not be read; the item is missing
	RIPOSTE_FLAG_STATE_ONLY = 8,	// passed for the process table; no rule can match it
	RIPOSTE_FLAG_LAST_THREAD = 16,	// EXIT: the last thread of its process
	RIPOSTE_FLAG_DENIED = 32,	// SYSCALL: a reflex refused the call before it did anything. It is told as the success that it would have been: see RIPOSTE_DENIED_RESULT
	RIPOSTE_FLAG_REQUEST = 64,	// SYSCALL: a request of io_uring that does what the call does; nr and args are the call's, addresses of paths among them are 0
};

// What an open that was refused has as its result and its descriptor: a number that no descriptor has. A connect has 0.
#define RIPOSTE_DENIED_RESULT 0x7fffffff
// The descriptor of a request whose file is in the table of its ring alone. What looks at a descriptor does so to know whether there is a file.
#define RIPOSTE_NO_DESCRIPTOR 0x7fffffff

// One event: this header, then items until `size`.
struct riposte_event {
	riposte_u32 size;		// bytes, with all items; a multiple of 8
	riposte_u16 version;		// RIPOSTE_WIRE_VERSION
	riposte_u8 kind;		// enum riposte_event_kind
	riposte_u8 flags;		// enum riposte_event_flag
	riposte_u64 time;		// CLOCK_BOOTTIME, nanoseconds
	riposte_u64 start;		// start_boottime of the thread group leader, nanoseconds: with pid the identity of the process
	riposte_u32 pid;		// thread group id, as seen from the host
	riposte_u32 tid;
	riposte_s32 nr;			// system call number of the ABI at hand; of EXEC execve's or execveat's; -1 for none
	riposte_u32 cpu;
	riposte_s64 result;		// return value, negative errno; of EXIT task->exit_code
	riposte_u64 args[6];		// of FORK, args[0] is the parent's tid and args[1] the parent's tgid, args[2] the parent's leader's start; else 0
	riposte_u64 cgroup;		// id of the cgroup that names the container (kernfs id, and above it, from bit 48 on, its hierarchy); 0 unknown
	riposte_u64 cap_inheritable;
	riposte_u64 cap_permitted;
	riposte_u64 cap_effective;
	riposte_u32 uid;		// effective, as seen from the host
	riposte_u32 gid;
	riposte_u32 loginuid;		// 2^32-1: unset
	riposte_u32 mount_ns;		// inode numbers of namespaces
	riposte_u32 pid_ns;
	riposte_u32 vtid;		// tid in the innermost pid namespace
	riposte_u16 reflex;		// index + 1 of the reflex that held, 0 for none
	riposte_u8 reflex_outcome;	// enum riposte_reflex_outcome
	riposte_u8 has_parent;		// 1: parent_comm is a parent's, and empty where that has taken an empty name; 0: there is none
	riposte_s32 fd;			// the descriptor that the event makes or uses; -1 for none or a failed one, -100 AT_FDCWD
	riposte_u8 comm[16];		// of the thread, NUL padded
	riposte_u8 parent_comm[16];	// of the main thread of the process's parent; of what none has started, as process 1, nothing
};

enum riposte_reflex_outcome {
	RIPOSTE_REFLEX_WOULD = 1,	// mode observe or ask
	RIPOSTE_REFLEX_SENT = 2,	// the signal is on its way, before the next instruction in user space
	RIPOSTE_REFLEX_SPENT = 3,	// the budget is spent
	RIPOSTE_REFLEX_PROTECTED = 4,	// a guard of the kernel side
	RIPOSTE_REFLEX_FAILED = 5,
};

// Behind the header: items, each with its length, each beginning at a multiple of 8.
struct riposte_item {
	riposte_u16 type;		// enum riposte_item_type
	riposte_u16 length;		// bytes of data, without padding
	riposte_u32 detail;		// see the types; else 0
};

// Paths of the kernel's (BASE1, BASE2, FILE_PATH, EXE_PATH, CWD) that are longer than RIPOSTE_PATH_BYTES are told by their end, without a slash before it.
enum riposte_item_type {
	RIPOSTE_ITEM_PATH1 = 1,		// first path argument as given, without NUL. Of EXEC the file name that was given (bprm->filename)
	RIPOSTE_ITEM_PATH2 = 2,		// second path argument as given
	RIPOSTE_ITEM_BASE1 = 3,		// the directory that PATH1 is relative to, as the process sees it; only where PATH1 is relative. detail 1: unknown descriptor
	RIPOSTE_ITEM_BASE2 = 4,
	RIPOSTE_ITEM_FILE = 5,		// struct riposte_file: what `fd` refers to. detail: of a pidfd the process id, of a BPF object enum riposte_bpf_object; else 0
	RIPOSTE_ITEM_FILE_PATH = 6,	// the kernel's path of that file, as the process sees it (below its root), ` (deleted)` not appended: see riposte_file.flags
	RIPOSTE_ITEM_SOCKET = 7,	// struct riposte_socket: the socket that `fd` refers to
	RIPOSTE_ITEM_ADDRESS = 8,	// socket address that the caller passed (connect, bind, sendto, sendmsg) or got (recvfrom, recvmsg, accept): struct sockaddr, 128 bytes at most; empty: one that is not known
	RIPOSTE_ITEM_DATA = 9,		// what was moved, RIPOSTE_DATA_BYTES at most
	RIPOSTE_ITEM_PROCESS = 10,	// struct riposte_process. EXEC, FORK, UPDATE
	RIPOSTE_ITEM_EXE = 11,		// struct riposte_file of the executable. EXEC
	RIPOSTE_ITEM_EXE_PATH = 12,	// path of the executable, as the process sees it. EXEC
	RIPOSTE_ITEM_ARGUMENTS = 13,	// argv, each ended by NUL, RIPOSTE_TEXT_BYTES at most. EXEC
	RIPOSTE_ITEM_ENVIRONMENT = 14,	// the same of the environment. EXEC
	RIPOSTE_ITEM_CWD = 15,		// working directory as the process sees it, no slash at the end but of the root. EXEC, UPDATE
	RIPOSTE_ITEM_CGROUP = 16,	// path of the cgroup `cgroup` in its hierarchy; detail 1: its last components only. EXEC, FORK of a process; of SYSCALL and UPDATE where map `cgroups` does not have it
	RIPOSTE_ITEM_SOCKET_PATH = 17,	// path or abstract name (beginning with NUL) of a Unix socket's own or peer's address; detail 1: the peer's
	RIPOSTE_ITEM_EXTRA = 18,	// calls whose arguments are a structure in user memory: struct open_how of openat2, clone_args of clone3; as it was given, 64 bytes at most
	RIPOSTE_ITEM_OLD_FILE = 19,	// struct riposte_file of dup's first argument
};

// What a BPF object is, above its id.
enum riposte_bpf_object { RIPOSTE_BPF_ID = 0x0fffffff, RIPOSTE_BPF_MAP = 0x10000000, RIPOSTE_BPF_PROGRAM = 0x20000000, RIPOSTE_BPF_LINK = 0x30000000 };

#define RIPOSTE_TEXT_BYTES 4096
#define RIPOSTE_PATH_BYTES 4096
#define RIPOSTE_DATA_BYTES 80
#define RIPOSTE_EVENT_BYTES 32768

enum riposte_file_kind {		// Falco's fd.type
	RIPOSTE_FILE_UNKNOWN = 0, RIPOSTE_FILE_REGULAR, RIPOSTE_FILE_DIRECTORY, RIPOSTE_FILE_SOCKET, RIPOSTE_FILE_PIPE, RIPOSTE_FILE_EVENT,
	RIPOSTE_FILE_SIGNAL, RIPOSTE_FILE_EVENTPOLL, RIPOSTE_FILE_INOTIFY, RIPOSTE_FILE_TIMER, RIPOSTE_FILE_BPF, RIPOSTE_FILE_USERFAULTFD,
	RIPOSTE_FILE_IO_URING, RIPOSTE_FILE_MEMFD, RIPOSTE_FILE_PIDFD, RIPOSTE_FILE_DEVICE, RIPOSTE_FILE_LINK,
};

enum riposte_file_flag {
	RIPOSTE_FILE_UPPER_LAYER = 1,	// on an overlay, in its upper layer
	RIPOSTE_FILE_LOWER_LAYER = 2,	// on an overlay, in a lower one only
	RIPOSTE_FILE_UNLINKED = 4,	// no name leads to it any more
	RIPOSTE_FILE_WRITABLE = 8,	// EXE: the caller may write to it
	RIPOSTE_FILE_CREATED = 16,	// this call has made it (FMODE_CREATED)
	RIPOSTE_FILE_PATH_ONLY = 32,	// O_PATH
	RIPOSTE_FILE_FROM_MEMFD = 64,	// EXE: an unlinked tmpfs file named memfd:…
};

struct riposte_file {
	riposte_u8 kind;		// enum riposte_file_kind
	riposte_u8 flags;		// enum riposte_file_flag
	riposte_u16 mode;		// i_mode
	riposte_u32 dev;		// s_dev as stat(2) has it: makedev's form (new_encode_dev)
	riposte_u64 ino;
	riposte_s64 ctime;		// nanoseconds since 1970
	riposte_s64 mtime;
	riposte_u32 uid;		// owner
	riposte_u32 open_flags;		// f_flags
};

enum riposte_socket_role { RIPOSTE_ROLE_NONE = 0, RIPOSTE_ROLE_CLIENT = 1, RIPOSTE_ROLE_SERVER = 2 };

struct riposte_socket {
	riposte_u16 family;		// AF_INET, AF_INET6, AF_UNIX, …
	riposte_u8 type;		// SOCK_STREAM, …
	riposte_u8 protocol;		// IPPROTO_TCP, …
	riposte_u8 state;		// sk_state: TCP_ESTABLISHED …
	riposte_u8 role;		// enum riposte_socket_role; what this host's end is
	riposte_u16 local_port;		// host byte order
	riposte_u16 remote_port;
	riposte_u16 reserved;
	riposte_u32 backlog;		// sk_ack_backlog, of listening sockets
	riposte_u32 backlog_limit;	// sk_max_ack_backlog
	riposte_u32 net_ns;		// inode number of the network namespace
	riposte_u8 local[16];		// network byte order; IPv4 in the first four bytes
	riposte_u8 remote[16];
	riposte_u64 own;		// unix: address of the socket, as Falco prints it
	riposte_u64 peer;		// unix: address of the peer socket
};

struct riposte_process {
	riposte_u64 start;		// start_boottime of this thread
	riposte_u64 parent_start;	// of the parent's leader
	riposte_u32 parent;		// tgid of real_parent
	riposte_u32 session;		// as seen from the host; 0: outside
	riposte_u32 group;
	riposte_u32 vpid;		// tgid, session and group in the innermost pid namespace
	riposte_u32 vsession;
	riposte_u32 vgroup;
	riposte_u32 tty;		// device number as Falco and ps have it (major << 8 | minor), 0 for none
	riposte_u32 ns_level;		// of the pid namespace; 0: the host's
	riposte_u64 ns_init_start;	// start_boottime of the first process of the pid namespace
	riposte_u64 clone_flags;	// FORK: as far as known: CLONE_THREAD, CLONE_VM
	riposte_u64 fd_limit;		// RLIMIT_NOFILE
	riposte_u64 minor_faults;
	riposte_u64 major_faults;
	riposte_u64 vm_size;		// KiB
	riposte_u64 vm_rss;
	riposte_u64 vm_swap;
	riposte_u32 uid;		// real and saved ids are not told; those are the effective ones again
	riposte_u32 gid;
	riposte_u32 exe_is_set;		// 0 for kernel threads
	riposte_u32 thread_count;
};

// ---------------------------------------------------------------- what is wanted

// How one system call is read: which arguments are what. Argument numbers count from 0; -1: none.
struct riposte_call {
	riposte_u8 wanted;		// enum riposte_wanted
	riposte_u8 filter;		// which filter decides; 0: all pass
	riposte_u8 kind;		// enum riposte_call_kind
	riposte_u8 flags;		// enum riposte_call_flag
	riposte_s8 path1;		// path in user memory
	riposte_s8 base1;		// directory descriptor for it; -1: the working directory
	riposte_s8 path2;
	riposte_s8 base2;
	riposte_s8 fd;			// the descriptor that it uses; -2: the result
	riposte_s8 address;		// struct sockaddr *
	riposte_s8 address_length;	// its length; for calls that give one back a pointer to it
	riposte_s8 data;		// buffer
	riposte_s8 data_length;		// -2: the result says how much
	riposte_s8 open_flags;		// flags of an open
	riposte_s8 open_mode;
	riposte_s8 extra;		// structure in user memory (ITEM_EXTRA); its size is in the next argument, or 64
};

enum riposte_wanted {
	RIPOSTE_WANTED_RULES = 1,	// rules may match it
	RIPOSTE_WANTED_STATE = 2,	// emit UPDATE on success
	RIPOSTE_WANTED_BY_PATH = 4,	// an open: of what the call was given, the numbers that its filter tests are flags, mode, number and success alone
};

enum riposte_call_kind {
	RIPOSTE_CALL_PLAIN = 0,		// arguments, result, and what the members above name
	RIPOSTE_CALL_OPEN = 1,
	RIPOSTE_CALL_SOCKET = 2,	// uses or makes a socket
	RIPOSTE_CALL_MESSAGE = 3,	// struct msghdr * in `address`: its name is the address, its first vector the data
	RIPOSTE_CALL_EXEC = 4,		// only failures; successes come as EXEC
	RIPOSTE_CALL_VECTOR = 5,	// struct iovec * in `data`, count in `data_length`
};

enum riposte_call_flag {
	RIPOSTE_CALL_ADDRESS_BACK = 1,	// the address is given back by the kernel; `address_length` is a pointer
	RIPOSTE_CALL_FD_MAY_BE_FAILED = 2,
	RIPOSTE_CALL_OPEN_HOW = 4,	// openat2: flags and mode are in the structure at `extra`
	RIPOSTE_CALL_MESSAGES = 8,	// struct mmsghdr: sendmmsg, recvmmsg; each message that was moved is an event
	RIPOSTE_CALL_OLD_FD = 16,	// dup family: args[0] is the old descriptor, `fd` the result
	RIPOSTE_CALL_ACCEPT = 32,	// the result is a server's socket
	RIPOSTE_CALL_CONNECT = 64,	// makes a client of the socket
	RIPOSTE_CALL_BIND = 128,
};

#define RIPOSTE_CALLS 1024		// native numbers 0…511, those of the 32-bit ABI from 512 on

// ---------------------------------------------------------------- filters

// What an event must be like so that a rule could match it. Up to 64 tests ("atoms") of the event, each known to hold, known not to, or unknown:
// `can` has a bit for each atom that may hold, `must` for each that surely does. A clause is a conjunction; an event passes where one clause may
// hold, that is (positive & ~can) == 0 && (negative & must) == 0. A reflex acts only where its clause surely holds: (positive & ~must) == 0 &&
// (negative & can) == 0. Atoms that the kernel cannot work out for an event stay unknown, so nothing a rule would match is dropped.
#define RIPOSTE_ATOMS 64
#define RIPOSTE_CLAUSES 96
#define RIPOSTE_NUMBERS 40
#define RIPOSTE_FILTERS 64
#define RIPOSTE_REFLEXES 64

enum riposte_number_source {
	RIPOSTE_NUMBER_RESULT = 0,
	RIPOSTE_NUMBER_ARG0 = 1,	// … ARG5 = 6
	RIPOSTE_NUMBER_OPEN_FLAGS = 8,	// of open, openat, creat (O_CREAT|O_WRONLY|O_TRUNC), openat2; unknown where they cannot be read
	RIPOSTE_NUMBER_OPEN_MODE = 9,
	RIPOSTE_NUMBER_UID = 10,
	RIPOSTE_NUMBER_LOGINUID = 11,	// 2^32-1: unset
	RIPOSTE_NUMBER_FAMILY = 12,	// of the address that was passed, else of the socket; unknown where there is neither
	RIPOSTE_NUMBER_REMOTE_PORT = 13,	// of the address that was passed, else of the connected socket; unknown where there is neither
	RIPOSTE_NUMBER_FD = 14,		// the event's descriptor: the result of calls that make one, -1 where they failed
	RIPOSTE_NUMBER_CONTAINER = 15,	// 1 in a container, 0 on the host; unknown until user space has told (map `cgroups`)
	RIPOSTE_NUMBER_TTY = 16,	// unknown is allowed
	RIPOSTE_NUMBER_NR = 17,
	RIPOSTE_NUMBER_CAP_EFFECTIVE = 18,
	RIPOSTE_NUMBER_CAP_PERMITTED = 19,
	RIPOSTE_NUMBER_PROTOCOL = 20,	// IPPROTO of the socket
	RIPOSTE_NUMBER_EXE_FLAGS = 21,	// EXEC: riposte_file.flags of the executable
	RIPOSTE_NUMBER_VPID = 22,
	RIPOSTE_NUMBER_FILE_KIND = 23,	// riposte_file.kind of the event's descriptor; unknown without one
	RIPOSTE_NUMBER_NAME_HEAD = 24,	// the first eight bytes of comm as a little-endian number, NUL padded
	RIPOSTE_NUMBER_NAME_TAIL = 25,	// the other eight
	RIPOSTE_NUMBER_ARGUMENT_HEAD = 26,	// EXEC: the same of argv[0], as much of it as there is
};

enum riposte_number_operator {
	RIPOSTE_IS_EQUAL = 0,		// (value & mask) == number
	RIPOSTE_IS_LESS = 1,		// signed, of (value & mask)
	RIPOSTE_IS_GREATER = 2,
	RIPOSTE_HAS_ANY = 3,		// (value & mask) != 0
};

struct riposte_number_test {
	riposte_u8 source;		// enum riposte_number_source
	riposte_u8 operation;		// enum riposte_number_operator
	riposte_u8 atom;
	riposte_u8 reserved;
	riposte_u32 reserved2;
	riposte_u64 mask;
	riposte_s64 number;
};

struct riposte_clause {
	riposte_u64 positive;
	riposte_u64 negative;
	riposte_u32 reflex;		// index + 1 into `reflexes`, 0 for none: a clause of a reflex decides nothing else
	riposte_u32 before;		// enum riposte_before: of a reflex that acts, where it may be judged before the call has a result
};

// Hooks of security modules that ask before a call does anything. What a clause says must not depend on what is not known there.
enum riposte_before {
	RIPOSTE_BEFORE_OPEN = 1,	// the file is found, and nothing is done to it; the result is no failure, as far as is known
	RIPOSTE_BEFORE_CONNECT = 2,	// nothing was sent; nothing is known of the result
};

struct riposte_filter {
	riposte_u16 clause_count;
	riposte_u16 number_count;
	riposte_u32 before;		// enum riposte_before of any clause
	// Atoms by what decides them. An atom is in one of these, or decided by a number test, or stays unknown.
	riposte_u64 name_atoms;		// proc.name: comm
	riposte_u64 parent_atoms;	// proc.pname: comm of the parent's leader
	// About paths: what the caller gave and, of successful opens, what the kernel opened; where these differ (symbolic links, a race with user
	// memory), user space judges the event under both. So such an atom may hold where it may for either, and surely holds where it does for both.
	riposte_u64 file_name_atoms;	// last component of the path; unknown where it is empty, `.` or `..`
	riposte_u64 path_atoms;		// beginning of, or whole path; unknown for relative ones and those with `//`, `/.`, `..` in them or `/` at the end
	// The same of the call's second path (what a file is renamed to, the name that a link gets): of what the caller gave.
	riposte_u64 second_file_name_atoms;
	riposte_u64 second_path_atoms;
	riposte_u64 exe_atoms;		// beginning of, or whole path of the executable. EXEC only; elsewhere unknown
	riposte_u64 exe_name_atoms;	// its last component
	riposte_u64 network_atoms;	// remote address in a network
	// What the program was started with has a text in it: see `pieces`. Such an atom may hold or does not; it never surely holds. EXEC only.
	riposte_u64 argument_atoms;	// proc.name, a blank and the arguments; argv[0]
	riposte_u64 environment_atoms;
	riposte_u64 spared_atoms;	// last component of the program's file, if nobody but root can change that file, and the process is in no known container
	struct riposte_number_test numbers[RIPOSTE_NUMBERS];
	struct riposte_clause clauses[RIPOSTE_CLAUSES];
};

enum riposte_subject {
	RIPOSTE_SUBJECT_NAME = 1, RIPOSTE_SUBJECT_PARENT = 2, RIPOSTE_SUBJECT_FILE_NAME = 3, RIPOSTE_SUBJECT_EXE_NAME = 4,
	RIPOSTE_SUBJECT_SECOND_FILE_NAME = 9, RIPOSTE_SUBJECT_ARGUMENTS = 11, RIPOSTE_SUBJECT_ENVIRONMENT = 12,
	RIPOSTE_SUBJECT_SPARED = 13,	// map `names`
	RIPOSTE_SUBJECT_PATH = 5, RIPOSTE_SUBJECT_EXE = 6, RIPOSTE_SUBJECT_NETWORK4 = 7, RIPOSTE_SUBJECT_NETWORK6 = 8,
	RIPOSTE_SUBJECT_SECOND_PATH = 10,	// map `prefixes`
};

#define RIPOSTE_NAME_BYTES 60
#define RIPOSTE_PREFIX_BYTES 248

// Key of the hash map `names`: a whole text, NUL padded. Value: u64, the atoms that hold for it.
struct riposte_name_key {
	riposte_u8 generation;		// 0 or 1: which of the two sets of tables
	riposte_u8 filter;
	riposte_u8 subject;
	riposte_u8 length;
	riposte_u8 text[RIPOSTE_NAME_BYTES];
};

// Texts that may stand anywhere in another one are looked for by pieces of them: eight bytes, or four of those that are too short for that. For every
// occurrence of the text one of its pieces stands where it is looked for: in arguments at every place, in environments, which are long, at every fourth. So
// of the first a text has one piece, and of the second four, each a byte further on.
//
// Bytes are compared with bit 5 set: letters without regard to case, and NUL as a blank. Entries of `names` have the piece so as their text; `pieces`, an array
// by generation * RIPOSTE_FILTERS + filter, has a bit for the first four bytes of each, by riposte_piece_place().
#define RIPOSTE_PIECE_WORDS 32
#define RIPOSTE_PIECE_FOLD 0x2020202020202020ULL

struct riposte_pieces {
	riposte_u64 arguments[RIPOSTE_PIECE_WORDS];
	riposte_u64 environment[RIPOSTE_PIECE_WORDS];
};

static inline riposte_u32 riposte_piece_place(riposte_u32 head)
{
	return (head * 0x9e3779b1u) >> 21;	// less than RIPOSTE_PIECE_WORDS * 64
}

// Key of the LPM trie `prefixes`. A whole text is a prefix with its NUL; networks are their address bytes. Value: u64, the atoms that hold for
// whatever begins so, those of shorter prefixes included.
struct riposte_prefix_key {
	riposte_u32 bits;		// 24 for the three bytes below, and those of the text
	riposte_u8 generation;
	riposte_u8 filter;
	riposte_u8 subject;
	riposte_u8 text[RIPOSTE_PREFIX_BYTES - 7];
};

// One reflex; map `reflexes`, an array by generation * RIPOSTE_REFLEXES + index.
struct riposte_reflex {
	riposte_u32 acts;		// 1: sends the signal; 0: only says that it would have
	riposte_u32 signal;
	riposte_u64 budget_index;	// into map `budgets`
};

// Map `budgets`: what is left, by playbook; user space fills it up as time passes.
struct riposte_budget {
	riposte_s64 left;
	riposte_u64 used;
	riposte_u64 unrecorded;		// of these, whose event found no room in its ring
};

#define RIPOSTE_FOLDER_BYTES 256

// Map `control`, one entry, mapped into user space.
struct riposte_control {
	riposte_u32 generation;		// counts up; its lowest bit says which of the two sets of tables is in force
	riposte_u32 self;		// tgid of the agent: its own calls are no events, but for tampering
	riposte_u64 self_start;
	riposte_u32 filters_off;	// 1: everything that is wanted passes
	riposte_u32 exits_judged;	// 1: rules may match EXIT, so the reader is woken for each
	// For programs that outlive the agent.
	riposte_u32 version;		// RIPOSTE_WIRE_VERSION of whoever has loaded them
	riposte_u32 unattended;		// 1: the agent has ended; no reflex acts, as nobody guards or records it
	riposte_u64 since;		// CLOCK_BOOTTIME in nanoseconds: what is older was told by the programs before these; 0: there were none
	riposte_u64 told_lost;		// how many lost events the agent has told of
	riposte_u64 mount_ns;		// inode number of the agent's mount namespace, and what in it the agent's state folder is called, ended by NUL;
	riposte_u8 state_folder[RIPOSTE_FOLDER_BYTES];	// nothing where that is longer
	struct riposte_call calls[2][RIPOSTE_CALLS];
};

// Map `counters`, per CPU, one entry.
struct riposte_counters {
	riposte_u64 seen[RIPOSTE_CALLS];	// calls that were looked at, starts of programs too
	riposte_u64 passed[RIPOSTE_CALLS];	// of these, handed to user space, starts of programs at once
	riposte_u64 dropped[RIPOSTE_CALLS];	// lost: the ring was full
	riposte_u64 state_passed[8];		// by kind: EXEC, FORK, EXIT, UPDATE
	riposte_u64 state_dropped[8];
};

#endif
