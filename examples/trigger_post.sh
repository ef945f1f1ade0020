#!/bin/sh
# Trigger a pop from a CRM by POST, and wait up to 5 s for a desktop to show it.
# Usage: POPBRIDGE_KEY=… ./trigger_post.sh [AGENT [CRM_HOST]]
set -eu
: "${POPBRIDGE_KEY:?set it to an API key: popbridge keys issue --customer acme}"

curl -sS --fail-with-body --max-time 10 "${POPBRIDGE_URL:-http://127.0.0.1:8080}/api/sendmessage/CRM" \
    -H "Authorization: Bearer $POPBRIDGE_KEY" \
    -H "Content-Type: application/json" \
    -H "Prefer: wait=5" \
    --data-binary @- <<EOF
{
    "agentid": "${1:-1001}",
    "crmid": "${2:-acme.example.com}",
    "event": "On Answer",
    "ticket": 4711,
    "contact": {"name": "Ada Example", "phone": "+15551234567"}
}
EOF
echo
