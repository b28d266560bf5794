"""The functions, for both the worker and the client."""

import reporting

STAGES = ("first", "second", "third", "fourth")
DEFAULT = "default"


def noop(number: int) -> int:
    reporting.COUNTER.began()
    reporting.COUNTER.ended()
    return number


def first(number: int) -> int:
    reporting.COUNTER.began()
    return number


def second(number: int) -> int:
    return number


def third(number: int) -> int:
    return number


def fourth(number: int) -> int:
    reporting.COUNTER.ended()
    return number


def latency(number: int, stamp_ns: int) -> int:
    reporting.started(number, stamp_ns)
    return number


def sleep(number: int) -> int:
    reporting.sleeping_here(number)
    return number
