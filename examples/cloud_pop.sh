#!/bin/sh
# Pop a campaign's workflow by the Cloud API: get an IdToken by user name and password, then pop with it.
# Usage: POPBRIDGE_CLOUD_PASSWORD=… ./cloud_pop.sh [AGENT [REFERENCE]]
#
# The IdToken is good for an hour: get one, and pop many times. The Idempotency-Key makes it safe to send the pop twice.
# Exit code 22: the bridge refused, and its answer says why (Reason, Detail).
set -eu
: "${POPBRIDGE_CLOUD_PASSWORD:?set it to the password of a Cloud API user: popbridge users add; the demo prints one}"
url=${POPBRIDGE_URL:-http://127.0.0.1:8080}

# The password comes by standard input: every process of the machine can read the arguments of another.
login=$(printf '%s' "${POPBRIDGE_CLOUD_USER:-demo-cloud}:$POPBRIDGE_CLOUD_PASSWORD" | sed 's/[\\"]/\\&/g')
tokens=$(printf 'user = "%s"\n' "$login" |
    curl -sS --fail-with-body --max-time 10 --config - "$url/api/cloud/token") || {
    code=$?
    echo "$tokens"
    exit "$code"
}
id_token=$(printf '%s' "$tokens" | sed 's/.*"IdToken":"\([^"]*\)".*/\1/')

curl -sS --fail-with-body --max-time 10 "$url/api/cloud/pop" \
    -H "Authorization: Bearer $id_token" \
    -H "Content-Type: application/json" \
    -H "Idempotency-Key: ${POPBRIDGE_POP_KEY:-$(date +%s)-$$}" \
    -H "Prefer: wait=5" \
    --data-binary @- <<EOF
{
    "Username": "${1:-1001}",
    "Campaign": "${POPBRIDGE_CAMPAIGN:-Inbound Support}",
    "Reference": "${2:-case 4711}",
    "ScriptData": {
        "Contact Name": "Ada Example",
        "Contact Phone": "+15551234567",
        "var_ContactReason": "invoice"
    }
}
EOF
echo
