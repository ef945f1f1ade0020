"""Descriptors: how many connections the operating system lets this process have."""

import sys


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one; return what it is now."""
    if sys.platform == "win32":
        return 8192
    import resource  # noqa: PLC0415 - there is none on Windows

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = 1_048_576
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        # Some systems name a hard limit that they then refuse; the soft one stays.
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return hard
