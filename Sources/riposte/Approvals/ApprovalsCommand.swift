internal import ArgumentParser
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct ApprovalsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approvals", abstract: "Shows what waits for a person, and takes the answers.",
        discussion: """
            Who answers is what the kernel says of the caller. A yes performs the plan that was shown, after a new look at its target, guards and budgets; \
            it comes too late when the time of the question is over.

            Examples:
              riposte approvals list
              riposte approvals show 01KAS2V3TB4Y5MWR7H3ZQ0E8CN
              riposte approvals approve 01KAS2V3TB4Y5MWR7H3ZQ0E8CN --reason "seen the shell"
              riposte approvals deny 01KAS2V3TB4Y5MWR7H3ZQ0E8CN --reason "our own debugging"
            """,
        subcommands: [ApprovalsListCommand.self, ApprovalsShowCommand.self, ApprovalsApproveCommand.self, ApprovalsDenyCommand.self])
}

struct ApprovalsListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the open questions, oldest first. Targets that have ended are not asked about any more.",
        discussion: "Example:\n  riposte approvals list --json | jq .deadline")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await common.withQuestionDesk(needsPlaybooks: true) { desk in
            let questions = try await desk.questions()
            if common.json {
                for question in questions { print(question.line) }
            } else {
                print(ApprovalText.table(questions))
            }
            return 0
        }
    }
}

struct ApprovalsShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows all that is known for an answer: what, to whom, why, what it costs, who may decide, until when.",
        discussion: "Ends with 4 where no question is open under the id.\n\nExample:\n  riposte approvals show 01KAS2V3TB4Y5MWR7H3ZQ0E8CN")

    @OptionGroup var common: CommonOptions

    @Argument(help: "The question's id, or that of a plan in it.")
    var id: Identifier

    func run() async throws {
        try await common.withQuestionDesk(needsPlaybooks: true) { desk in
            let question = try await desk.questions().first { question in
                question["id"] == .text("\(id)") || question["plans"]?.array?.contains { $0["id"] == .text("\(id)") } == true
            }
            guard let question else { throw Complaint("no question is open under \(id)", status: Outcome.gone.exitStatus) }
            print(common.json ? question.line : ApprovalText.whole(question))
            return 0
        }
    }
}

/// What both answers take.
struct AnswerOptions: ParsableArguments {
    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "Why; stands in the journal.")
    var reason: String?

    @Argument(help: "The question's id, or that of a plan in it.")
    var id: Identifier

    func give(_ answer: ApprovalRequest.Answer, seen: Int? = nil, pardons: Bool = false) async throws {
        let command = DecisionCommand(question: id, answer: answer, seen: seen, reason: reason, pardons: pardons)
        try await common.withDesk(needsPlaybooks: true) { desk, _ in
            let answered = try await desk.decide(command)
            for result in answered.results { print(common.json ? result.json.line : ResultText.line(result)) }
            // Of a no, the refusal of the plan is what was wanted.
            return answer == .deny && answered.isSettled ? 0 : answered.results.map(\.outcome).exitStatus
        }
    }
}

struct ApprovalsApproveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve", abstract: "Says yes. With the last yes that is needed the plan is performed.",
        discussion: """
            Ends with 5 where another person must approve too.

            Examples:
              riposte approvals approve 01KAS2V3TB4Y5MWR7H3ZQ0E8CN
              riposte approvals approve 01KAS2V3TB4Y5MWR7H3ZQ0E8CN --plans 3
            """)

    @OptionGroup var answer: AnswerOptions

    @Option(name: .long, help: "Of a question that holds several plans: how many you have looked at. More have joined since: it is refused.")
    var plans: Int?

    func run() async throws { try await answer.give(.approve, seen: plans) }
}

struct ApprovalsDenyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deny", abstract: "Says no: the plan is not performed, and what was held meanwhile is let go.",
        discussion: """
            Examples:
              riposte approvals deny 01KAS2V3TB4Y5MWR7H3ZQ0E8CN --reason "our own debugging"
              riposte approvals deny 01KAS2V3TB4Y5MWR7H3ZQ0E8CN --pardon
            """)

    @OptionGroup var answer: AnswerOptions

    @Flag(name: .long, help: "Also let playbooks leave the targets alone for a while (undo.pardon), as after an undo by hand; see riposte pardon.")
    var pardon = false

    func run() async throws { try await answer.give(.deny, pardons: pardon) }
}
