/// Why the sensor cannot run here, and what helps.
package struct SensorError: Error, Equatable, Sendable, CustomStringConvertible {
    package let problem: String
    package let remedy: String?

    package init(_ problem: String, remedy: String? = nil) { (self.problem, self.remedy) = (problem, remedy) }

    package var description: String { problem + (remedy.map { "; \($0)" } ?? "") }
}
