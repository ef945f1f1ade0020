#!/bin/sh
# Trigger a pop by GET. Usage: POPBRIDGE_KEY=… ./trigger_get.sh [AGENT [EVENT [CALLER]]]
#
# The key travels in a header, so that it stays out of the URL. --data-urlencode writes the blank of an event and the
# plus of a telephone number as they must be written.
set -eu
: "${POPBRIDGE_KEY:?set it to an API key: popbridge keys issue --customer acme}"

curl -sS --fail-with-body --max-time 10 --get "${POPBRIDGE_URL:-http://127.0.0.1:8080}/api/sendmessage/CTI" \
    -H "X-API-Key: $POPBRIDGE_KEY" \
    --data-urlencode "agentid=${1:-1001}" \
    --data-urlencode "event=${2:-On Ring}" \
    --data-urlencode "caller=${3:-+15551234567}"
echo
