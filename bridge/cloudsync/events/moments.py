"""Moments: the ways in which a CRM writes a time, as whole milliseconds since the epoch."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_EARLIEST = 315_532_800_000  # 1980: seconds taken for milliseconds would land before
_LATEST = 7_258_118_400_000  # 2200


def read(written: object) -> int:
    """Read `…Z`, `…+0000`, `…+00:00`, or epoch milliseconds. ValueError says what is wrong; it quotes nothing.

    Less than a millisecond is cut. A time without a zone is refused: nobody can say when it was.
    """
    if isinstance(written, str):
        if len(written) > 40:
            raise ValueError("is not a time")
        try:
            moment = datetime.fromisoformat(written)
        except ValueError:
            raise ValueError("is not a time") from None
        if moment.tzinfo is None:
            raise ValueError("is a time without a zone")
        try:
            milliseconds = (moment - _EPOCH) // _MILLISECOND
        except OverflowError:
            raise ValueError("is out of range") from None
    elif isinstance(written, bool) or not isinstance(written, int | float) or written != written // 1:
        raise ValueError("is not a time")
    else:
        milliseconds = int(written)
    if not _EARLIEST <= milliseconds < _LATEST:
        raise ValueError("is out of range")
    return milliseconds
