import RiposteCore
import Testing

@testable import RiposteOutputs

/// A burst is one message at once and one summary, and no alert of it goes uncounted.
struct BurstTests {
    struct Scene {
        var groups = BurstGroups()
        var settings: BurstGroups.Settings
        var now = Samples.time
        private(set) var sent: [String] = []
        private var seq: Int64 = 0

        init(by names: [String] = ["rule", "container.id"], first: BurstGroups.Settings.First = .send, every: SettingsValue = "5m") throws {
            let keys: SettingsValue = [
                "group": .init(
                    .mapping([
                        .init(key: "by", value: .init(.list(names.map { .init(.scalar($0, isPlain: true)) }))),
                        .init(key: "first", value: .init(.scalar(first.rawValue, isPlain: true))), .init(key: "summary_every", value: every),
                    ]))
            ]
            settings = try #require(BurstGroups.Settings(Samples.settings(keys)))
        }

        mutating func come(_ rule: String, container: String = "c1", output: String = "o") {
            seq += 1
            let record = Samples.alert(rule, fields: ["container.id": .text(container)], output: output, at: now)
            if let message = groups.take(Samples.message(seq, record), settings, at: now) { tell(message) }
        }

        /// A playbook says something.
        mutating func say(_ title: String, _ priority: Priority = .notice, text: String = "t") {
            seq += 1
            let notice = Notice(title: title, text: text, priority: priority)
            let message = OutputMessage(seq: seq, hash: OutputMessage.digest(of: "\(seq)"), time: now, host: "h", content: .notice(notice))
            if let message = groups.take(message, settings, at: now) { tell(message) }
        }

        mutating func pass(_ time: Duration) {
            now = now + time
            for message in groups.due(at: now, settings, host: "h") { tell(message) }
        }

        mutating func end() { for message in groups.flush(host: "h", at: now) { tell(message) } }

        mutating func restart() throws { groups = try #require(BurstGroups(json: JSON(parsing: groups.json.bytes))) }

        private mutating func tell(_ message: OutputMessage) { sent.append(message.title.repaired) }
    }

    @Test func firstAtOnceThenASummary() throws {
        var scene = try Scene()
        for _ in 0..<42 { scene.come("Shell") }
        #expect(scene.sent == ["Shell"])
        scene.pass(.seconds(300))
        #expect(scene.sent == ["Shell", "Shell: 41 more"])
    }

    @Test func otherKeysAreOtherBursts() throws {
        var scene = try Scene()
        scene.come("Shell", container: "c1")
        scene.come("Shell", container: "c2")
        scene.come("Read", container: "c1")
        #expect(scene.sent == ["Shell", "Shell", "Read"])
    }

    @Test func valuesThatOnlyBeginAlikeAreOtherBursts() throws {
        var scene = try Scene()
        let long = String(repeating: "a", count: 1000)
        for container in [long + "1", long + "2", long + "1"] { scene.come("Shell", container: container) }
        #expect(scene.sent == ["Shell", "Shell"])
        try scene.restart()
        scene.come("Shell", container: long + "2")
        scene.pass(.seconds(300))
        #expect(scene.sent.dropFirst(2) == ["Shell: 1 more", "Shell: 1 more"])
    }

    @Test func aBurstThatWentQuietIsOver() throws {
        var scene = try Scene()
        scene.come("Shell")
        scene.pass(.seconds(300))
        #expect(scene.groups.isEmpty)
        scene.come("Shell")
        #expect(scene.sent == ["Shell", "Shell"])
    }

    @Test func aBurstThatGoesOnIsSummedUpAgain() throws {
        var scene = try Scene()
        for _ in 0..<3 { scene.come("Shell") }
        scene.pass(.seconds(300))
        for _ in 0..<5 { scene.come("Shell") }
        scene.pass(.seconds(300))
        #expect(scene.sent == ["Shell", "Shell: 2 more", "Shell: 5 more"])
    }

    /// A thousand runs of a playbook are no thousand mails; but what failed is told, whatever succeeded before, and what is of a container is not of a message.
    @Test func whatPlaybooksSayIsGroupedByItsTitleAndPriority() throws {
        var scene = try Scene(by: ["container.id"])
        for _ in 0..<10 { scene.say("contain") }
        scene.say("Not contained", .critical)
        scene.say("contain", .error, text: "pause failed")
        scene.come("Shell")
        #expect(scene.sent == ["contain", "Not contained", "contain", "Shell"])
        try scene.restart()
        #expect(scene.groups.isGrouped(by: ["container.id"]) && !scene.groups.isGrouped(by: ["rule"]))
        for _ in 0..<3 { scene.say("contain") }
        scene.pass(.seconds(300))
        #expect(scene.sent.dropFirst(4) == ["contain: 12 more"])
    }

    @Test func aDigestHoldsTheFirstToo() throws {
        var scene = try Scene(first: .hold)
        for _ in 0..<3 { scene.come("Shell") }
        #expect(scene.sent == [])
        scene.pass(.seconds(300))
        #expect(scene.sent == ["Shell: 3 more"])
    }

    @Test func nothingIsForgottenAtAnEnd() throws {
        var scene = try Scene()
        for _ in 0..<3 { scene.come("Shell") }
        scene.end()
        #expect(scene.sent == ["Shell", "Shell: 2 more"])
        #expect(scene.groups.isEmpty)
    }

    @Test func aRestartLosesNoCount() throws {
        var scene = try Scene()
        for _ in 0..<10 { scene.come("Shell", container: "\u{FFFD}") }
        try scene.restart()
        for _ in 0..<10 { scene.come("Shell", container: "\u{FFFD}") }
        scene.pass(.seconds(300))
        #expect(scene.sent == ["Shell", "Shell: 19 more"])
    }

    /// Nobody waits for an hour that comes a second time.
    @Test func aClockThatIsSetBackSilencesNothing() throws {
        var scene = try Scene()
        for _ in 0..<3 { scene.come("Shell") }
        #expect(scene.groups.nextDue(at: scene.now, scene.settings) == scene.now + .seconds(300))
        scene.now = scene.now + .seconds(-3600)
        #expect(scene.groups.nextDue(at: scene.now, scene.settings) == scene.now)
        scene.pass(.zero)
        #expect(scene.sent == ["Shell", "Shell: 2 more"])
        #expect(scene.groups.nextDue(at: scene.now, scene.settings) == scene.now + .seconds(300))
    }

    @Test func summariesThatAreWantedMoreOftenAreToldSooner() throws {
        var scene = try Scene()
        for _ in 0..<3 { scene.come("Shell") }
        scene.settings = try Scene(every: "30s").settings
        scene.pass(.zero)
        #expect(scene.sent == ["Shell", "Shell: 2 more"])
    }

    @Test("what an alert says begins no line of a summary", arguments: Hostile.texts)
    func hostile(_ text: String) throws {
        var scene = try Scene()
        for _ in 0..<3 { scene.come("Shell", container: text, output: text) }
        let message = try #require(scene.groups.flush(host: "h", at: scene.now).first)
        let lines = message.text.repaired.split(omittingEmptySubsequences: false) { $0.isNewline }
        #expect(lines.count == 5 && lines.dropFirst(3).allSatisfy { $0.hasPrefix("e.g. ") } && !message.text.repaired.contains("\u{1B}"), "\(lines)")
    }

    @Test func theSummaryTellsWhatItWas() throws {
        var scene = try Scene()
        scene.come("Shell")
        for number in 1...5 {
            scene.now = scene.now + .seconds(1)
            scene.come("Shell", output: "number \(number)\nx")
        }
        let message = try #require(scene.groups.flush(host: "h", at: scene.now).first)
        let summary = try #require(message.summary)
        #expect(summary.count == 5)
        #expect(summary.last - summary.first == .seconds(4))
        #expect(summary.examples.map(\.repaired) == ["number 1\nx", "number 2\nx", "number 3\nx"])
        #expect(message.priority == .warning)
    }

    @Test func moreKeysThanCanBeToldApartAreSentAsTheyCome() throws {
        var scene = try Scene(by: ["container.id"])
        for number in 0..<(BurstGroups.limit + 10) { scene.come("Shell", container: "c\(number)") }
        scene.come("Shell", container: "new")
        scene.come("Shell", container: "new")
        #expect(scene.groups.count == BurstGroups.limit)
        #expect(scene.sent.count == BurstGroups.limit + 12)
    }
}
