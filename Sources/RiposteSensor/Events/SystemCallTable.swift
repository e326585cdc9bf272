/// The rows that ``SystemCall`` is read from: every system call of Linux on x86-64, arm64 and their 32-bit companions.
///
/// `name numbers… category flags | arguments | kernel side`. Calls that differ only in the width of an argument (`setuid32`, `ppoll_time64`,
/// `pread64`) are one row under Falco's name for them.
///
/// - numbers: of x86-64, arm64, i386, arm (EABI); `-` where the ABI lacks the call. Sources: asm/unistd_64.h, asm-generic/unistd.h,
///   asm/unistd_32.h, asm/unistd-eabi.h of Linux 6.1, and what was added since.
/// - category: Falco's; `io` is file, net or ipc by what the descriptor is.
/// - flags: C makes a descriptor, U uses one, R reads from it, W writes to it, X makes the thread wait.
/// - arguments: `name:kind:source` in Falco's order (spec: fields.md 5); kinds are those of ``SystemCall/Argument/Kind``, `f.`, `e.` and `m.`
///   name a table of ``ValueNames``. Source: a register 0…5, `r` the result, of paths and texts the item PATH1 or PATH2.
/// - kernel side: members of `riposte_call`, with argument numbers from 0 and `r` for the result.
enum SystemCallTable {
    static let text = """
        _sysctl 156 - 149 149 other -
        accept 43 202 - 285 net C | fd:fd:r tuple:tuple queuepct:qpct queuelen:qlen queuemax:qmax | socket fd=r addr=1 alen=2 back accept
        accept4 288 242 364 366 net C | fd:fd:r tuple:tuple queuepct:qpct queuelen:qlen queuemax:qmax flags:x32:3 | socket fd=r addr=1 alen=2 back accept
        access 21 - 33 33 file - | res:err:r name:path:1 mode:f.access:1 | path1=0
        acct 163 89 51 51 system - | res:err:r filename:path:1 | path1=0
        add_key 248 217 286 309 other -
        adjtimex 159 171 124 124 other -
        alarm 37 - 27 - other -
        arch_prctl 158 - 384 - other -
        bdflush - - 134 134 other -
        bind 49 200 361 282 net U | res:err:r addr:addr fd:fd:0 | socket fd=0 addr=1 alen=2 bind
        bpf 321 280 357 386 other C | fd:fd:r cmd:e.bpf:0 | fd=r
        brk 12 214 45 45 memory - | res:x64:r vm_size:none vm_rss:none vm_swap:none addr:x64:0
        cachestat 451 451 451 451 other -
        capget 125 90 184 184 other -
        capset 126 91 185 185 process - | res:err:r cap_inheritable:capi cap_permitted:capp cap_effective:cape
        chdir 80 49 12 12 file - | res:err:r path:text:1 | path1=0
        chmod 90 - 15 15 file - | res:err:r filename:path:1 mode:m.chmod:1 | path1=0
        chown 92 - 182,212 182,212 file - | res:err:r path:path:1 uid:u32:1 gid:u32:2 | path1=0
        chroot 161 51 61 61 process - | res:err:r path:path:1 | path1=0
        clock_adjtime 305 266 343,405 372,405 other -
        clock_getres 229 114 266,406 264,406 other -
        clock_gettime 228 113 265,403 263,403 other -
        clock_nanosleep 230 115 267,407 265,407 sleep X | res:err:r
        clock_settime 227 112 264,404 262,404 other -
        clone 56 220 120 120 process - | res:pid:r exe:exe args:args tid:tid pid:tgid ptid:ptid cwd:cwd fdlimit:fdlimit pgft_maj:majflt pgft_min:minflt vm_size:vmsize \
        vm_rss:vmrss vm_swap:vmswap comm:comm cgroups:cgroups flags:f.clone:0 uid:u32id gid:g32id vtid:vtid vpid:vpid pidns_init_start_ts:nsinit
        clone3 435 435 435 435 process - | res:pid:r exe:exe args:args tid:tid pid:tgid ptid:ptid cwd:cwd fdlimit:fdlimit pgft_maj:majflt pgft_min:minflt vm_size:vmsize \
        vm_rss:vmrss vm_swap:vmswap comm:comm cgroups:cgroups flags:f.clone:x uid:u32id gid:g32id vtid:vtid vpid:vpid pidns_init_start_ts:nsinit | extra=0
        close 3 57 6 6 io U | res:err:r fd:fd:0 | fd=0
        close_range 436 436 436 436 io - | res:err:r first:u32:0 last:u32:1 flags:f.close_range:2
        connect 42 203 362 283 net U | res:err:r tuple:tuple fd:fd:0 addr:addr | socket fd=0 addr=1 alen=2 connect
        copy_file_range 326 285 377 391 file URW | res:err:r fdout:fd:2 offout:none fdin:fd:0 offin:none len:u64:4 | fd=0
        creat 85 - 8 8 file C | fd:fd:r name:path:1 mode:omode dev:dev ino:ino creat_flags:creatflags | open path1=0 fd=r omode=1
        create_module 174 - 127 - other -
        delete_module 176 106 129 129 other - | res:err:r name:text:1 flags:f.delete_module:1 | path1=0
        dup 32 23 41 41 io CU | res:fd:r oldfd:fd:0 | fd=r old
        dup2 33 - 63 63 io CU | res:fd:r oldfd:fd:0 newfd:fd:1 | fd=r old
        dup3 292 24 330 358 io CU | res:fd:r oldfd:fd:0 newfd:fd:1 flags:f.file:2 | fd=r old
        epoll_create 213 - 254 250 wait C | res:err:r size:i32:0 | fd=r
        epoll_create1 291 20 329 357 wait C | res:err:r flags:f.epoll_create1:0 | fd=r
        epoll_ctl 233 21 255 251 wait U | res:err:r fd:fd:0 | fd=0
        epoll_ctl_old 214 - - - other -
        epoll_pwait 281 22 319 346 wait X | res:err:r maxevents:err:2
        epoll_pwait2 441 441 441 441 wait X | res:err:r maxevents:err:2
        epoll_wait 232 - 256 252 wait X | res:err:r maxevents:err:2
        epoll_wait_old 215 - - - other -
        eventfd 284 - 323 351 IPC C | res:fd:r initval:u64:0 flags:none | fd=r
        eventfd2 290 19 328 356 IPC C | res:fd:r flags:f.file:1 initval:u64:0 | fd=r
        execve 59 221 11 11 process - | res:err:r exe:exe args:args tid:tid pid:tgid ptid:ptid cwd:cwd fdlimit:fdlimit pgft_maj:majflt pgft_min:minflt vm_size:vmsize \
        vm_rss:vmrss vm_swap:vmswap comm:comm cgroups:cgroups env:env tty:tty vpgid:vpgid loginuid:loginuid flags:exeflags cap_inheritable:capi cap_permitted:capp \
        cap_effective:cape exe_ino:exeino exe_ino_ctime:exectime exe_ino_mtime:exemtime uid:euid trusted_exepath:exepath pgid:pgid gid:egid filename:path:1 | exec path1=0
        execveat 322 281 358 387 process - | res:err:r exe:exe args:args tid:tid pid:tgid ptid:ptid cwd:cwd fdlimit:fdlimit pgft_maj:majflt pgft_min:minflt vm_size:vmsize \
        vm_rss:vmrss vm_swap:vmswap comm:comm cgroups:cgroups env:env tty:tty vpgid:vpgid loginuid:loginuid flags:exeflags cap_inheritable:capi cap_permitted:capp \
        cap_effective:cape exe_ino:exeino exe_ino_ctime:exectime exe_ino_mtime:exemtime uid:euid trusted_exepath:exepath pgid:pgid gid:egid | exec path1=1 base1=0
        exit 60 93 1 1 other -
        exit_group 231 94 252 248 other -
        faccessat 269 48 307 334 file U | res:err:r dirfd:fd:0 pathname:path:1 mode:f.access:2 | path1=1 base1=0 fd=0
        faccessat2 439 439 439 439 file U | res:err:r dirfd:fd:0 pathname:path:1 mode:f.access:2 flags:x32:3 | path1=1 base1=0 fd=0
        fadvise64 221 223 250,272 270 other -
        fallocate 285 47 324 352 file U | res:err:r fd:fd:0 mode:x32:1 offset:u64:2 len:u64:3 | fd=0
        fanotify_init 300 262 338 367 file C | fd:fd:r flags:x32:0 event_f_flags:x32:1 | fd=r
        fanotify_mark 301 263 339 368 file U | res:err:r fd:fd:0 flags:x32:1 mask:x64:2 dirfd:fd:3 pathname:path:1 | path1=4 base1=3 fd=0
        fchdir 81 50 133 133 file U | res:err:r fd:fd:0 | fd=0
        fchmod 91 52 94 94 file U | res:err:r fd:fd:0 mode:m.chmod:1 | fd=0
        fchmodat 268 53 306 333 file U | res:err:r dirfd:fd:0 filename:path:1 mode:m.chmod:2 | path1=1 base1=0 fd=0
        fchmodat2 452 452 452 452 file U | res:err:r dirfd:fd:0 filename:path:1 mode:m.chmod:2 flags:f.fstatat:3 | path1=1 base1=0 fd=0
        fchown 93 55 95,207 95,207 file U | res:err:r fd:fd:0 uid:u32:1 gid:u32:2 | fd=0
        fchownat 260 54 298 325 file U | res:err:r dirfd:fd:0 pathname:path:1 uid:u32:2 gid:u32:3 flags:f.fchownat:4 | path1=1 base1=0 fd=0
        fcntl 72 25 55,221 55,221 io U | res:fd:r fd:fd:0 cmd:e.fcntl:1 arg:x64:2 | fd=0
        fdatasync 75 83 148 148 file U | res:err:r fd:fd:0 | fd=0
        fgetxattr 193 10 231 231 file U | res:err:r fd:fd:0 name:text:2 | fd=0 path2=1
        file_getattr 468 468 468 468 other -
        file_setattr 469 469 469 469 other -
        finit_module 313 273 350 379 other UR | res:err:r fd:fd:0 uargs:text:1 flags:f.finit_module:2 | path1=1 fd=0
        flistxattr 196 13 234 234 other -
        flock 73 32 143 143 file U | res:err:r fd:fd:0 operation:f.flock:1 | fd=0
        fork 57 - 2 2 process - | res:pid:r exe:exe args:args tid:tid pid:tgid ptid:ptid cwd:cwd fdlimit:fdlimit pgft_maj:majflt pgft_min:minflt vm_size:vmsize vm_rss:vmrss \
        vm_swap:vmswap comm:comm cgroups:cgroups flags:none uid:u32id gid:g32id vtid:vtid vpid:vpid pidns_init_start_ts:nsinit
        fremovexattr 199 16 237 237 file U | res:err:r fd:fd:0 name:text:2 | fd=0 path2=1
        fsconfig 431 431 431 431 system U | res:err:r fd:fd:0 cmd:e.fsconfig:1 key:text:1 value_bytebuf:none value_charbuf:none aux:i32:4 | path1=2 fd=0
        fsetxattr 190 7 228 228 file U | res:err:r fd:fd:0 name:text:2 | fd=0 path2=1
        fsmount 432 432 432 432 system C | fd:fd:r fs_fd:fd:0 flags:x32:1 | fd=r
        fsopen 430 430 430 430 system C | fd:fd:r fsname:text:1 flags:x32:1 | path1=0 fd=r
        fspick 433 433 433 433 system C | fd:fd:r dirfd:fd:0 path:path:1 flags:x32:2 | path1=1 base1=0 fd=r
        fstat 5 80 108 108 file U | res:err:r fd:fd:0 | fd=0
        fstat64 - - 197 197 file U | res:err:r | fd=0
        fstatat64 - - 300 327 file U | res:err:r dirfd:fd:0 path:path:1 flags:f.fstatat:3 | path1=1 base1=0 fd=0
        fstatfs 138 44 100 100 file U | res:err:r fd:fd:0 | fd=0
        fstatfs64 - - 269 267 other -
        fsync 74 82 118 118 file U | res:err:r fd:fd:0 | fd=0
        ftruncate 77 46 93,194 93,194 file U | res:err:r fd:fd:0 length:u64:1 | fd=0
        futex 202 98 240,422 240,422 IPC - | res:err:r addr:x64:0 op:f.futex:1 val:u64:2
        futex_requeue 456 456 456 456 other -
        futex_wait 455 455 455 455 other -
        futex_waitv 449 449 449 449 other -
        futex_wake 454 454 454 454 other -
        futimesat 261 - 299 326 file U | res:err:r dirfd:fd:0 pathname:path:1 | path1=1 base1=0 fd=0
        get_kernel_syms 177 - 130 - other -
        get_mempolicy 239 236 275 320 other -
        get_robust_list 274 100 312 339 other -
        get_thread_area 211 - 244 - other -
        getcpu 309 168 318 345 other -
        getcwd 79 17 183 183 file - | res:err:r path:none
        getdents 78 - 141 141 file U | res:err:r fd:fd:0 | fd=0
        getdents64 217 61 220 217 file U | res:err:r fd:fd:0 | fd=0
        getegid 108 177 50,202 50,202 user - | egid:gid:r
        geteuid 107 175 49,201 49,201 user - | euid:uid:r
        getgid 104 176 47,200 47,200 user - | gid:gid:r
        getgroups 115 158 80,205 80,205 other -
        getitimer 36 102 105 105 other -
        getpeername 52 205 368 287 net - | 
        getpgid 121 155 132 132 other -
        getpgrp 111 - 65 65 other -
        getpid 39 172 20 20 other -
        getpmsg 181 - 188 - other -
        getppid 110 173 64 64 other -
        getpriority 140 141 96 96 other -
        getrandom 318 278 355 384 other -
        getresgid 120 150 171,211 171,211 user - | res:err:r rgid:none egid:none sgid:none
        getresuid 118 148 165,209 165,209 user - | res:err:r ruid:none euid:none suid:none
        getrlimit 97 163 76,191 191 process - | res:err:r cur:none max:none resource:e.rlimit:0
        getrusage 98 165 77 77 other -
        getsid 124 156 147 147 other -
        getsockname 51 204 367 286 net - | 
        getsockopt 55 209 365 295 net U | res:err:r fd:fd:0 level:e.sockopt_level:1 optname:e.sockopt:2 val:none optlen:none | socket fd=0
        gettid 186 178 224 224 other -
        gettimeofday 96 169 78 78 other -
        getuid 102 174 24,199 24,199 user - | uid:uid:r
        getxattr 191 8 229 229 file - | res:err:r path:path:1 name:text:2 | path1=0 path2=1
        getxattrat 464 464 464 464 other -
        idle - - 112 - other -
        init_module 175 105 128 128 other - | res:err:r img:none length:u64:1 uargs:text:1 | path1=2
        inotify_add_watch 254 27 292 317 IPC U | res:err:r fd:fd:0 pathname:path:1 mask:x32:2 | path1=1 fd=0
        inotify_init 253 - 291 316 IPC C | res:fd:r flags:none | fd=r
        inotify_init1 294 26 332 360 IPC C | res:fd:r flags:f.file:0 | fd=r
        inotify_rm_watch 255 28 293 318 other -
        io_cancel 210 3 249 247 other -
        io_destroy 207 1 246 244 other -
        io_getevents 208 4 247 245 other -
        io_pgetevents 333 292 385,416 399,416 other -
        io_setup 206 0 245 243 other -
        io_submit 209 2 248 246 other -
        io_uring_enter 426 426 426 426 io U | res:err:r fd:fd:0 to_submit:u32:1 min_complete:u32:2 flags:f.io_uring_enter:3 sig:none | fd=0
        io_uring_register 427 427 427 427 io U | res:err:r fd:fd:0 opcode:e.io_uring_register:1 arg:x64:2 nr_args:u32:3 | fd=0
        io_uring_setup 425 425 425 425 io C | res:err:r entries:u32:0 sq_entries:none cq_entries:none flags:none sq_thread_cpu:none sq_thread_idle:none features:none | fd=r
        ioctl 16 29 54 54 io U | res:err:r fd:fd:0 request:x64:1 argument:x64:2 | fd=0
        ioperm 173 - 101 - system - | res:err:r from:x64:0 num:u64:1 turn_on:i32:2
        iopl 172 - 110 - system - | res:err:r level:i32:0
        ioprio_get 252 31 290 315 other -
        ioprio_set 251 30 289 314 other -
        ipc - - 117 - other -
        kcmp 312 272 349 378 other -
        kexec_file_load 320 294 - 401 system - | res:err:r kernel_fd:fd:0 initrd_fd:fd:1 flags:x64:4
        kexec_load 246 104 283 347 system - | res:err:r entry:x64:0 nr_segments:u64:1 flags:x64:3
        keyctl 250 219 288 311 other - | res:err:r operation:e.keyctl:0 arg2:u64:1 arg3:u64:2 arg4:u64:3 arg5:u64:4
        kill 62 129 37 37 signal - | res:err:r pid:pid:0 sig:sig:1
        landlock_add_rule 445 445 445 445 other -
        landlock_create_ruleset 444 444 444 444 other -
        landlock_restrict_self 446 446 446 446 other -
        lchown 94 - 16,198 16,198 file - | res:err:r path:path:1 uid:u32:1 gid:u32:2 | path1=0
        lgetxattr 192 9 230 230 file - | res:err:r path:path:1 name:text:2 | path1=0 path2=1
        link 86 - 9 9 file - | res:err:r oldpath:path:1 newpath:path:2 | path1=0 path2=1
        linkat 265 37 303 330 file - | res:err:r olddir:fd:0 oldpath:path:1 newdir:fd:2 newpath:path:2 flags:f.linkat:4 | path1=1 base1=0 path2=3 base2=2
        listen 50 201 363 284 net U | res:err:r fd:fd:0 backlog:i32:1 | socket fd=0
        listmount 458 458 458 458 other -
        listns 470 470 470 470 other -
        listxattr 194 11 232 232 other -
        listxattrat 465 465 465 465 other -
        llistxattr 195 12 233 233 other -
        llseek - - 140 140 file U | res:err:r fd:fd:0 offset:u64:2 whence:e.whence:4 | fd=0
        lookup_dcookie 212 18 253 249 other -
        lremovexattr 198 15 236 236 file - | res:err:r path:path:1 name:text:2 | path1=0 path2=1
        lseek 8 62 19 19 file U | res:err:r fd:fd:0 offset:u64:1 whence:e.whence:2 | fd=0
        lsetxattr 189 6 227 227 file - | res:err:r path:path:1 name:text:2 | path1=0 path2=1
        lsm_get_self_attr 459 459 459 459 other -
        lsm_list_modules 461 461 461 461 other -
        lsm_set_self_attr 460 460 460 460 other -
        lstat 6 - 107 107 file - | res:err:r path:path:1 | path1=0
        lstat64 - - 196 196 file - | res:err:r path:path:1 | path1=0
        madvise 28 233 219 220 other -
        map_shadow_stack 453 453 453 453 other -
        mbind 237 235 274 319 other -
        membarrier 324 283 375 389 other -
        memfd_create 319 279 356 385 memory C | fd:fd:r name:text:1 flags:f.memfd:1 | path1=0 fd=r
        memfd_secret 447 447 447 - memory C | fd:fd:r flags:x32:0 | fd=r
        migrate_pages 256 238 294 400 other -
        mincore 27 232 218 219 other -
        mkdir 83 - 39 39 file - | res:err:r path:path:1 mode:x32:1 | path1=0
        mkdirat 258 34 296 323 file U | res:err:r dirfd:fd:0 path:path:1 mode:x32:2 | path1=1 base1=0 fd=0
        mknod 133 - 14 14 other - | res:err:r path:path:1 mode:m.mknod:1 dev:dev32:2 | path1=0
        mknodat 259 33 297 324 other U | res:err:r dirfd:fd:0 path:path:1 mode:m.mknod:2 dev:dev32:3 | path1=1 base1=0 fd=0
        mlock 149 228 150 150 memory - | res:err:r addr:x64:0 len:u64:1
        mlock2 325 284 376 390 memory - | res:err:r addr:x64:0 len:u64:1 flags:f.mlock2:2
        mlockall 151 230 152 152 memory - | res:err:r flags:f.mlockall:0
        mmap 9 222 90 - memory U | res:errx:r vm_size:none vm_rss:none vm_swap:none addr:x64:0 length:u64:1 prot:f.prot:2 flags:f.mmap:3 fd:fd:4 offset:u64:5 | fd=4
        mmap2 - - 192 192 memory U | res:errx:r vm_size:none vm_rss:none vm_swap:none addr:x64:0 length:u64:1 prot:f.prot:2 flags:f.mmap:3 fd:fd:4 pgoffset:u64:5 | fd=4
        modify_ldt 154 - 123 - other -
        mount 165 40 21 21 file - | res:err:r dev:text:1 dir:path:2 type:none flags:f.mount:3 | path1=0 path2=1
        mount_setattr 442 442 442 442 file U | res:err:r dirfd:fd:0 path:path:1 flags:x32:2 | path1=1 base1=0 fd=0
        move_mount 429 429 429 429 file - | res:err:r from_dirfd:fd:0 from_path:path:1 to_dirfd:fd:2 to_path:path:2 flags:x32:4 | path1=1 base1=0 path2=3 base2=2
        move_pages 279 239 317 344 other -
        mprotect 10 226 125 125 memory - | res:err:r addr:x64:0 length:u64:1 prot:f.prot:2
        mq_getsetattr 245 185 282 279 other -
        mq_notify 244 184 281 278 other -
        mq_open 240 180 277 274 other -
        mq_timedreceive 243 183 280,419 277,419 other -
        mq_timedsend 242 182 279,418 276,418 other -
        mq_unlink 241 181 278 275 other -
        mremap 25 216 163 163 other -
        mseal 462 462 462 462 other -
        msgctl 71 187 402 304 other -
        msgget 68 186 399 303 other -
        msgrcv 70 188 401 302 other -
        msgsnd 69 189 400 301 other -
        msync 26 227 144 144 other -
        munlock 150 229 151 151 memory - | res:err:r addr:x64:0 len:u64:1
        munlockall 152 231 153 153 memory - | res:err:r
        munmap 11 215 91 91 memory - | res:err:r vm_size:none vm_rss:none vm_swap:none addr:x64:0 length:u64:1
        name_to_handle_at 303 264 341 370 file U | res:err:r dirfd:fd:0 pathname:path:1 | path1=1 base1=0 fd=0
        nanosleep 35 101 162 162 sleep X | res:err:r interval:none
        newfstatat 262 79 - - file U | res:err:r dirfd:fd:0 path:path:1 flags:f.fstatat:3 | path1=1 base1=0 fd=0
        nfsservctl 180 42 169 169 other -
        nice - - 34 34 other -
        oldfstat - - 28 - other -
        oldlstat - - 84 - other -
        oldolduname - - 59 - other -
        oldstat - - 18 - other -
        olduname - - 109 - other -
        open 2 - 5 5 file C | fd:fd:r name:path:1 flags:oflags mode:omode dev:dev ino:ino | open path1=0 fd=r oflags=1 omode=2
        open_by_handle_at 304 265 342 371 file C | fd:fd:r mountfd:fd:0 flags:oflags path:kernelpath dev:dev ino:ino | open fd=r oflags=2
        open_tree 428 428 428 428 file C | fd:fd:r dirfd:fd:0 path:path:1 flags:x32:2 | path1=1 base1=0 fd=r
        open_tree_attr 467 467 467 467 file C | fd:fd:r dirfd:fd:0 path:path:1 flags:x32:2 | path1=1 base1=0 fd=r
        openat 257 56 295 322 file C | fd:fd:r dirfd:fd:0 name:path:1 flags:oflags mode:omode dev:dev ino:ino | open path1=1 base1=0 fd=r oflags=2 omode=3
        openat2 437 437 437 437 file C | fd:fd:r dirfd:fd:0 name:path:1 flags:oflags mode:omode resolve:resolve dev:dev ino:ino | open path1=1 base1=0 fd=r extra=2 how
        pause 34 - 29 29 other -
        pciconfig_iobase - - - 271 other -
        pciconfig_read - - - 272 other -
        pciconfig_write - - - 273 other -
        perf_event_open 298 241 336 364 other C | fd:fd:r pid:pid:1 cpu:i32:2 group_fd:fd:3 flags:x64:4 | fd=r
        personality 135 92 136 136 other -
        pidfd_getfd 438 438 438 438 process C | fd:fd:r pid_fd:fd:0 target_fd:fd:1 flags:x32:2 | fd=r
        pidfd_open 434 434 434 434 process C | fd:fd:r pid:pid:0 flags:f.pidfd:1 | fd=r
        pidfd_send_signal 424 424 424 424 signal U | res:err:r pidfd:fd:0 sig:sig:1 | fd=0
        pipe 22 - 42 42 IPC - | res:err:r fd1:none fd2:none ino:none
        pipe2 293 59 331 359 IPC - | res:err:r fd1:none fd2:none ino:none flags:f.file:1
        pivot_root 155 41 217 218 process - | res:err:r new_root:path:1 put_old:path:2 | path1=0 path2=1
        pkey_alloc 330 289 381 395 other -
        pkey_free 331 290 382 396 other -
        pkey_mprotect 329 288 380 394 memory - | res:err:r addr:x64:0 length:u64:1 prot:f.prot:2 pkey:i32:3
        poll 7 - 168 168 wait X | res:err:r fds:none timeout:i64:2
        ppoll 271 73 309,414 336,414 wait X | res:err:r fds:none timeout:none sigmask:none
        prctl 157 167 172 172 process - | res:err:r option:e.prctl:0 arg2_str:prctlname arg2_int:i64:1
        pread 17 67 180 180 io UR | res:err:r data:data fd:fd:0 size:u32:2 pos:u64:3 | fd=0 data=1 dlen=r
        preadv 295 69 333 361 io UR | res:err:r size:u32:r data:data fd:fd:0 pos:u64:3 | vector fd=0 data=1 dlen=2
        preadv2 327 286 378 392 io UR | res:err:r size:u32:r data:data fd:fd:0 pos:u64:3 | vector fd=0 data=1 dlen=2
        prlimit 302 261 340 369 process - | res:err:r newcur:none newmax:none oldcur:none oldmax:none pid:i64:0 resource:e.rlimit:1
        process_madvise 440 440 440 440 other -
        process_mrelease 448 448 448 448 other -
        process_vm_readv 310 270 347 376 IPC - | res:i64:r pid:pid:0 data:none
        process_vm_writev 311 271 348 377 IPC - | res:i64:r pid:pid:0 data:none
        pselect6 270 72 308,413 335,413 wait X | res:err:r
        ptrace 101 117 26 26 process - | res:err:r addr:x64:2 data:x64:3 request:e.ptrace:0 pid:pid:1
        pwrite 18 68 181 181 io UW | res:err:r data:data fd:fd:0 size:u32:2 pos:u64:3 | fd=0 data=1 dlen=2
        pwritev 296 70 334 362 io UW | res:err:r data:data fd:fd:0 size:u32:r pos:u64:3 | vector fd=0 data=1 dlen=2
        pwritev2 328 287 379 393 io UW | res:err:r size:u32:r data:data fd:fd:0 pos:u64:3 | vector fd=0 data=1 dlen=2
        query_module 178 - 167 - other -
        quotactl 179 60 131 131 user - | res:err:r special:text:1 quotafilepath:text:2 dqb_bhardlimit:none dqb_bsoftlimit:none dqb_curspace:none dqb_ihardlimit:none \
        dqb_isoftlimit:none dqb_btime:none dqb_itime:none dqi_bgrace:none dqi_igrace:none dqi_flags:none quota_fmt_out:none cmd:quotacmd:0 type:quotatype:0 id:u32:2 \
        quota_fmt:none | path1=1
        quotactl_fd 443 443 443 443 other -
        read 0 63 3 3 io UR | res:err:r data:data fd:fd:0 size:u32:2 | fd=0 data=1 dlen=r
        readahead 187 213 225 225 other -
        readdir - - 89 - other -
        readlink 89 - 85 85 file - | res:err:r path:path:1 | path1=0
        readlinkat 267 78 305 332 file U | res:err:r dirfd:fd:0 path:path:1 | path1=1 base1=0 fd=0
        readv 19 65 145 145 io UR | res:err:r size:u32:r data:data fd:fd:0 | vector fd=0 data=1 dlen=2
        reboot 169 142 88 88 system - | res:err:r magic:x32:0 magic2:x32:1 cmd:x32:2
        recv - - - 291 io UR | res:err:r data:data fd:fd:0 size:u32:2 tuple:tuple | socket fd=0 data=1 dlen=r
        recvfrom 45 207 371 292 io UR | res:err:r data:data tuple:tuple fd:fd:0 size:u32:2 | socket fd=0 addr=4 alen=5 data=1 dlen=r back
        recvmmsg 299 243 337,417 365,417 io UR | res:err:r fd:fd:0 size:u32:r data:data tuple:tuple msgcontrol:none | message fd=0 addr=1 back messages
        recvmsg 47 212 372 297 io UR | res:err:r size:u32:r data:data tuple:tuple msgcontrol:none fd:fd:0 | message fd=0 addr=1 back
        remap_file_pages 216 234 257 253 other -
        removexattr 197 14 235 235 file - | res:err:r path:path:1 name:text:2 | path1=0 path2=1
        removexattrat 466 466 466 466 other -
        rename 82 - 38 38 file - | res:err:r oldpath:path:1 newpath:path:2 | path1=0 path2=1
        renameat 264 38 302 329 file - | res:err:r olddirfd:fd:0 oldpath:path:1 newdirfd:fd:2 newpath:path:2 | path1=1 base1=0 path2=3 base2=2
        renameat2 316 276 353 382 file - | res:err:r olddirfd:fd:0 oldpath:path:1 newdirfd:fd:2 newpath:path:2 flags:f.rename:4 | path1=1 base1=0 path2=3 base2=2
        request_key 249 218 287 310 other -
        restart_syscall 219 128 0 0 other -
        rmdir 84 - 40 40 file - | res:err:r path:path:1 | path1=0
        rseq 334 293 386 398 other -
        rseq_slice_yield 471 471 471 471 other -
        rt_sigaction 13 134 174 174 other -
        rt_sigpending 127 136 176 176 other -
        rt_sigprocmask 14 135 175 175 other -
        rt_sigqueueinfo 129 138 178 178 signal - | res:err:r pid:pid:0 sig:sig:1
        rt_sigreturn 15 139 173 173 other -
        rt_sigsuspend 130 133 179 179 other -
        rt_sigtimedwait 128 137 177,421 177,421 other -
        rt_tgsigqueueinfo 297 240 335 363 signal - | res:err:r pid:pid:0 tid:pid:1 sig:sig:2
        sched_get_priority_max 146 125 159 159 other -
        sched_get_priority_min 147 126 160 160 other -
        sched_getaffinity 204 123 242 242 other -
        sched_getattr 315 275 352 381 other -
        sched_getparam 143 121 155 155 other -
        sched_getscheduler 145 120 157 157 other -
        sched_rr_get_interval 148 127 161,423 161,423 other -
        sched_setaffinity 203 122 241 241 other -
        sched_setattr 314 274 351 380 other -
        sched_setparam 142 118 154 154 other -
        sched_setscheduler 144 119 156 156 other -
        sched_yield 24 124 158 158 other -
        seccomp 317 277 354 383 other - | res:err:r op:u64:0 flags:x64:1
        select 23 - 82,142 142 wait X | res:err:r
        semctl 66 191 394 300 process - | res:err:r semid:i32:0 semnum:i32:1 cmd:e.semctl:2 val:i32:3
        semget 64 190 393 299 process - | res:err:r key:x32:0 nsems:i32:1 semflg:f.semget:2
        semop 65 193 - 298 process - | res:err:r nsops:u32:2 sem_num_0:none sem_op_0:none sem_flg_0:none sem_num_1:none sem_op_1:none sem_flg_1:none semid:i32:0
        semtimedop 220 192 420 312,420 other -
        send - - - 289 io UW | res:err:r data:data fd:fd:0 size:u32:2 tuple:tuple | socket fd=0 data=1 dlen=2
        sendfile 40 71 187,239 187,239 io UW | res:err:r offset:none out_fd:fd:0 in_fd:fd:1 size:u64:3 | fd=0
        sendmmsg 307 269 345 374 io UW | res:err:r fd:fd:0 size:u32:r data:data tuple:tuple | message fd=0 addr=1 messages
        sendmsg 46 211 370 296 io UW | res:err:r data:data fd:fd:0 size:u32:r tuple:tuple | message fd=0 addr=1
        sendto 44 206 369 290 io UW | res:err:r data:data fd:fd:0 size:u32:2 tuple:tuple | socket fd=0 addr=4 alen=5 data=1 dlen=2
        set_mempolicy 238 237 276 321 other -
        set_mempolicy_home_node 450 450 450 450 other -
        set_robust_list 273 99 311 338 other -
        set_thread_area 205 - 243 - other -
        set_tid_address 218 96 258 256 other -
        setdomainname 171 162 121 121 system - | res:err:r name:text:1 | path1=0
        setfsgid 123 152 139,216 139,216 user - | res:err:r gid:gid:0
        setfsuid 122 151 138,215 138,215 user - | res:err:r uid:uid:0
        setgid 106 144 46,214 46,214 user - | res:err:r gid:gid:0
        setgroups 116 159 81,206 81,206 other -
        sethostname 170 161 74 74 system - | res:err:r name:text:1 | path1=0
        setitimer 38 103 104 104 other -
        setns 308 268 346 375 process U | res:err:r fd:fd:0 nstype:f.clone:1 | fd=0
        setpgid 109 154 57 57 process - | res:err:r pid:pid:0 pgid:pid:1
        setpriority 141 140 97 97 other -
        setregid 114 143 71,204 71,204 user - | res:err:r rgid:uid:0 egid:uid:1
        setresgid 119 149 170,210 170,210 user - | res:err:r rgid:gid:0 egid:gid:1 sgid:gid:2
        setresuid 117 147 164,208 164,208 user - | res:err:r ruid:uid:0 euid:uid:1 suid:uid:2
        setreuid 113 145 70,203 70,203 user - | res:err:r ruid:uid:0 euid:uid:1
        setrlimit 160 164 75 75 process - | res:err:r cur:none max:none resource:e.rlimit:0
        setsid 112 157 66 66 process - | res:pid:r
        setsockopt 54 208 366 294 net U | res:err:r fd:fd:0 level:e.sockopt_level:1 optname:e.sockopt:2 val:none optlen:u32:4 | socket fd=0
        settimeofday 164 170 79 79 other -
        setuid 105 146 23,213 23,213 user - | res:err:r uid:uid:0
        setxattr 188 5 226 226 file - | res:err:r path:path:1 name:text:2 | path1=0 path2=1
        setxattrat 463 463 463 463 other -
        sgetmask - - 68 - other -
        shmat 30 196 397 305 other -
        shmctl 31 195 396 308 other -
        shmdt 67 197 398 306 other -
        shmget 29 194 395 307 other -
        shutdown 48 210 373 293 net U | res:err:r fd:fd:0 how:e.shutdown:1 | socket fd=0
        sigaction - - 67 67 other -
        sigaltstack 131 132 186 186 other -
        signal - - 48 - other -
        signalfd 282 - 321 349 signal C | res:fd:r fd:fd:0 mask:none flags:none | fd=r
        signalfd4 289 74 327 355 signal C | res:fd:r flags:f.file:3 fd:fd:0 mask:none | fd=r
        sigpending - - 73 73 other -
        sigprocmask - - 126 126 other -
        sigreturn - - 119 119 other -
        sigsuspend - - 72 72 other -
        socket 41 198 359 281 net C | fd:fd:r domain:e.family:0 type:u32:1 proto:u32:2 flags:sockflags:1 | socket fd=r
        socketcall - - 102 - other -
        socketpair 53 199 360 288 IPC - | res:err:r fd1:none fd2:none source:none peer:none domain:e.family:0 type:u32:1 proto:u32:2
        splice 275 76 313 340 io U | res:err:r fd_in:fd:0 fd_out:fd:2 size:u64:4 flags:f.splice:5 | fd=0
        ssetmask - - 69 - other -
        stat 4 - 106 106 file - | res:err:r path:path:1 | path1=0
        stat64 - - 195 195 file - | res:err:r path:path:1 | path1=0
        statfs 137 43 99 99 file - | res:err:r path:path:1 | path1=0
        statfs64 - - 268 266 other -
        statmount 457 457 457 457 other -
        statx 332 291 383 397 file U | res:err:r dirfd:fd:0 pathname:path:1 flags:f.fstatat:2 mask:x32:3 | path1=1 base1=0 fd=0
        stime - - 25 - other -
        swapoff 168 225 115 115 system - | res:err:r path:path:1 | path1=0
        swapon 167 224 87 87 system - | res:err:r path:path:1 | path1=0
        symlink 88 - 83 83 file - | res:err:r target:text:1 linkpath:path:2 | path1=0 path2=1
        symlinkat 266 36 304 331 file U | res:err:r target:text:1 linkdirfd:fd:1 linkpath:path:2 | path1=0 path2=2 base2=1 fd=1
        sync 162 81 36 36 other -
        sync_file_range 277 84 314 341 other -
        syncfs 306 267 344 373 file U | res:err:r fd:fd:0 | fd=0
        sysfs 139 - 135 135 other -
        sysinfo 99 179 116 116 other -
        syslog 103 116 103 103 other -
        tee 276 77 315 342 other -
        tgkill 234 131 270 268 signal - | res:err:r pid:pid:0 tid:pid:1 sig:sig:2
        time 201 - 13 - other -
        timer_create 222 107 259 257 other -
        timer_delete 226 111 263 261 other -
        timer_getoverrun 225 109 262 260 other -
        timer_gettime 224 108 261,408 259,408 other -
        timer_settime 223 110 260,409 258,409 other -
        timerfd_create 283 85 322 350 time C | res:fd:r clockid:u8:0 flags:u8x:1 | fd=r
        timerfd_gettime 287 87 326,410 354,410 other -
        timerfd_settime 286 86 325,411 353,411 other -
        times 100 153 43 43 other -
        tkill 200 130 238 238 signal - | res:err:r tid:pid:0 sig:sig:1
        truncate 76 45 92,193 92,193 file - | res:err:r path:path:1 length:u64:1 | path1=0
        umask 95 166 60 60 other -
        umount - - 22 - file - | res:err:r name:path:1 | path1=0
        umount2 166 39 52 52 file - | res:err:r name:path:1 flags:f.umount:1 | path1=0
        uname 63 160 122 122 other -
        unlink 87 - 10 10 file - | res:err:r path:path:1 | path1=0
        unlinkat 263 35 301 328 file U | res:err:r dirfd:fd:0 name:path:1 flags:f.unlinkat:2 | path1=1 base1=0 fd=0
        unshare 272 97 310 337 process - | res:err:r flags:f.clone:0
        uprobe 336 - - - other -
        uretprobe 335 - - - other -
        uselib 134 - 86 86 other -
        userfaultfd 323 282 374 388 file C | res:err:r flags:f.file:0 | fd=r
        ustat 136 - 62 62 other -
        utime 132 - 30 - file - | res:err:r filename:path:1 | path1=0
        utimensat 280 88 320,412 348,412 file U | res:err:r dirfd:fd:0 pathname:path:1 | path1=1 base1=0 fd=0
        utimes 235 - 271 269 file - | res:err:r filename:path:1 | path1=0
        vfork 58 - 190 190 process - | res:pid:r exe:exe args:args tid:tid pid:tgid ptid:ptid cwd:cwd fdlimit:fdlimit pgft_maj:majflt pgft_min:minflt vm_size:vmsize \
        vm_rss:vmrss vm_swap:vmswap comm:comm cgroups:cgroups flags:none uid:u32id gid:g32id vtid:vtid vpid:vpid pidns_init_start_ts:nsinit
        vhangup 153 58 111 111 other -
        vm86 - - 113,166 - other -
        vmsplice 278 75 316 343 other -
        wait4 61 260 114 114 other -
        waitid 247 95 284 280 other -
        waitpid - - 7 - other -
        write 1 64 4 4 io UW | res:err:r data:data fd:fd:0 size:u32:2 | fd=0 data=1 dlen=2
        writev 20 66 146 146 io UW | res:err:r size:u32:r data:data fd:fd:0 | vector fd=0 data=1 dlen=2
        procexit - - - - process - | status:status ret:exitcode sig:exitsignal core:exitcore reaper_tid:none
        """
}
