package import RiposteCore

/// Whether the agent does what it is there for: what `/readyz` says. Each reason is a constant sentence: whoever may ask here need not be one who may see more.
package struct ReadinessReport: Sendable, Equatable {
    /// A record that was not taken counts against the journal for so long.
    static let journalMemory = Duration.seconds(30)

    package private(set) var reasons: [String] = []

    /// `isSensorRunning`: also where it is off.
    package init(isSensorRunning: Bool, isJournalWritable: Bool, areIntakesUp: Bool) {
        if !isSensorRunning { reasons.append("the sensor does not run: see `riposte status`") }
        if !isJournalWritable { reasons.append("the journal takes no records: nothing is done that would have to be in it") }
        if !areIntakesUp { reasons.append("not all intakes listen yet") }
    }

    package var isReady: Bool { reasons.isEmpty }

    package var json: JSON { isReady ? ["status": "ready"] : ["status": "not ready", "reasons": .array(reasons.map(JSON.text))] }
}
