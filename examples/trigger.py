"""Trigger a pop with nothing but the standard library, and act on what the bridge answers.

    POPBRIDGE_KEY=… python trigger.py 1001 "On Answer" caller=+15551234567 ticket=4711

It waits until a desktop shows the pop, retries without popping anybody twice, and says why a pop did not appear.
Exit codes: 0 a desktop showed it, or may yet, 1 it was refused, 2 the bridge could not be reached in time.
"""

import json
import os
import sys
import time
import uuid
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

URL = os.environ.get("POPBRIDGE_URL", "http://127.0.0.1:8080")
ATTEMPTS = 3
WORTH_ANOTHER = {409, 429, 503}
"""Only these say: the same request may succeed later. 409 is our own first attempt, still at work."""


def ask(request: Request, seconds: float) -> dict[str, Any]:
    """Send a request with the key; give the answer. HTTPError: refused."""
    request.add_header("Authorization", f"Bearer {os.environ['POPBRIDGE_KEY']}")
    with urlopen(request, timeout=seconds) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def trigger(agent: str, event: str, data: dict[str, str], wait: float = 3.0) -> dict[str, Any]:
    """Ask for a pop; return what became of it. HTTPError: refused, and trying the same again makes no sense."""
    body = json.dumps(data | {"agentid": agent, "event": event, "pop_wait": wait}).encode()
    request = Request(f"{URL}/api/sendmessage/CTI", body)
    request.add_header("Content-Type", "application/json")
    # One key for all attempts: if an answer was lost on its way, the next attempt gets that very answer.
    request.add_header("Idempotency-Key", str(uuid.uuid4()))
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return ask(request, wait + 2)
        except HTTPError as refusal:
            if refusal.code not in WORTH_ANOTHER or attempt == ATTEMPTS:
                raise
            time.sleep(min(float(refusal.headers.get("Retry-After", "1")), 5.0))
        except (URLError, HTTPException, OSError):
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("the last attempt returned or raised")


def story(popid: str) -> str:
    """Read why a pop did or did not appear; a key reads the pops that it triggered."""
    return str(ask(Request(f"{URL}/api/pops/{popid}"), 5.0)["why"])


def main() -> int:
    """Read the command line, trigger, and say what became of the pop."""
    agent, event, *rest = sys.argv[1:]
    data = dict(each.split("=", 1) for each in rest)
    try:
        answer = trigger(agent, event, data)
        for warning in answer.get("warnings", []):
            print(f"warning: {warning}", file=sys.stderr)
        print(f"{answer['status']} {answer['popid']} on {answer['topic']} ({answer['receivers']} desktops)")
        if answer["status"] != "shown":
            print(story(answer["popid"]), file=sys.stderr)
    except HTTPError as refusal:
        problem = json.load(refusal)
        print(f"{problem['code']}: {problem['detail']} {problem['hint']}", file=sys.stderr)
        return 1
    except (URLError, HTTPException, OSError) as error:
        # The pop may have been accepted or not: the bridge did not say.
        print(f"no answer: {error}", file=sys.stderr)
        return 2
    return 1 if answer["status"] == "refused" else 0


if __name__ == "__main__":
    sys.exit(main())
