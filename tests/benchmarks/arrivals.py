"""Arrivals: what became of the pops of one order, counted where they are answered and where they arrive."""

import array
from typing import Any

PARTS = (0.5, 0.9, 0.99, 0.999, 1.0)


class Pops:
    """The pops of one order. They are numbered through, so that a late one is never taken for one of the next order."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.due = array.array("q")  # by pop: when it should be sent, in nanoseconds of the monotonic clock
        self.accepted = bytearray()  # by pop: answered 200
        self.seen = bytearray()  # by pop: how often it arrived
        self.taken = 0  # answered 200
        self.refused = 0  # answered otherwise
        self.arrived = 0  # arrived at least once
        self.last = 0  # when the last one arrived
        self.delays = array.array("q")  # nanoseconds from when one was due until it arrived
        self.answers = array.array("q")  # and until it was answered

    def add(self, due: int) -> int:
        """Number one more."""
        self.due.append(due)
        self.accepted.append(0)
        self.seen.append(0)
        return self.first + len(self.due) - 1

    def answer(self, number: int, now: int, *, accepted: bool) -> None:
        """Count an answer."""
        at = number - self.first
        self.answers.append(now - self.due[at])
        self.accepted[at] = accepted
        self.taken += accepted
        self.refused += not accepted

    def arrive(self, number: int, now: int) -> None:
        """Count an arrival."""
        at = number - self.first
        if not 0 <= at < len(self.due):
            return
        if not self.seen[at]:
            self.arrived += 1
            self.last = now
            self.delays.append(now - self.due[at])
        self.seen[at] = min(self.seen[at] + 1, 255)

    def missing(self) -> int:
        """Count the pops that were answered 200 and did not arrive."""
        return sum(accepted > seen for accepted, seen in zip(self.accepted, self.seen, strict=True))

    def told(self, began: int) -> dict[str, Any]:
        """Sum it up."""
        return {
            "sent": len(self.due),
            "refused": self.refused,
            "arrived": self.arrived,
            "missing": self.missing(),
            "doubled": sum(seen - 1 for seen in self.seen if seen > 1),
            "took": max(self.last - began, 1) / 1e9,
            "delays": percentiles(self.delays),
            "answers": percentiles(self.answers),
        }


def percentiles(times: "array.array[int]") -> list[float]:
    """Give p50, p90, p99, p99.9 and the maximum in milliseconds; of nothing, nothing."""
    ordered = sorted(times)
    last = len(ordered) - 1
    return [ordered[min(last, int(len(ordered) * part))] / 1e6 for part in PARTS] if ordered else []
