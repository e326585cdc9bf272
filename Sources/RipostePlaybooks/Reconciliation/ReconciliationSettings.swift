internal import RiposteCore

/// How what should be is held against what is.
package struct ReconciliationSettings: Sendable, Equatable {
    package enum Policy: String, CaseIterable, Sendable {
        /// Say it, and leave it to a person.
        case report
        /// Say it, and put it right through the engine's one door.
        case repair
    }

    /// Between two looks; events of the kernel and of the container engine cause one in between. Nil: there is none.
    package var every: Duration?
    /// What cuts packets: blocks and isolations.
    package var network = Policy.repair
    /// Whatever else can be taken back: pauses, suspensions, stops.
    package var others = Policy.report
    /// What bears our mark and no record explains. Who put another state folder in the place of ours would lift every block by `repair`.
    package var orphans = Policy.report
    /// So many repairs of one object within ``fightWindow``; then somebody is undoing us, and a person must look.
    package var fightLimit = 3
    package var fightWindow = Duration.seconds(600)
    /// Events come in swarms: a look follows the first of them after this time.
    package var settlingTime = Duration.milliseconds(200)

    package init(every: Duration? = nil) { self.every = every }

    func policy(for description: ActionDescription) -> Policy { description.touchesNetwork ? network : others }
}

/// Whose turn it is to look.
struct ReconciliationTurn: Sendable {
    /// At which uptime the next look is due.
    var next = Duration.zero
    /// Somebody looks at what the kernel tells.
    var isRunning = false
    /// Somebody asks others: container engines, the cluster.
    var isAsking = false
    /// Another one wanted to meanwhile.
    var isAskedAgain = false
}
