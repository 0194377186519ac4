#!/bin/sh
# Send to the service what schemathesis makes up from its OpenAPI, and look for server errors:
#   pip install schemathesis && scripts/web_schemathesis.sh [SECONDS]
# Exit status 0: none. The service ends with the script.
set -eu
log=$(mktemp)
python -m tumorlens web --port 0 2>"$log" &
service=$!
trap 'kill "$service" 2>/dev/null || true; rm -f "$log"' EXIT
url=
for _ in $(seq 120); do
  url=$(sed -n 's/.*\(http:\/\/[^ ]*\).*/\1/p' "$log" | head -n 1)
  [ -n "$url" ] || ! kill -0 "$service" 2>/dev/null && break
  sleep 0.5
done
[ -n "$url" ] || { cat "$log" >&2; exit 2; }
export SCHEMATHESIS_HOOKS="$(dirname "$0")/web_schemathesis_hooks.py"  # which sends pictures, too
schemathesis run "${url}api/v1/openapi.json" --max-time "${1:-120}" --request-timeout 60 \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
