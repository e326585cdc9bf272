internal import RiposteCore
internal import Synchronization

extension Engine {
    func reserveBudget(for order: Order) throws(ActionError) {
        guard let budget = order.budget, let playbook = order.cause?.playbook else { return }
        let now = surroundings.now()
        let isWithin = state.withLock { interior in
            let spent = interior.state.acts[playbook, default: []].count { now - $0 < budget.per }
            guard spent + interior.budgetHeld[playbook, default: 0] < budget.actions else { return false }
            interior.budgetHeld[playbook, default: 0] += 1
            return true
        }
        guard isWithin else {
            throw ActionError(
                .budget, "perform \(order.action)", "playbook \(playbook) has spent its budget of \(budget.actions) actions per \(budget.per.text)")
        }
    }

    func releaseBudget(for order: Order) {
        guard order.budget != nil, let playbook = order.cause?.playbook else { return }
        state.withLock { interior in
            let held = interior.budgetHeld[playbook, default: 0] - 1
            interior.budgetHeld[playbook] = held > 0 ? held : nil
        }
    }
}
