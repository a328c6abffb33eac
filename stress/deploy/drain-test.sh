#!/usr/bin/env bash
# A balancer, two instances, a load of 32 requests in flight, and a heap that turns unhealthy, again and again.
#
#   stress/deploy/drain-test.sh [ROUNDS]     3 rounds of each kind, if nothing is said
#
# A round: violation -> unhealthy -> out of rotation -> in-flight requests finish -> exit -> the supervisor
# starts the instance anew -> back in rotation. ROUNDS of them each with /readyz 503, with /readyz 404 and
# disable-on-404, and with the agent check; then with both instances sick at once and a lease between them;
# then, as the control, with a policy that aborts instead. The last line is
#
#   rounds=N failed=0 last_new_request_ms_max=... abort_control_failed=...
#
# N counts the rounds of the four kinds, `failed` the requests that failed in them, last_new_request_ms_max is the
# longest time from a violation to the last new request at the sick instance (first three kinds), and
# abort_control_failed the requests that failed in the control. Exit 0 if no request failed, all instances ended
# as they should, and the control lost some; else 1.
#
# GC_STRESS names the binary, if it is not to be built. Nothing but 127.0.0.1 is used, and nothing is left running.
set -euo pipefail
cd "$(dirname "$0")/../.."
ulimit -c 0
unset GC_POLICY GC_CHECKS GC_TRACE NOTIFY_SOCKET WATCHDOG_USEC

rounds=${1:-3}
case $rounds in '' | *[!0-9]* | 0) echo "usage: drain-test.sh [ROUNDS], at least 1" >&2; exit 64 ;; esac
# The longest that anything may take before the test is given up: far more than it ever needs.
patience_s=$((60 + rounds * 30))

if [ -z "${GC_STRESS:-}" ]; then
  cargo build --release --locked -q -p stress
  GC_STRESS=${CARGO_TARGET_DIR:-target}/release/gc-stress
fi
command -v haproxy >/dev/null || {
  apt-get update -qq && apt-get install -y -qq --no-install-recommends haproxy >/dev/null
}
haproxy=$(command -v haproxy)

work=$(mktemp -d)
pids=()
cleanup() {
  touch "$work/stop"
  for file in "$work"/*.pid; do
    kill -KILL "$(cat "$file")" || true
  done
  for pid in "${pids[@]}"; do kill "$pid" || true; done
  wait || true
  rm -rf "$work"
}
# What is to be ended may have ended by itself.
trap 'cleanup 2>/dev/null' EXIT
trap 'exit 130' INT TERM

# Ports below those that the system gives to clients, so that nobody takes one between two starts.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    case " $taken " in *" $port "*) continue ;; esac
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  taken="$taken $port"
  printf -v "$1" %s "$port"
  export "${1?}"
}
taken=""
for name in PORT_A PORT_B AGENT_A AGENT_B PORT_503 PORT_404 PORT_AGENT STATS_PORT; do free_port "$name"; done

give_up() { # what was waited for
  echo "drain-test: gave up after $patience_s s: $1" >&2
  tail -n 5 "$work"/*.log "$work"/*.err >&2
  exit 1
}
await() { # what is waited for, then the command that says whether it is there
  local what=$1 deadline=$((SECONDS + patience_s))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || give_up "$what"
    sleep 0.1
  done
}

supervise() { # instance, then the arguments of `serve`
  local name=$1 code
  shift
  while [ ! -e "$work/stop" ]; do
    "$GC_STRESS" serve --instance "$name" "$@" >>"$work/$name.log" 2>>"$work/$name.err" &
    echo $! >"$work/$name.pid"
    # The shell would tell of an abort, which the log does.
    { wait $! && code=0 || code=$?; } 2>/dev/null
    rm -f "$work/$name.pid"
    printf 't=%(%s)T.000 instance=%s event=exited code=%s\n' -1 "$name" "$code" >>"$work/$name.log"
  done
}
start() { # instance, then more arguments of `serve`
  local name=$1 port=$PORT_A agent=$AGENT_A
  shift
  if [ "$name" = b ]; then port=$PORT_B agent=$AGENT_B; fi
  supervise "$name" --listen "127.0.0.1:$port" --agent "127.0.0.1:$agent" --agent-state "$work/$name.agent" "$@" &
  supervisors+=($!)
  pids+=($!)
}
# Asks again until all have ended: an instance may end by itself, or begin, between two looks.
stop_all() {
  touch "$work/stop"
  await "the end of the instances" have_ended
  wait "${supervisors[@]}" || true
  supervisors=()
  rm -f "$work/stop"
}
have_ended() {
  local name pid
  for name in a b; do
    # One that does not listen yet would die of the signal instead of leaving.
    [ "$(count "$name" listening)" -gt "$(count "$name" exited)" ] || continue
    pid=$(cat "$work/$name.pid" 2>/dev/null) || continue
    kill -TERM "$pid" 2>/dev/null || true
  done
  ! kill -0 "${supervisors[@]}" 2>/dev/null
}
supervisors=()

is_up() { # backend, server: by HAProxy's own word
  local line
  { exec 3<>"/dev/tcp/127.0.0.1/$STATS_PORT"; } 2>/dev/null || return 1
  echo "show stat" >&3
  while IFS= read -r line; do
    case $line in "$1,$2,"*) break ;; esac
  done <&3
  exec 3>&-
  [ "$(cut -d, -f18 <<<"$line")" = UP ]
}
count() { # instance, event: how often its log tells of it
  awk -v event="event=$2" '$3 == event { n++ } END { print n + 0 }' "$work/$1.log"
}
has_done() { # instance, times: so often it has ended and is back
  [ "$(count "$1" exited)" -ge "$2" ] && [ "$(count "$1" first-request)" -gt "$2" ]
}

# Runs load against a port while a condition is awaited. Sets failed_here.
load_until() { # port, what is waited for, command
  local port=$1
  shift
  "$GC_STRESS" load "127.0.0.1:$port" >"$work/load.out" 2>"$work/load.err" &
  local load=$!
  pids+=("$load")
  await "$@"
  kill -TERM "$load"
  wait "$load" || true
  cat "$work/load.out" "$work/load.err" | sed 's/^/  load: /'
  failed_here=$(sed -n 's/.* failed=\([0-9]*\).*/\1/p' "$work/load.out")
  [ -n "$failed_here" ] || give_up "the result of the load"
}

# Tells the rounds of an instance from its log. Prints the rounds; sets nothing.
tell_rounds() { # instance, kind
  awk -v kind="$2" '
    function value(key,   at, rest) {
      at = index($0, " " key "="); if (!at) return ""
      rest = substr($0, at + length(key) + 2); sub(/ .*/, "", rest); return rest
    }
    { t = substr($1, 3) }
    $3 == "event=unhealthy" { sick = t }
    $3 == "event=leaving" { in_flight = value("in_flight"); left = t }
    $3 == "event=ended" { last = value("last_new_request_ms"); done = value("last_finished_ms"); cut = value("cut"); code = value("exit"); ended = t }
    $3 == "event=first-request" && sick {
      round++
      printf "  %s round %d of %s: left +%d ms with %d in flight, last new request +%d ms, in flight finished +%d ms, exit %d after +%d ms, back +%d ms\n",
        kind, round, value("instance"), (left - sick) * 1000, in_flight, last, done, code, (ended - sick) * 1000, (t - sick) * 1000
      sick = 0
    }' "$work/$1.log"
}
wrong_ends() { # instance, codes that are right: how many ends had another
  awk -v right=" $2 " '$3 == "event=exited" { split($4, code, "="); if (!index(right, " " code[2] " ")) n++ } END { print n + 0 }' "$work/$1.log"
}
longest_last_new() { # instance
  awk '$3 == "event=ended" && /reason=unhealthy/ { for (i = 4; i <= NF; i++) if (split($i, word, "=") && word[1] == "last_new_request_ms" && word[2] > most) most = word[2] } END { print most + 0 }' "$work/$1.log"
}

"$haproxy" -c -q -f stress/deploy/haproxy.cfg
"$haproxy" -db -f stress/deploy/haproxy.cfg >"$work/haproxy.out" 2>&1 &
pids+=($!)

total=0 failed=0 last_new_max=0 wrong=0
# What an agent told its balancer outlives the kinds: the balancer is one and the same.
fresh() { rm -f "$work"/[ab].log "$work"/[ab].err "$work/lease"; }

drain() { # kind, backend, port, then more arguments of `serve`
  local kind=$1 backend=$2 port=$3 most
  shift 3
  echo "$kind: $rounds rounds of instance a"
  fresh
  start b "$@"
  start a --bug-after 1 "$@"
  await "instance a in $backend" is_up "$backend" a
  await "instance b in $backend" is_up "$backend" b
  load_until "$port" "$rounds rounds with $kind" has_done a "$rounds"
  stop_all
  tell_rounds a "$kind"
  total=$((total + rounds)) failed=$((failed + failed_here))
  most=$(longest_last_new a)
  if [ "$most" -gt "$last_new_max" ]; then last_new_max=$most; fi
  wrong=$((wrong + $(wrong_ends a "0 10") + $(wrong_ends b "0")))
}

drain 503 app_503 "$PORT_503"
drain 404 app_404 "$PORT_404" --readyz-404
drain agent app_agent "$PORT_AGENT"

# Both turn within the same second, and again after each start. The lease lets one of them at a time be away.
both_done() { has_done a "$1" && has_done b "$1"; }
each=$(((rounds + 1) / 2))
echo "both sick: $each rounds of each instance, with a lease between them"
fresh
for name in a b; do start "$name" --bug-after 1 --fleet-delay 0.3 --lease "$work/lease"; done
await "instance a in app_503" is_up app_503 a
await "instance b in app_503" is_up app_503 b
load_until "$PORT_503" "$each rounds of both" both_done "$each"
stop_all
for name in a b; do
  tell_rounds "$name" both
  wrong=$((wrong + $(wrong_ends "$name" "0 10")))
done
total=$((total + $(count a exited) + $(count b exited) - 2)) failed=$((failed + failed_here))
# From each leaving to the next first request the instance is away; no two such times may overlap. The last
# leaving is by SIGTERM, when the test has seen enough.
overlaps=$(cat "$work/a.log" "$work/b.log" | sort -s -t= -k2,2 | awk '
  /event=leaving reason=unhealthy/ { for (other in away) if (other != $2) n++; away[$2] = 1 }
  /event=first-request/ { delete away[$2] }
  END { print n + 0 }')
echo "  times at which both were away: $overlaps"
wrong=$((wrong + overlaps))

echo "control: the policy aborts, $rounds rounds of instance a"
fresh
start b
start a --bug-after 1 --policy abort
await "instance a in app_503" is_up app_503 a
await "instance b in app_503" is_up app_503 b
load_until "$PORT_503" "$rounds aborts" has_done a "$rounds"
stop_all
abort_failed=$failed_here

[ "$wrong" -eq 0 ] || echo "drain-test: $wrong instances ended wrongly or were away together" >&2
echo "rounds=$total failed=$failed last_new_request_ms_max=$last_new_max abort_control_failed=$abort_failed"
[ "$failed" -eq 0 ] && [ "$wrong" -eq 0 ] && [ "$abort_failed" -gt 0 ]
