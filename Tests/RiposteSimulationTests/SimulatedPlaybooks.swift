/// Playbooks that use every feature of the engine on the simulated world.
enum SimulatedPlaybooks {
    /// The budgets that ``Ledger`` holds the acts against.
    static let budgets: [String: (actions: Int, seconds: Int)] = ["pause": (4, 600), "kill": (2, 3600), "block": (5, 900)]

    static func text(_ variant: Int) -> String {
        """
        apiVersion: riposte/v1
        playbooks:
          - name: pause
            match: { rules: [pause, all] }
            budget: { actions: 4, per: 600s }
            steps:
              - { action: container.pause, undo: { after: \(variant == 0 ? "5m" : "20m") } }
          - name: kill
            match: { rules: kill }
            budget: { actions: 2, per: 3600s }
            steps:
              - { action: process.suspend, undo: { after: 10m } }
              - { action: process.kill }
          - name: isolate
            match: { rules: [isolate, all] }
            cooldown: { for: 3m, by: [container.id] }
            steps:
              - { action: container.isolate, undo: { after: 15m }, on_failure: continue }
              - { name: pause-too, action: container.pause, undo: { after: 1m }, on_failure: undo }
              - { action: container.kill, mode: observe }
          - name: block
            match: { rules: [block, all], when: fd.rip exists }
            budget: { actions: 5, per: 900s }
            steps:
              - { action: network.block, with: { address: "{{ fd.rip }}" }, undo: { after: 30m } }
          - name: suspend
            mode: \(variant == 0 ? "enforce" : "observe")
            match: { rules: suspend }
            steps:
              - { action: process.suspend, undo: { after: 2m }, on_failure: undo }
              - { action: container.pause, undo: { after: 2m }, on_failure: undo }

        """
    }
}
