"""Measured throughput by pods, and the cores and pods that rates need."""

import math
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from msgspec import Struct

from tools.bench.results import FOLDER, Machine

FILE: Final = FOLDER / "scale.json"
KEPT: Final = Path(__file__).parent / "measured" / "scale.json"
# The share of its cores that a pod should use on average: the chart's autoscaling.targetCPUUtilizationPercentage.
TARGET: Final = 0.8
_RATES: Final = (10_000, 100_000, 1_000_000)  # requests a second
_FLAT: Final = 0.2  # relative difference allowed between the CPU of a request and that with the fewest pods


class Step(Struct, frozen=True):
    """The result of a number of pods, round by round: CPU in seconds, of everything in the pods."""

    pods: int
    requests_per_second: list[float]
    cpu_per_request: list[float]
    p50: list[float]
    p99: list[float]


class Scale(Struct, frozen=True):
    """The setup of a measured Deployment: the request, the number of connections, the cores per pod."""

    machine: Machine
    began: str
    request: str
    connections: int
    cores: float
    steps: list[Step]


def cores_for(rate: float, cpu_per_request: float) -> float:
    """Return the cores that this many requests per second keep busy."""
    return rate * cpu_per_request


def pods_for(rate: float, cpu_per_request: float, cores: float = 1.0, target: float = TARGET) -> int:
    """Return the pods of this many cores that a rate needs, each as busy as the autoscaler allows on average."""
    return math.ceil(round(cores_for(rate, cpu_per_request) / (cores * target), 9))


def is_flat(steps: Iterable[Step]) -> bool:
    """Return whether a request takes as much CPU with many pods as with few, within a fifth."""
    taken = [median(step.cpu_per_request) for step in sorted(steps, key=lambda step: step.pods)]
    return all(abs(each / taken[0] - 1) <= _FLAT for each in taken)


def table(scale: Scale) -> str:
    """Return the measurements as a Markdown table.

    They are the medians of the rounds; the last columns compare them with the fewest pods.
    """
    first = min(scale.steps, key=lambda step: step.pods)
    lines = ["| pods | requests a second | times one pod's | CPU per request |", "| --- | --- | --- | --- |"]
    for step in scale.steps:
        rate, cpu = median(step.requests_per_second), median(step.cpu_per_request)
        times = rate / median(first.requests_per_second) * first.pods
        lines.append(f"| {step.pods} | {rate:,.0f} | {times:.2f} | {cpu * 1e6:,.0f} µs |")
    return "\n".join(lines)


def extrapolated(cpu_per_request: float, rates: Iterable[float] = _RATES) -> str:
    """Return the cores, and the pods of one core, that rates need, as a Markdown table."""
    lines = [
        f"| requests a second | cores that are busy | pods of one core, {TARGET:.0%} busy |",
        "| --- | --- | --- |",
    ]
    lines += [
        f"| {rate:,.0f} | {cores_for(rate, cpu_per_request):,.1f} | {pods_for(rate, cpu_per_request):,} |"
        for rate in rates
    ]
    return "\n".join(lines)


def documented(scale: Scale) -> str:
    """Return the README's text on a measurement.

    It states the setup and the results, and what follows for any rate from the CPU per request with the most pods.
    """
    where = scale.machine
    most = max(scale.steps, key=lambda step: step.pods)
    cpu = median(most.cpu_per_request)
    flat = "stays the same within a fifth" if is_flat(scale.steps) else "did not stay the same"
    begin = (
        f"Measured on {scale.began[:10]} ({where.cores} cores of {where.cpu}, load average {where.load:.2f} at the"
        f" beginning): {scale.request}, {scale.connections} connections, {scale.cores:g} cores for each pod."
        f" The CPU of a request {flat}."
    )
    follows = (
        f"With {most.pods} pods a request takes {cpu * 1e6:,.0f} µs of CPU, including the kernel's part in the pod."
        f" Derived, not measured: a pod with a core of its own serves {1 / cpu:,.0f} of them a second at most,"
        f" {TARGET / cpu:,.0f} when it is at the autoscaler's target. Other rates take:"
    )
    return "\n\n".join([begin, table(scale), follows, extrapolated(cpu)])


def write(scale: Scale, file: Path = FILE) -> None:
    """Write the measurements to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(scale), indent=1) + b"\n")


def read(file: Path = FILE) -> Scale:
    """Read the measurements. Raise `OSError`, `msgspec.ValidationError` or `msgspec.DecodeError`."""
    return msgspec.json.decode(file.read_bytes(), type=Scale)
