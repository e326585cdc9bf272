package import RiposteCore

/// Now, twice: as waits are measured, whatever becomes of the wall clock, and as people tell it.
package struct Moment: Sendable, Equatable {
    package var instant: ContinuousClock.Instant
    package var wall: Timestamp

    package init(instant: ContinuousClock.Instant, wall: Timestamp) {
        self.instant = instant
        self.wall = wall
    }
}
