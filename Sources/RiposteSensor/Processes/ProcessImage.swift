package import CRiposte

/// The program that a process runs, as it was when it was started. Forks share it, so it never changes.
///
/// All its texts lie in one block of memory, in the forms that rules ask for, so that asking costs nothing:
///
///     comm ␣ arguments joined | arguments joined with the first | arguments, each with its NUL | path of the file
///
/// The environment stands by itself: most programs hand it on unchanged, and then all of them share it.
package final class ProcessImage {
    private let memory: UnsafeMutableRawBufferPointer
    /// argv, 4096 bytes at most.
    package let arguments: TextBlock
    package let argumentCount: Int
    /// argv without argv[0], joined by blanks.
    package let argumentsText: UnsafeRawBufferPointer
    /// comm as it was when the program was started, and the arguments.
    package let commandLine: UnsafeRawBufferPointer
    /// argv[0] and the arguments; there is a blank behind argv[0] even where it is alone.
    package let executableLine: UnsafeRawBufferPointer
    /// As the process saw it, without ` (deleted)`; empty: unknown.
    package let executablePath: UnsafeRawBufferPointer
    /// Of the executed file; inode 0: unknown.
    package let file: riposte_file
    package let environmentBytes: HeldBytes
    private var joinedEnvironment: HeldBytes?

    package init(
        comm: UnsafeRawBufferPointer, arguments given: UnsafeRawBufferPointer, executablePath path: UnsafeRawBufferPointer, file: riposte_file, environment: HeldBytes
    ) {
        let given = TextBlock(given)
        argumentCount = given.count
        self.file = file
        environmentBytes = environment
        let room = given.bytes.count
        memory = .allocate(byteCount: comm.count + 1 + 3 * room + path.count + 1, alignment: 1)
        let lineStart = comm.count + 1 + room
        let blockStart = lineStart + room
        let pathStart = blockStart + room

        UnsafeMutableRawBufferPointer(rebasing: memory[blockStart..<pathStart]).copyMemory(from: given.bytes)
        UnsafeMutableRawBufferPointer(rebasing: memory[pathStart...]).copyMemory(from: path)
        let whole = UnsafeRawBufferPointer(memory)
        arguments = TextBlock(UnsafeRawBufferPointer(rebasing: whole[blockStart..<pathStart]))
        executablePath = UnsafeRawBufferPointer(rebasing: whole[pathStart..<(pathStart + path.count)])

        let firstBytes = arguments.bytes.firstNUL ?? room
        let lineBytes = given.join(into: UnsafeMutableRawBufferPointer(rebasing: memory[lineStart...]))
        executableLine = UnsafeRawBufferPointer(rebasing: whole[lineStart..<(lineStart + (argumentCount == 1 ? room : lineBytes))])
        let rest =
            argumentCount > 1 ? UnsafeRawBufferPointer(rebasing: whole[(lineStart + firstBytes + 1)..<(lineStart + lineBytes)]) : UnsafeRawBufferPointer(rebasing: whole[..<0])

        UnsafeMutableRawBufferPointer(rebasing: memory[..<comm.count]).copyMemory(from: comm)
        memory[comm.count] = UInt8(ascii: " ")
        UnsafeMutableRawBufferPointer(rebasing: memory[(comm.count + 1)...]).copyMemory(from: rest)
        commandLine = UnsafeRawBufferPointer(rebasing: whole[..<(comm.count + (argumentCount > 1 ? 1 + rest.count : 0))])
        argumentsText = UnsafeRawBufferPointer(rebasing: whole[(comm.count + 1)..<(comm.count + 1 + rest.count)])
    }

    deinit { memory.deallocate() }

    /// comm as it was when the program was started.
    package var comm: UnsafeRawBufferPointer { commandLine.keeping(commandLine.count - (argumentCount > 1 ? argumentsText.count + 1 : 0)) }
    /// argv[0].
    package var executable: UnsafeRawBufferPointer { arguments[0] ?? commandLine.keeping(0) }
    /// 4096 bytes at most.
    package var environment: TextBlock { TextBlock(environmentBytes.bytes) }

    /// All variables joined by blanks; worked out when it is first asked for.
    package var environmentText: UnsafeRawBufferPointer {
        if let joinedEnvironment { return joinedEnvironment.bytes }
        let joined = UnsafeMutableRawBufferPointer.allocate(byteCount: environmentBytes.bytes.count + 1, alignment: 1)
        defer { joined.deallocate() }
        let held = HeldBytes(UnsafeRawBufferPointer(joined).keeping(environment.join(into: joined)))
        joinedEnvironment = held
        return held.bytes
    }

    func has(_ flag: riposte_file_flag) -> Bool { UInt32(file.flags) & flag.rawValue != 0 }
}

extension ProcessImage {
    /// A program of which no more is known than what it is called.
    convenience init(comm: UnsafeRawBufferPointer) {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        self.init(comm: comm, arguments: nothing, executablePath: nothing, file: riposte_file(), environment: .nothing)
    }

    /// The program that an EXEC record tells of. `previous` is what the process ran before, whose environment is shared where it is the same;
    /// `missing` gives what the kernel side could not read.
    convenience init(_ record: SensorRecord, previous: ProcessImage?, missing: () -> ProcessImage?) {
        let readAll = record[.arguments] != nil && record[.environment] != nil && record[.executablePath] != nil
        let other = readAll ? nil : missing()
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        let file = record.structure(.executable, as: riposte_file.self) ?? other?.file ?? riposte_file()
        var path = record[.executablePath] ?? other?.executablePath ?? nothing
        if UInt32(file.flags) & RIPOSTE_FILE_FROM_MEMFD.rawValue != 0, path.hasPrefix("/memfd:") { path = path.dropping(1) }
        self.init(
            comm: record.comm, arguments: record[.arguments] ?? other?.arguments.bytes ?? nothing, executablePath: path, file: file,
            environment: Self.environment(record[.environment].map { $0.keeping(TextBlock.limit) }, previous, other))
    }

    private static func environment(_ told: UnsafeRawBufferPointer?, _ previous: ProcessImage?, _ other: ProcessImage?) -> HeldBytes {
        guard let told else { return other?.environmentBytes ?? .nothing }
        if let previous, previous.environmentBytes.bytes.isSame(as: told) { return previous.environmentBytes }
        return HeldBytes(told)
    }
}
