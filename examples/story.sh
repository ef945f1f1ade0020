#!/bin/sh
# Tell a pop's story: its steps, and why it did or did not appear. Usage: POPBRIDGE_TOKEN=… ./story.sh POPID
#
# The token is the API key that triggered it, a token of its agent's desktop, or an observer's or admin's.
set -eu
: "${POPBRIDGE_TOKEN:?set it to an API key or a token}"
popid=${1:?give the popid that the trigger was answered with}

curl -sS --fail-with-body --max-time 10 "${POPBRIDGE_URL:-http://127.0.0.1:8080}/api/pops/$popid" \
    -H "Authorization: Bearer $POPBRIDGE_TOKEN"
echo
