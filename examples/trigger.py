"""Trigger a pop with nothing but the standard library, and act on what the bridge answers.

    POPBRIDGE_KEY=… python trigger.py 1001 "On Answer" caller=+15551234567 ticket=4711

Exit codes: 0 the pop was accepted, 1 the request has to be corrected, 2 the bridge could not be reached in time.
"""

import json
import os
import sys
import time
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

URL = os.environ.get("POPBRIDGE_URL", "http://127.0.0.1:8080")
ATTEMPTS = 3


def trigger(agent: str, event: str, data: dict[str, str], wait: float = 3.0) -> dict[str, object]:
    """Ask for a pop; return the answer. HTTPError: refused, and trying the same again makes no sense."""
    body = json.dumps(data | {"agentid": agent, "event": event, "pop_wait": wait}).encode()
    request = Request(f"{URL}/api/sendmessage/CTI", body)
    request.add_header("Content-Type", "application/json")
    request.add_header("X-API-Key", os.environ["POPBRIDGE_KEY"])
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urlopen(request, timeout=wait + 2) as response:
                answer: dict[str, object] = json.load(response)
                return answer
        except HTTPError as refusal:
            # Only these two say: the same request may succeed later.
            if refusal.code not in {429, 503} or attempt == ATTEMPTS:
                raise
            time.sleep(min(float(refusal.headers.get("Retry-After", "1")), 5.0))
    raise AssertionError("the last attempt returned or raised")


def main() -> int:
    """Read the command line, trigger, and say what became of the pop."""
    agent, event, *rest = sys.argv[1:]
    data = dict(each.split("=", 1) for each in rest)
    try:
        answer = trigger(agent, event, data)
    except HTTPError as refusal:
        problem = json.load(refusal)
        print(f"{problem['code']}: {problem['detail']} {problem['hint']}", file=sys.stderr)
        return 1
    except (URLError, HTTPException, OSError) as error:
        # The pop may have been accepted or not: the bridge did not say.
        print(f"no answer: {error}", file=sys.stderr)
        return 2
    warnings = answer.get("warnings", [])
    for warning in warnings if isinstance(warnings, list) else []:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{answer['status']} {answer['popid']} on {answer['topic']} ({answer['receivers']} desktops)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
