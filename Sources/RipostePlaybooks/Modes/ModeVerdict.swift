package import RiposteCore

/// The mode in which a step is carried out, and who decided so.
package struct ModeVerdict: Sendable, Equatable {
    package var mode: Mode
    /// Why it is no wider: "the agent's mode is observe". Nil in mode `enforce`.
    package var because: String?

    /// The most careful of all that have a say; of several as careful the first. Nobody's word is `enforce`.
    init(_ voices: [(mode: Mode, because: String)]) {
        self.init(mode: .enforce, because: nil)
        for voice in voices where voice.mode < mode { self = ModeVerdict(mode: voice.mode, because: voice.because) }
    }

    package init(mode: Mode, because: String?) {
        self.mode = mode
        self.because = because
    }
}
