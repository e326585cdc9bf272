internal import RiposteCore

/// What is worth keeping of a process before it ends, as far as it costs microseconds.
enum ProcessEvidence {
    static func facts(of stat: ProcessStat) -> JSONObject {
        var facts: JSONObject = ["state": .text(String(UnicodeScalar(stat.state))), "session": .integer(Int64(stat.session))]
        if let program = ProcFS.program(stat.pid) {
            facts.append("executable", .string(program.path))
            if program.isDeleted { facts.append("executable_deleted", true) }
        }
        facts.append("command_line", ProcFS.commandLine(stat.pid).map(JSON.string))
        facts.append("working_directory", ProcFS.workingDirectory(stat.pid).map(JSON.string))
        facts.append("uid", ProcFS.userID(stat.pid).map { .integer(Int64($0)) })
        if let cgroup = ProcFS.mainCgroup(stat.pid) {
            facts.append("cgroup", .text(cgroup.path))
            facts.append("container", (cgroup.mark?.id).map(JSON.text))
        }
        facts.append("parents", .array(parents(of: stat)))
        return facts
    }

    /// Up to the first process, or to eight.
    private static func parents(of stat: ProcessStat) -> [JSON] {
        var result: [JSON] = []
        var next = stat.parent
        while next > 0, result.count < 8, let parent = ProcFS.stat(next) {
            result.append(["pid": .integer(Int64(parent.pid)), "name": .string(parent.name)])
            next = parent.parent
        }
        return result
    }

    /// What will start it again, as far as its cgroup tells.
    static func remarks(_ facts: JSONObject) -> [String] {
        guard let cgroup = facts["cgroup"]?.string?.valid else { return [] }
        if facts["container"] != nil { return ["it runs in a container, which ends with its first process and may be started again by its restart policy"] }
        guard let unit = cgroup.split(separator: "/").last, unit.hasSuffix(".service") else { return [] }
        return ["it belongs to \(String(unit).escapedForDisplay), which may start it again"]
    }
}
