import RiposteCore
@testable import RipostePlaybooks
import Testing

private let noon = Timestamp("2026-03-04T12:00:00Z") ?? .now()

/// A question about one plan, put at noon.
private func question(_ terms: ApprovalTerms = ApprovalTerms(), by actor: AuditRecord.Actor = .init(.playbook, name: "p"), plans: Int = 1) throws -> ApprovalRequest {
    let id = Identifier.new(at: noon)
    var record = AuditRecord(.approval, at: noon, id: id)
    record.actor = actor
    record.playbook = actor.kind == .playbook ? "p" : nil
    record.step = "kill"
    record.action = "container.kill"
    record.target = .container(ContainerIdentity(id: "c1", name: "c", image: "i"))
    let facts = ApprovalFacts(
        kind: .plan, deadline: noon + terms.expires, terms: terms, workload: "shop/web", playbookDigest: "d", escalates: nil, mayEnforce: true, isModeGiven: false)
    record.detail = facts.members
    record.detail.append("state", "requested")
    record.detail.append("plan_digest", "one")
    var book = ApprovalBook()
    book.apply(record)
    for index in 1..<max(plans, 1) {
        var other = record
        other.id = .new(at: noon + .seconds(index))
        other.detail = ["state": "joined", "request": .text("\(id)"), "plan_digest": .text("plan \(index)")]
        book.apply(other)
    }
    return try #require(book.requests.values.first)
}

private let ann = person("ann", 1, groups: ["oncall"])
private let bob = person("bob", 2, groups: ["oncall", "staff"])
private let eve = person("eve", 3)

@Suite("A question")
struct ApprovalRequestTests {
    /// Who answers what, when (minutes after noon), and what that comes to.
    struct Transcript: CustomTestStringConvertible {
        let testDescription: String
        var terms = ApprovalTerms(expires: .seconds(900))
        var requester = AuditRecord.Actor(.playbook, name: "p")
        var plans = 1
        let lines: [(who: Person, says: ApprovalRequest.Answer, seen: Int?, minute: Int, comes: String)]
        let ends: String
    }

    static let transcripts: [Transcript] = [
        Transcript(testDescription: "one yes is enough", lines: [(ann, .approve, nil, 1, "grant")], ends: "granted"),
        Transcript(testDescription: "one no is enough", lines: [(ann, .deny, nil, 1, "deny")], ends: "denied"),
        Transcript(testDescription: "the first answer stands", lines: [(ann, .deny, nil, 1, "deny"), (bob, .approve, nil, 2, "refuse")], ends: "denied"),
        Transcript(testDescription: "a yes at the deadline comes too late", lines: [(ann, .approve, nil, 15, "expire")], ends: "expired"),
        Transcript(testDescription: "a no after the deadline does too", lines: [(ann, .deny, nil, 99, "expire")], ends: "expired"),
        Transcript(
            testDescription: "two must say yes, and one person is one, whatever the name", terms: ApprovalTerms(quorum: 2),
            lines: [(ann, .approve, nil, 1, "voice 1"), (person("ann2", 1), .approve, nil, 2, "refuse"), (bob, .approve, nil, 3, "grant")], ends: "granted"),
        Transcript(
            testDescription: "a no after the first yes of two", terms: ApprovalTerms(quorum: 2), lines: [(ann, .approve, nil, 1, "voice 1"), (bob, .deny, nil, 2, "deny")],
            ends: "denied"),
        Transcript(
            testDescription: "the second yes must be in time too", terms: ApprovalTerms(quorum: 2),
            lines: [(ann, .approve, nil, 1, "voice 1"), (bob, .approve, nil, 16, "expire")], ends: "expired"),
        Transcript(
            testDescription: "only those who are named decide", terms: ApprovalTerms(approvers: [.group("staff"), .user("eve")]),
            lines: [(ann, .approve, nil, 1, "refuse"), (ann, .deny, nil, 1, "refuse"), (eve, .approve, nil, 2, "grant")], ends: "granted"),
        Transcript(
            testDescription: "a member of a named group decides", terms: ApprovalTerms(approvers: [.group("staff")]), lines: [(bob, .approve, nil, 2, "grant")], ends: "granted"),
        Transcript(
            testDescription: "who asked does not approve, and may take the wish back", requester: ann.actor,
            lines: [(ann, .approve, nil, 1, "refuse"), (ann, .deny, nil, 2, "deny")], ends: "denied"),
        Transcript(testDescription: "somebody else approves", requester: ann.actor, lines: [(bob, .approve, nil, 1, "grant")], ends: "granted"),
        Transcript(
            testDescription: "several plans are approved by who has seen them all", plans: 3,
            lines: [(ann, .approve, nil, 1, "refuse"), (ann, .approve, 2, 2, "refuse"), (ann, .approve, 3, 3, "grant")], ends: "granted"),
        Transcript(testDescription: "several plans are denied as one", plans: 3, lines: [(ann, .deny, nil, 1, "deny")], ends: "denied"),
    ]

    @Test("answers, line by line", arguments: transcripts)
    func transcript(_ transcript: Transcript) throws {
        var request = try question(transcript.terms, by: transcript.requester, plans: transcript.plans)
        for line in transcript.lines {
            let now = noon + .seconds(60 * line.minute)
            let ruling = request.ruling(on: line.says, by: line.who, seen: line.seen, at: now)
            let state: ApprovalState? =
                switch ruling {
                case .grant: .granted
                case .voice: .voted
                case .deny: .denied
                case .expire: .expired
                case .refuse: nil
                }
            let word =
                switch ruling {
                case .voice(let missing): "voice \(missing)"
                case .refuse: "refuse"
                default: "\(ruling)"
                }
            #expect(word == line.comes, "\(line.who.actor.name) at minute \(line.minute)")
            if let state { request.follow(AuditRecord(state, of: request, by: line.who.actor, at: now), state) }
        }
        #expect(request.phase.name == transcript.ends)
    }

    @Test("a question goes through the snapshot in every phase", arguments: [ApprovalState.voted, .granted, .denied, .expired, .withdrawn])
    func snapshot(_ state: ApprovalState) throws {
        var request = try question(ApprovalTerms(approvers: [.group("oncall"), .user("bob")], quorum: 2, onExpiry: .observe))
        request.follow(AuditRecord(state, of: request, by: ann.actor, at: noon, reason: "because"), state)
        #expect(request.phase != .waiting([]))
        #expect(ApprovalRequest(json: request.json) == request)
    }

    @Test("a playbook cannot ask for fewer persons than the agent does for the gravest")
    func gravest() {
        var policy = ApprovalPolicy()
        policy.gravestQuorum = 2
        let host = ActionDescription(name: "network.isolate", summary: "", target: .host, impact: .usersFeelIt)
        let process = ActionDescription(name: "process.kill", summary: "", target: .process, impact: .destroys)
        #expect(policy.terms([ApprovalKeys(quorum: 1)], for: host).quorum == 2)
        #expect(policy.terms([ApprovalKeys(quorum: 1)], for: process).quorum == 1)
        #expect(policy.terms([ApprovalKeys(expires: .seconds(60), quorum: 2), ApprovalKeys(expires: .seconds(30))], for: process).expires == .seconds(30))
        #expect(policy.terms([ApprovalKeys(onExpiry: .perform)], for: process).onExpiry == .drop, "what cannot be taken back is never performed unasked")
    }

    @Test(
        "approvers are users and groups, and nothing else",
        arguments: [("user:ann", true), ("group:oncall", true), ("oncall", false), ("user:", false), ("role:x", false), ("", false)])
    func approvers(_ text: String, _ isOne: Bool) { #expect(Approver(text)?.description == (isOne ? text : nil)) }
}
