internal import Foundation
internal import RiposteCore

/// One entry of `outputs:`, read and checked: where, what, how patiently.
package struct Output: Sendable {
    package let name: String
    package let destination: any Destination
    package let route: Route
    package let grouping: BurstGroups.Settings?
    package let settings: CourierState.Settings
    /// What may lie behind the cursor.
    package let spoolBytes: Int
    package let startsAtBeginning: Bool
    package let mask: SecretMask
    /// Two of the same name and fingerprint do the same.
    let fingerprint: String
    /// All that its section says, secrets too: for looking for addresses in it, not for showing.
    let texts: [String]

    package init(
        name: String, destination: any Destination, route: Route = Route(), grouping: BurstGroups.Settings? = nil, settings: CourierState.Settings? = nil,
        spoolBytes: Int = 1 << 30, startsAtBeginning: Bool = false, mask: SecretMask = SecretMask([]), fingerprint: String = "",
        texts: [String] = []
    ) {
        self.name = name
        self.destination = destination
        self.route = route
        self.grouping = grouping
        self.settings = settings ?? CourierState.Settings(limits: destination.limits)
        self.spoolBytes = spoolBytes
        self.startsAtBeginning = startsAtBeginning
        self.mask = mask
        self.fingerprint = fingerprint
        self.texts = texts
    }

    /// `enabled: false` is read and checked like all others, and gives no output.
    package static func read(_ settings: DestinationSettings, name: String, _ context: DestinationContext) -> Output? {
        _ = settings.member("name")
        let isEnabled = settings.bool("enabled") ?? true
        let type = settings.required("type", settings.text)
        let route = Route(settings)
        let grouping = BurstGroups.Settings(settings)
        let spool = settings.section("spool")
        let (bytes, age) = (spool.size("max_bytes", in: 1 << 16...1 << 50), spool.duration("max_age", in: .seconds(1) ... .seconds(3660 * 86400)))
        let retry = settings.section("retry")
        let (first, longest) = (retry.duration("first", in: .milliseconds(10) ... .seconds(3600)), retry.duration("longest", in: .milliseconds(10) ... .seconds(86400)))
        let start = settings.choice("start_at", Start.self)
        guard let type else { return nil }
        guard let kind = DestinationKinds.kind(type) else {
            settings.report(
                "type", "expected one of \(DestinationKinds.names.joined(separator: ", ")) for type of \(settings.title)",
                suggestion: nearMiss(to: type, among: DestinationKinds.names))
            return nil
        }
        guard let destination = kind.init(settings: settings, context: context), isEnabled, !settings.hasProblems else { return nil }
        var courier = CourierState.Settings(limits: destination.limits)
        if let age { courier.maximumAge = age }
        if let first { courier.firstWait = first }
        if let longest { courier.longestWait = longest }
        return Output(
            name: name, destination: destination, route: route, grouping: grouping, settings: courier, spoolBytes: bytes ?? 1 << 30,
            startsAtBeginning: start == .beginning, mask: SecretMask(settings.secrets), fingerprint: settings.fingerprint,
            texts: settings.allTexts)
    }

    /// Hands a marked message over, apart from any courier.
    package func test(host: String, clock: OutputClock = .system) async -> Courier.Test {
        let began = clock.now()
        let (destination, deadline) = (destination, settings.limits.deadline)
        let call = PatientCall { await destination.deliver([.test(host: host, at: began.wall)]) }
        var answer = await call.answer(until: began.instant + deadline, clock)
        if answer == nil {
            call.cancel()
            answer = await call.lastWord(within: .seconds(2), clock)
        }
        // One that hangs cannot be closed either.
        if answer != nil { _ = await PatientCall { await destination.close() }.lastWord(within: .seconds(5), clock) }
        let report = answer ?? DeliveryReport(whole: .tryAgain(reason: "no answer within \(deadline.text), and the call cannot be ended"), count: 1)
        return Courier.Test(report: mask.masked(report), took: clock.now().instant - began.instant)
    }

    private enum Start: String, CaseIterable { case now, beginning }

    /// A name is part of file names, and stands in playbooks.
    package static func isName(_ text: String) -> Bool {
        1...64 ~= text.utf8.count && text.utf8.allSatisfy { 0x30...0x39 ~= $0 || 0x61...0x7A ~= $0 || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
            && !text.hasPrefix("-") && !text.hasPrefix("_")
    }
}

extension Route {
    init(_ settings: DestinationSettings) {
        self.init()
        if let value = settings.choice("send", Content.self) { content = value }
        for text in settings.texts("priority") ?? [] {
            guard let test = PriorityTest(text) else {
                settings.report("priority", "expected a priority such as \">= warning\", or a list of some of \(Priority.allCases.map { "\($0)" }.joined(separator: ", "))")
                continue
            }
            priorities.append(test)
        }
        let names = settings.texts("rules") ?? []
        rules = names.filter { !$0.hasPrefix("!") }.map { NamePattern($0) }
        exceptRules = names.filter { $0.hasPrefix("!") }.map { NamePattern(String($0.dropFirst())) }
        tags = Set((settings.texts("tags") ?? []).map { ByteText($0) })
        sources = Set((settings.texts("sources") ?? []).map { ByteText($0) })
        playbooks = Set(settings.texts("playbooks") ?? [])
        actions = Set(settings.texts("actions") ?? [])
        outcomes = Set((settings.choices("outcomes", among: Outcome.allCases.map(\.rawValue)) ?? []).compactMap(Outcome.init(rawValue:)))
        kinds = Set((settings.choices("kinds", among: AuditRecord.Kind.allCases.map(\.rawValue)) ?? []).compactMap(AuditRecord.Kind.init(rawValue:)))
        when = settings.condition("when")
        reportWhatHasNoEffect(settings)
    }

    /// A filter that filters nothing is a mistake that nobody would notice.
    private func reportWhatHasNoEffect(_ settings: DestinationSettings) {
        let ofAlerts = ["priority", "rules", "tags", "sources", "when"], ofRecords = ["actions", "outcomes", "kinds"]
        let idle = content == .alerts ? ofRecords : content == .audit ? ofAlerts : content == .nothing ? ofAlerts + ofRecords + ["playbooks"] : []
        for key in idle where settings.isSet(key) {
            settings.report(key, "\(key) has no effect in \(settings.title): it says send: \(content.rawValue)")
        }
    }
}

extension BurstGroups.Settings {
    init?(_ settings: DestinationSettings) {
        guard settings.isSet("group") else { return nil }
        let section = settings.section("group")
        let names = section.required("by", section.texts) ?? []
        let first = section.choice("first", First.self)
        let every = section.duration("summary_every", in: .seconds(1) ... .seconds(7 * 86400))
        var fields: [(name: String, value: OutputLanguage.Expression)] = []
        for name in names {
            if let own = Self.ownFields[name] {
                fields.append((name, own))
            } else {
                do throws(OutputLanguage.Problem) { fields.append((name, try settings.language.expression(name))) } catch {
                    section.report("by", "by of \(section.title): \(error.message)", suggestion: error.suggestion)
                }
            }
        }
        self.init(by: fields, first: first ?? .send, summaryEvery: every ?? .seconds(300))
    }
}
