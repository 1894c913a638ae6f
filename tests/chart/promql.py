"""Checks of PromQL expressions against the metrics that echo has.

Metrics, labels and label values in an expression are compared with them.
"""

from collections.abc import Iterator
from typing import Final

import promql_parser
from promql_parser import AggregateExpr, Expr, MatchOp, VectorSelector

from app.http.observer import APPLICATION_FAILED, WEBSOCKET
from app.telemetry.metrics import FAMILIES, Family

# Labels that the Prometheus operator adds to a target, and so to each of its series; and a metric of Prometheus' own.
TARGET: Final = frozenset({"container", "endpoint", "instance", "job", "namespace", "pod"})
UP: Final = "up"
_BUCKET: Final = "_bucket"
# Values of echo's labels that expressions select, as far as they are fixed words.
_WORDS: Final = {"reason": {APPLICATION_FAILED}, "protocol": {WEBSOCKET}}


def mistakes(promql: str) -> list[str]:
    """Return unknown metrics, labels and words of an expression. Raise `ValueError` if it is not PromQL."""
    expression = promql_parser.parse(promql)
    found = [mistake for selector in selectors(expression) for mistake in _of_selector(selector)]
    return found + [mistake for aggregate in _aggregates(expression) for mistake in _of_aggregate(aggregate)]


def metrics(promql: str) -> set[str]:
    """Return the names of the metric families that an expression selects, including Prometheus' own."""
    names = (selector.name or "" for selector in selectors(promql_parser.parse(promql)))
    return {family.name if (family := _family(name)) else name for name in names}


def grouped_by(promql: str) -> set[str]:
    """Return the labels of an expression's results: those of its aggregations."""
    aggregates = list(_aggregates(promql_parser.parse(promql)))
    return {label for each in aggregates if each.modifier for label in each.modifier.labels}


def selectors_of(promql: str) -> list[VectorSelector]:
    """Return each selector of an expression in text."""
    return list(selectors(promql_parser.parse(promql)))


def selectors(expression: Expr) -> Iterator[VectorSelector]:
    """Return each selector of an expression."""
    return (node for node in _nodes(expression) if isinstance(node, VectorSelector))


def _nodes(expression: Expr) -> list[Expr]:
    nodes: list[Expr] = []
    promql_parser.walk(expression, nodes.append)
    return nodes


def _aggregates(expression: Expr) -> Iterator[AggregateExpr]:
    return (node for node in _nodes(expression) if isinstance(node, AggregateExpr))


def _family(name: str) -> Family | None:
    """Return the metric family of a series: a histogram's series have a suffix."""
    whole = name.removesuffix(_BUCKET).removesuffix("_sum").removesuffix("_count")
    if (family := FAMILIES.get(whole)) and (family.kind == "histogram") == (whole != name):
        return family
    return None


def _labels(name: str) -> frozenset[str]:
    family = _family(name)
    own = {*family.labels, *({"le"} if name.endswith(_BUCKET) else ())} if family else set()
    return TARGET | own


def _of_selector(selector: VectorSelector) -> Iterator[str]:
    name = selector.name or ""
    if name != UP and _family(name) is None:
        yield f"no metric is called {name!r}"
    for matcher in selector.matchers.matchers:
        if matcher.name not in _labels(name):
            yield f"{name} has no label {matcher.name}"
        words = _WORDS.get(matcher.name, {matcher.value})
        if matcher.op in (MatchOp.Equal, MatchOp.NotEqual) and matcher.value not in words:
            yield f"{matcher.name} is never {matcher.value!r}"


def _of_aggregate(aggregate: AggregateExpr) -> Iterator[str]:
    named = set(aggregate.modifier.labels) if aggregate.modifier else set()
    for selector in selectors(aggregate.expr):
        for label in sorted(named - _labels(selector.name or "")):
            yield f"{selector.name} has no label {label} to group by"
