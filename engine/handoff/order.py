"""From a hand-off of a spec to an order: which built rows, on top of which weights, with which parameters."""

from __future__ import annotations

from collections.abc import Iterator

from engine.errors import SetwrightError, did_you_mean
from engine.handoff.folder import Order
from engine.handoff.params import handed_over
from engine.handoff.preflight import Refused
from engine.plan.steps import Plan, Status, relation_of
from engine.relation import Reader
from engine.store import Store


def make_order(plan: Plan, store: Store, name: str) -> tuple[Order, Reader]:
    """What a hand-off orders, and the rows that it hands over.

    Raises:
        Refused: the table fails its data tests.
        SetwrightError: there is no such hand-off, or what it stands on isn't built as the spec says.
    """
    spec = plan.spec
    if name not in spec.handoffs:
        hint = did_you_mean(name, spec.handoffs)
        raise SetwrightError(f"{spec.file}: no hand-off {name!r}{hint}", cure="name it under `handoffs:`")
    node = spec.handoffs[name]
    unbuilt = list(dict.fromkeys(_unbuilt(plan, node.data, node.base)))
    if unbuilt:
        chosen = " ".join(f"+{step}" for step in dict.fromkeys(step.partition(".")[0] for step in unbuilt))
        raise SetwrightError(
            f"handoffs.{name}: not built as the spec says: {', '.join(unbuilt)}",
            cure=f'setwright build {spec.file} --select "{chosen}"',
        )
    _check_tests(plan, store, node.data)
    weights = plan.backends[node.base].weights()
    if weights is None:
        raise SetwrightError(f"handoffs.{name}: the weights of {node.base} are not at hand", cure="name another base")
    identities = {step: planned.fingerprint for step, planned in plan.steps.items()}
    params = handed_over(node.params, spec.file.parent)
    order = Order(name, node.trainer, weights, params, spec.seed, plan.handed_over[name])
    return order, Reader(store, relation_of(plan.steps, identities, node.data))


def _unbuilt(plan: Plan, table: str, base: str) -> Iterator[str]:
    """Steps that a table's rows and columns, or a trained base, are made of and that the store lacks."""
    names = [table, *plan.steps[table].scores, f"{table}.tests"]
    while plan.steps[table].step.verb == "select":
        table = plan.steps[table].step.sources[0]
        names += [table, *plan.steps[table].scores]
    names += [base] if base in plan.spec.trained else []
    yield from (name for name in names if name in plan.steps and plan.steps[name].status is not Status.CACHED)


def _check_tests(plan: Plan, store: Store, table: str) -> None:
    tests = plan.steps.get(f"{table}.tests")
    manifest = None if tests is None else store.manifest(tests.fingerprint)
    failed = manifest.facts["failed_tests"] if manifest is not None else []
    if failed:
        raise Refused(
            f"{table} fails its tests: {', '.join(failed)}", cure=f"setwright test {plan.spec.file} shows the rows"
        )
