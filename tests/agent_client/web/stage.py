"""Stage: the pure modules of the desktop in JavaScript, played by Node, with the interface of those in Python."""

import base64
import itertools
import subprocess
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from agent_client.messages import Current, Moved, Notice, Outcome, Recall, Refused, Saying
from agent_client.records import NotInActivitiesError, Records
from agent_client.screen import NotAPopError
from bridge.words.pop import Pop
from tests.conftest import WITHIN, needed

_POP = msgspec.json.Decoder(Pop)


class Stage:
    """One Node process, which answers each question before the next."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [needed("node"), str(Path(__file__).with_name("stage.mjs"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._ids = itertools.count()

    def close(self) -> None:
        self._process.communicate(timeout=WITHIN)

    def new(self, what: str, **how: Any) -> int:
        """Make a thing; give its number."""
        number = next(self._ids)
        self.ask(what, id=number, **how)
        return number

    def ask(self, deed: str, refusal: Callable[[Pop], str | None] | None = None, **how: object) -> Any:
        """Have something done, and give what came of it. Raises what the rules in Python raise."""
        said = self._exchange({"do": deed, **how})
        while "ask" in said:
            assert refusal is not None
            said = self._exchange(refusal(_POP.decode(said["ask"])))
        match said:
            case {"error": "NotInActivities", "why": why}:
                raise NotInActivitiesError(why)
            case {"error": "Unreadable", "why": why}:
                raise NotAPopError(why)
            case {"error": name, "why": why}:
                raise AssertionError(f"{name}: {why}")
        return said["done"]

    def _exchange(self, line: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(line) + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the stage broke down"
        return msgspec.json.decode(answer)


class StagedScreen:
    """A screen in JavaScript."""

    def __init__(self, stage: Stage, backlog: int, refusal: Callable[[Pop], str | None] | None) -> None:
        self.records = Records()
        self.sayings: deque[Saying] = deque()
        self.obeyed: deque[Notice] = deque()
        self._stage = stage
        self._refusal = refusal
        self._copies: list[Callable[[], None]] = []
        self._id = stage.new("screen", backlog=backlog, refuses=refusal is not None)

    def arrive(self, payload: bytes, ack: Callable[[], None], now: float) -> None:
        self._copies.append(ack)
        self._do("arrive", payload=base64.b64encode(payload).decode(), copy=len(self._copies) - 1, now=now * 1000)

    def take(self, now: float) -> tuple[Pop, bytes] | None:
        shown = self._do("take", now=now * 1000)
        return None if shown is None else (_POP.decode(shown["pop"]), shown["document"].encode())

    def heed(self, notice: Notice, now: float) -> None:
        self._do("heed", notice=_spelled(notice), now=now * 1000)

    def close(self, reference: str) -> None:
        self._do("close", reference=reference)

    def suspend(self) -> None:
        self._do("suspend")

    def resume(self, reference: str) -> None:
        self._do("resume", reference=reference)

    def _do(self, deed: str, **how: object) -> Any:
        told = self._stage.ask(deed, self._refusal, id=self._id, **how)
        for copy in told["acknowledged"]:
            self._copies[copy]()
        self.sayings.extend(_saying(each) for each in told["sayings"])
        self.obeyed.extend(_notice(each) for each in told["obeyed"])
        self.records = msgspec.convert(told["records"], Records)
        return told["shown"]


class StagedSeen:
    """What was seen, in JavaScript."""

    def __init__(self, stage: Stage, limit: int) -> None:
        self._stage = stage
        self._id = stage.new("seen", limit=limit)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, popid: str, until: float, now: float) -> bool:
        told = self._stage.ask("add", id=self._id, popid=popid, until=until, now=now)
        self._size = told["size"]
        is_new: bool = told["isNew"]
        return is_new


class JavaScript:
    """The rules of agent_client/web."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def screen(self, *, backlog: int = 1_000, refusal: Callable[[Pop], str | None] | None = None) -> StagedScreen:
        return StagedScreen(self.stage, backlog, refusal)

    def seen(self, limit: int) -> StagedSeen:
        return StagedSeen(self.stage, limit)

    def step(self, records: Records, name: str, argument: object) -> Records:
        before = {"current": records.current, "activities": records.activities}
        return msgspec.convert(self.stage.ask("records", records=before, step=name, argument=argument), Records)

    def notice(self, payload: bytes) -> Notice | None:
        told = self.stage.ask("notice", payload=base64.b64encode(payload).decode())
        return None if told is None else _notice(told)


def _saying(told: dict[str, Any]) -> Saying:
    return msgspec.convert(told, Outcome) if "popid" in told else msgspec.convert(told, Moved)


def _spelled(notice: Notice) -> dict[str, object]:
    match notice:
        case Recall(popid):
            return {"kind": "recall", "popid": popid}
        case Refused(reference, reason):
            return {"kind": "refused", "reference": reference, "reason": reason}
        case Current(current, activities):
            return {"kind": "current", "reference": current, "activities": activities}


def _notice(told: dict[str, Any]) -> Notice:
    match told["kind"]:
        case "recall":
            return Recall(told["popid"])
        case "refused":
            return Refused(told["reference"], told["reason"])
        case _:
            return Current(told["reference"], tuple(told["activities"]))
