internal import Foundation
internal import RiposteCore

/// How many per second, of one round.
func rate(_ iterations: Int, _ body: () throws -> Void) rethrows -> Int64 {
    let time = try ContinuousClock().measure(body)
    let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
    return Int64(Double(iterations) / seconds)
}

/// One line for run.py: the rates of all rounds, unsorted.
func report(_ name: String, _ rates: [Int64], _ more: JSONObject = [:]) {
    var object: JSONObject = ["name": .text(name), "rates": .array(rates.map(JSON.integer))]
    object.members += more.members
    FileHandle.standardOutput.write(Data(JSON.object(object).bytes + [UInt8(ascii: "\n")]))
}
