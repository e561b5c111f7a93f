#!/bin/sh
# The walk through the product that `make demo` takes: from a database to files with receipts. It may be walked again.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin

step() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }
days_ago() { "$bin/python" -c "import datetime as d; print(d.datetime.now(d.UTC).date() - d.timedelta($1))"; }

test -f demo/loyalty.duckdb || step "$bin/python" -m demo.generate

step "$bin/outgate" init
step "$bin/outgate" check
step "$bin/outgate" backfill loyalty_events --from "$(days_ago 60)" --to "$(days_ago 1)"
for export in receipts customers customer_spend; do
    step "$bin/outgate" run "$export"
done
step "$bin/outgate" history

printf '\n%s files, %s in deliveries/, the last of them by name:\n' \
    "$(find deliveries -type f | wc -l | tr -d ' ')" "$(du -sh deliveries | cut -f 1)"
find deliveries -type f | sort | tail -n 12
printf '\nThe same in the browser:  make ui\n'
