#!/bin/sh
# Watch a customer with mosquitto_sub. Observers read everything of their customer and change nothing.
# Usage: POPBRIDGE_TOKEN=… ./observe.sh pops|outcomes|presence|live|cloudsync|all [more options of mosquitto_sub, such as -C 1]
#
#   pops       every pop, once, when it is accepted, whether a desktop is there or not
#   outcomes   what the desktops say of them: shown, unchanged, refused
#   presence   which agents have a desktop connected: first as it is now (retained), then each change
#   live       CloudSync's live floor: sessions, queues and agents, each change
#   cloudsync  what CloudSync's feed tells, and whether it is up (retained)
#   all        everything about pops at once, each line with its topic
#
# The token is an observer's: popbridge tokens issue --customer acme --role observer
set -eu
customer=${POPBRIDGE_CUSTOMER:-acme}

case ${1:-} in
pops) set -- "$@" -t "CTI/$customer/#" -t "CRM/$customer/#" ;;
outcomes) set -- "$@" -t "ACK/$customer/#" ;;
presence) set -- "$@" -t "PRESENCE/$customer/#" ;;
live) set -- "$@" -v -t "LIVE/$customer/#" ;;
cloudsync) set -- "$@" -v -t "CLOUDSYNC/$customer/#" ;;
all) set -- "$@" -v -t "CTI/$customer/#" -t "CRM/$customer/#" -t "ACK/$customer/#" -t "DESK/$customer/#" \
    -t "PRESENCE/$customer/#" ;;
*)
    sed -n '2,/^set/{/^#/p;}' "$0" >&2
    exit 2
    ;;
esac
shift

: "${POPBRIDGE_TOKEN:?set it to an observer token}"
exec mosquitto_sub -V mqttv311 -q 1 -h "${POPBRIDGE_MQTT_HOST:-127.0.0.1}" -p "${POPBRIDGE_MQTT_PORT:-1883}" \
    -u "$customer" -P "$POPBRIDGE_TOKEN" "$@"
