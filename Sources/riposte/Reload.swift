internal import ArgumentParser
internal import RiposteAgent
internal import RiposteCore

struct Reload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Has the agent read playbooks, rules, outputs, tokens and certificates anew, and tells what is in force.",
        discussion: """
            The same as SIGHUP, with an answer. Files that change are read anew without it, too. Each kind is taken whole or not at all. Ends with 0 where all are in
            force, 3 where some were rejected and those before stay, or where the kernel has not taken the rules, 6 where no agent runs.

            Examples:
              riposte reload && riposte status
              ExecReload=/usr/bin/riposte reload            in a unit of systemd
            """)

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let client = common.agent(try common.configuration())
        let answer: Result<JSON, DeskError>
        do throws(DeskError) { answer = .success(try await client.reload()) } catch { answer = .failure(error) }
        await client.close()
        let kinds = try answer.get()
        print(common.json ? kinds.line : Self.text(kinds))
        if kinds.object?.members.contains(where: { $0.value["rejected"] != nil || $0.value["kernel_problem"] != nil }) == true { throw ExitCode(3) }
    }

    private static func text(_ kinds: JSON) -> String {
        (kinds.object?.members ?? []).flatMap { kind in
            let name = kind.key.shown + String(repeating: " ", count: max(1, 13 - kind.key.shown.count))
            return [name + "in force since \(Status.word(kind.value, "since").prefix(19))Z"] + Status.rejection(kind.value) + Status.kernelProblem(kind.value)
        }.joined(separator: "\n")
    }
}
