import RipostePlaybooks

/// Playbooks that use every feature of the engine on the simulated world.
enum SimulatedPlaybooks {
    /// The budgets of playbooks and, after a slash, of steps, as the files below give them.
    static let budgets: [String: Budget] = [
        "pause": Budget(actions: 4, targets: 3, per: .seconds(600)), "kill": Budget(actions: 2, per: .seconds(3600)), "block": Budget(actions: 5, per: .seconds(900)),
        "rolled": Budget(actions: 3, per: .seconds(1800)), "both/end": Budget(actions: 3, per: .seconds(3600)),
    ]
    static let agentBudgets = [
        AgentBudget("minute", Budget(actions: 12, per: .seconds(60), reopening: .quiet(.seconds(120)))),
        AgentBudget("same-target", Budget(actions: 8, per: .seconds(3600), over: .ask, reopening: .quiet(.seconds(600))), each: .target),
        AgentBudget("destroying", Budget(actions: 4, per: .seconds(3600), reopening: .byHand), impact: .destroys),
    ]
    /// Steps that nobody but a person lets act; that of ``silent`` also time.
    static let asking: Set<String> = ["ask/container-isolate", "ask/network-block", "both/end", "silent/container-pause", "shared/cut"]
    /// Never without a person, as the roll-out of ``shared`` has not come to them; which ones those are is the same on every host.
    static let besideShare = (steps: ["shared/cut", "shared/cut.hold"], targets: Set(SimulatedWorld.containers[0...1].map { "container:\($0)" }))
    static let escalation = (step: "climb/suspend.escalation", after: Duration.seconds(600))
    /// Its alerts find room and an answer, whatever floods the others.
    static let canary = "canary"
    static let names = ["pause", "kill", "isolate", "block", "suspend", "ask", "both", "silent", "climb", "steps", "rolled", "twice", "count", "shared"]
    /// Those whose first step runs alone, so that what it comes to does not depend on another one.
    static let comparable = names.filter { $0 != "steps" }
    static let rules = names + ["all", "nothing", "a\u{1b}[31m{{ rule }}\n\"<x>"]

    static func text(_ variant: Int) -> String {
        """
        apiVersion: riposte/v1
        defaults: { dedup: off }
        playbooks:
          - name: pause
            match: { rules: [pause, all] }
            budget: { actions: 4, targets: 3, per: 600s, over: ask, reopen: { quiet: 5m } }
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
          - name: ask
            mode: ask
            match: { rules: ask }
            approval: { expires: \(variant == 0 ? "10m" : "6m") }
            steps:
              - { action: container.isolate, undo: { after: 20m } }
              - { action: network.block, with: { address: "{{ fd.rip }}" }, undo: { after: 10m } }
          - name: both
            match: { rules: both }
            steps:
              - name: end
                action: process.kill
                approval: { expires: 15m, approvers: ["group:oncall"], quorum: 2 }
                hold: process.suspend
                budget: { actions: 3, per: 1h, over: ask }
          - name: silent
            match: { rules: silent }
            steps:
              - { action: container.pause, undo: { after: 10m }, approval: { expires: 3m, on_expiry: perform } }
          - name: climb
            match: { rules: climb }
            steps:
              - name: suspend
                action: process.suspend
                undo: { after: 2h }
                escalate: { after: 10m, action: process.kill }
          - name: steps
            match: { rules: steps }
            steps:
              - name: contain
                on_failure: { goto: last }
                parallel:
                  - { name: hold, action: container.pause, undo: { after: 4m }, retry: { max: 4, delay: 1s } }
                  - { name: cut, action: container.isolate, undo: { after: 6m }, timeout: 20s, on_failure: continue }
              - { name: stop, needs: [contain], action: process.suspend, undo: { after: 3m }, on_failure: undo }
              - { name: last, when: "not steps.hold.outcome in (done, already)", action: network.block, with: { address: "{{ fd.rip }}" }, undo: { after: 5m } }
          - name: rolled
            match: { rules: rolled }
            budget: { actions: 3, per: 30m }
            rollout:
              stages:
                - { mode: observe, for: 10m, min_runs: 2 }
                - { mode: ask, for: 10m, auto: true }
                - { mode: enforce, share: 50% }
                - { mode: enforce, after: 20m }
              back_on: [denied > 1, undone_by_hand > 1, breaker]
            steps:
              - { action: container.pause, undo: { after: 5m } }
          - name: shared
            match: { rules: shared }
            rollout: { stages: [{ mode: ask }, { mode: enforce, share: 50% }] }
            steps:
              - { name: cut, action: container.isolate, undo: { after: 6m }, approval: { expires: 3m, on_expiry: perform }, hold: container.pause }
          - name: twice
            match: { rules: twice }
            dedup: { for: 5m, by: [rule, target] }
            steps:
              - { action: container.isolate, undo: { after: 2m } }
          - name: count
            match: { rules: count, threshold: { count: 3, within: 5m, by: [container.id] } }
            steps:
              - { action: container.pause, undo: { after: 2m } }
          - name: canary
            match: { rules: canary }
            steps:
              - { action: container.pause, undo: { after: 1m } }

        """
    }
}
