"""Marks: what tells how far to trust a row: its revision, status, completeness, coverage and age."""

from bridge.cloudsync.flow.answers.questions import ALL
from bridge.cloudsync.flow.desk import Desk
from bridge.cloudsync.flow.feeds import Feeds
from bridge.cloudsync.flow.finality import Doubts, Finality
from bridge.cloudsync.numbers import cim
from bridge.words.cloudsync import QUARTER
from bridge.words.cloudsync import Mapping as Words
from bridge.words.times import stamp

MARKED = ("revision", "status", "complete", "coverage_s", "computed_at")


class Marks:
    """What a customer's rows are marked with at one moment."""

    def __init__(self, desk: Desk, feeds: Feeds, mapping: Words, zone: str, now: int) -> None:
        self.desk = desk
        self.mapping = mapping
        self.zone = zone
        self.now = now
        self.doubts: Doubts = desk.doubted()
        self.covered = feeds.covered(desk.customer)
        self._plain: dict[tuple[int, int, str], str] = {}
        self._stamps: dict[str, str] = {}

    def zone_of(self, group: str) -> str:
        """Say in which zone a group's times are shown."""
        return self.zone if group == ALL else cim.group_zone(group, self.mapping, self.zone)

    def active(self) -> dict[str, int]:
        """Say since when each group has rows: from its first, or always if it is mapped."""
        active = {group: since - since % QUARTER for group, since in self.desk.active.items()}
        mapping = self.mapping
        for group in (*mapping.zone, *mapping.sl_threshold, *mapping.short_abandon, *mapping.default_group.values()):
            if group:
                active[group] = 0
        active[ALL] = 0
        return active

    def spelled(self, start: int, end: int, group: str, revision: str, changed: str, finality: Finality) -> str:
        """Spell the five marks of a row, the braces' end too."""
        known = group if self.doubts.since or finality.held else ""
        key = (start, end, known)
        middle = self._plain.get(key)
        if middle is None:
            middle = self._plain[key] = self._middle(start, end, group, finality)
        status, rest = middle.split("|", 1)
        if status == "final" and revision != "1":
            status = "restated"
        return f',"revision":{revision},"status":"{status}"{rest}{self._stamp(changed)}"}}'

    def _stamp(self, changed: str) -> str:
        known = self._stamps.get(changed)
        if known is None:
            known = self._stamps[changed] = stamp(int(changed) / 1000)
        return known

    def _middle(self, start: int, end: int, group: str, finality: Finality) -> str:
        covered = self.covered.length(start, end)
        doubted = self.doubts.touch(end, group)
        if self.now < end:
            status = "open"
        elif doubted or not finality.is_final(end, group):
            status = "provisional"
        else:
            status = "final"
        complete = covered == end - start and not doubted
        return f'{status}|,"complete":{"true" if complete else "false"},"coverage_s":{covered // 1000},"computed_at":"'
