internal import Glibc
internal import RiposteCore

/// What this boot and this machine are called, and how its clocks relate.
package enum Host {
    /// `/proc/sys/kernel/random/boot_id`.
    package static let bootID = firstLine(of: "/proc/sys/kernel/random/boot_id")

    /// `/etc/machine-id`.
    package static let machineID = firstLine(of: "/etc/machine-id")

    /// Of `/proc/PID/stat`'s start time: 100 a second on every Linux that we meet, but asked.
    static let ticksPerSecond = UInt64(max(1, sysconf(Int32(_SC_CLK_TCK))))

    /// What /proc/PID/stat says of a process that was started so long after boot.
    package static func ticks(ofBootNanoseconds nanoseconds: UInt64) -> UInt64 { nanoseconds / (1_000_000_000 / ticksPerSecond) }

    /// What a process that were started now would be said to have been started at.
    static var ticksSinceBoot: UInt64 {
        var sinceBoot = timespec()
        clock_gettime(CLOCK_BOOTTIME, &sinceBoot)
        return ticks(ofBootNanoseconds: UInt64(max(0, sinceBoot.tv_sec)) * 1_000_000_000 + UInt64(max(0, sinceBoot.tv_nsec)))
    }

    static let tick = Duration.nanoseconds(1_000_000_000 / Int64(ticksPerSecond))

    /// When the machine was started, on today's wall clock. Not `btime` of /proc/stat, whose second is too coarse to tell two processes apart.
    static var bootTime: Timestamp {
        var sinceBoot = timespec()
        clock_gettime(CLOCK_BOOTTIME, &sinceBoot)
        let now = Timestamp.now()
        return Timestamp(nanoseconds: now.nanoseconds - Int64(sinceBoot.tv_sec) * 1_000_000_000 - Int64(sinceBoot.tv_nsec))
    }

    /// CLOCK_MONOTONIC: what the kernel's timers go by.
    static var uptime: Duration {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// Start ticks as wall-clock time; true to the tick (10 ms), plus whatever the clock was set since. In whole milliseconds, so that two looks at
    /// one process say the same.
    static func time(ofTicks ticks: UInt64, bootTime: Timestamp = bootTime) -> Timestamp {
        let exact = bootTime.nanoseconds + Int64(clamping: ticks).multipliedReportingOverflow(by: tick.wholeNanoseconds).partialValue
        return Timestamp(nanoseconds: exact - exact % 1_000_000)
    }

    private static func firstLine(of path: String) -> String {
        String(decoding: (ProcFS.bytes(of: path) ?? []).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
}
