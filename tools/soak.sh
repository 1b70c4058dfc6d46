#!/bin/bash
# SPDX-License-Identifier: MIT
# Keeps a server busy and fails when it grows: viewers that come, stall and are killed, parameters
# that change, rooms that are made and removed. Memory, descriptors and threads are compared in
# quiet moments, after a warm-up and at the end.
#   tools/soak.sh PROGRAM [MINUTES]
set -u
program=$1 minutes=${2:-10}
graph='src: pattern kind=ball size=320x240 fps=30 -> text "{fps}" -> jpeg -> live'
tmp=$(mktemp -d)
clients=()
rooms=0 changes=0 killed=0 pictures=0

fail() {
    echo "soak: FAILED: $*" >&2
    tail -n 20 "$tmp/server.log" >&2
    exit 1
}
cleanup() {
    kill -KILL "${clients[@]}" "$server" 2>/dev/null
    rm -rf "$tmp"
}
api() { # METHOD PATH [JSON]
    curl -sS --max-time 10 -o "$tmp/answer" -w '%{http_code}' -X "$1" "$url/api/v1$2" \
        -H 'Content-Type: application/json' ${3:+-d "$3"} 2>"$tmp/curl.err"
}
want() { # STATUS METHOD PATH [JSON]
    local status=$1 got
    shift
    got=$(api "$@")
    [ "$got" = "$status" ] || fail "$1 $2 gives $got, want $status: $(head -c 300 "$tmp/answer") $(cat "$tmp/curl.err")"
}
alive() { kill -0 "$server" 2>/dev/null || fail "the server is gone"; }

"$program" serve --port 0 --json >"$tmp/where" 2>"$tmp/server.log" &
server=$!
trap cleanup EXIT
for _ in $(seq 100); do
    [ -s "$tmp/where" ] && break
    alive
    sleep 0.1
done
port=$(sed -n 's/.*"port":\([0-9]*\).*/\1/p' "$tmp/where")
[ -n "$port" ] || fail "no port in: $(cat "$tmp/where")"
url=http://127.0.0.1:$port
for _ in $(seq 100); do
    curl -sf --max-time 2 "$url/readyz" >/dev/null 2>&1 && break
    alive
    sleep 0.1
done
curl -sf --max-time 2 "$url/readyz" >/dev/null || fail "not ready after 10 s"

client() { # ARGS...: a viewer in the background
    curl -sN "$@" >/dev/null 2>&1 &
    clients+=($!)
    disown # no word about its end
}
drop_client() { # the oldest, without a goodbye
    kill -KILL "${clients[0]}" 2>/dev/null
    clients=("${clients[@]:1}")
    killed=$((killed + 1))
}
round() {
    local name=soak$((rooms % 7))
    client "$url/stream.mjpg"
    client --limit-rate 20k "$url/stream.mjpg" # slower than any room
    client "$url/stream.mjpg"
    kill -STOP "${clients[-1]}" # never reads
    want 201 POST /rooms "{\"name\":\"$name\",\"graph\":$(printf '%s' "$graph" | sed 's/"/\\"/g; s/.*/"&"/')}"
    rooms=$((rooms + 1))
    client "$url/stream.mjpg?room=$name"
    for speed in 0.5 1 2 4; do
        want 200 PATCH "/rooms/$name/params" "{\"node\":\"src\",\"values\":{\"speed\":$speed}}"
        changes=$((changes + 1))
    done
    [ "$(api PATCH "/rooms/$name/params" '{"node":"src","values":{"speed":"fast"}}')" = 400 ] ||
        fail "a bad value is not refused"
    [ "$(curl -s --max-time 5 "$url/frame.jpg?room=$name" | head -c 2 | od -An -tx1 | tr -d ' ')" = ffd8 ] ||
        fail "/frame.jpg?room=$name is no JPEG"
    pictures=$((pictures + 1))
    curl -s --max-time 5 "$url/metrics" -o /dev/null || fail "no /metrics"
    printf 'GET /frame.jpg HT' >"/dev/tcp/127.0.0.1/$port" # and away
    want 204 DELETE "/rooms/$name"
    while [ ${#clients[@]} -gt 8 ]; do drop_client; done
    alive
}
quiet() { # prints "rss_kb descriptors threads" without any viewer
    while [ ${#clients[@]} -gt 0 ]; do drop_client; done
    sleep 4
    alive
    echo "$(awk '/^VmRSS/ { print $2 }' "/proc/$server/status")" "$(ls "/proc/$server/fd" | wc -l)" \
        "$(ls "/proc/$server/task" | wc -l)"
}

end=$((SECONDS + minutes * 60))
warm=$((SECONDS + minutes * 12))
while [ $SECONDS -lt $warm ]; do round; done
quiet >"$tmp/before"
read -r rss fds threads <"$tmp/before"
echo "soak: after warm-up $rss kB, $fds descriptors, $threads threads"
while [ $SECONDS -lt $end ]; do round; done
quiet >"$tmp/after"
read -r rss2 fds2 threads2 <"$tmp/after"
echo "soak: at the end    $rss2 kB, $fds2 descriptors, $threads2 threads"
echo "soak: $rooms rooms, $changes changes, $killed viewers killed, $pictures pictures checked"

[ "$fds2" -le "$fds" ] || fail "descriptors grew from $fds to $fds2: $(ls -l "/proc/$server/fd" | tail -n 5)"
[ "$threads2" -le "$threads" ] || fail "threads grew from $threads to $threads2"
[ "$rss2" -le $((rss + rss / 20 + 4096)) ] || fail "memory grew from $rss to $rss2 kB"
kill -TERM "$server"
for _ in $(seq 20); do
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
done
kill -0 "$server" 2>/dev/null && fail "still there 2 s after SIGTERM"
wait "$server"
status=$?
[ $status = 0 ] || [ $status = 143 ] || fail "exit status $status after SIGTERM"
echo "soak: nothing grew in $minutes minutes"
