#!/usr/bin/env bash
# The tour of the product, as a new user would take it: `ops/tour.sh sqlite|postgres`.
#
# It takes the binary of TROUPE_BIN, or asks cargo to build one, starts a node on a free port with a data
# directory of its own, walks through it with curl and the command line, and prints one TAP line a
# check. PostgreSQL is the server of TROUPE_TEST_POSTGRES; a database is made there and dropped.
set -euo pipefail
cd "$(dirname "$0")/.."

dialect=${1:-sqlite}
work=$(mktemp -d)
node_pid=
database=
checks=0
failures=0
json='content-type: application/json'
password='a long walk on the pier'

finish() {
    status=$?
    if [ -n "$node_pid" ]; then kill -9 "$node_pid" 2>/dev/null || true; wait "$node_pid" 2>/dev/null || true; fi
    if [ -n "$database" ]; then
        psql -q "$TROUPE_TEST_POSTGRES" -c "DROP DATABASE IF EXISTS $database WITH (FORCE)" || true
    fi
    if [ "$status" -ne 0 ] && [ -f "$work/node.log" ]; then echo "# the end of the node's log:"; tail -n 20 "$work/node.log" | sed 's/^/# /'; fi
    rm -rf "$work"
}
trap finish EXIT

ok() { checks=$((checks + 1)); echo "ok $checks - $1"; }
not_ok() { checks=$((checks + 1)); failures=$((failures + 1)); echo "not ok $checks - $1"; [ $# -lt 2 ] || echo "# $2"; }
# is WHAT GOT WANTED
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got '$2', wanted '$3'"; fi; }
# has WHAT TEXT PART
has() { case "$2" in *"$3"*) ok "$1" ;; *) not_ok "$1" "'$3' is not in: $(printf %s "$2" | head -c 400)" ;; esac; }

# call METHOD PATH [TOKEN] [BODY] [curl options …]: sets $status, $body and $head
call() {
    local method=$1 path=$2 token=${3:-} data=${4:-}
    shift $(($# < 4 ? $# : 4))
    local options=(-s -X "$method" -D "$work/head" -o "$work/body" -w '%{http_code}')
    [ -z "$token" ] || options+=(-H "authorization: Bearer $token")
    [ -z "$data" ] || options+=(-H "$json" --data-binary "$data")
    status=$(curl "${options[@]}" "$@" "$base$path" || true)
    body=$(cat "$work/body" 2>/dev/null || true)
    head=$(tr -d '\r' <"$work/head" 2>/dev/null || true)
}
field() { printf %s "$body" | jq -r "$1"; }

start_node() {
    "$troupe" "${settings[@]}" serve >"$work/node.log" 2>&1 &
    node_pid=$!
    for _ in $(seq 300); do
        if curl -sf -o /dev/null "$base/readyz"; then return 0; fi
        kill -0 "$node_pid" 2>/dev/null || { echo "# the node ended"; return 1; }
        sleep 0.05
    done
    echo "# the node is not ready after 15 seconds"
    return 1
}
stop_node() { kill "-$1" "$node_pid"; wait "$node_pid" 2>/dev/null || true; node_pid=; }
login() { # EMAIL: prints an access token
    call POST /v1/auth/login "" "{\"email\":\"$1\",\"password\":\"$password\"}"
    field .access_token
}

troupe=${TROUPE_BIN:-}
if [ -z "$troupe" ]; then
    cargo build --quiet --package troupe-node
    troupe=$(cargo metadata --format-version 1 --no-deps | jq -r .target_directory)/debug/troupe
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null || echo $((20000 + RANDOM % 20000)))
base=http://127.0.0.1:$port
# Limits are wide until the tour comes to them: it makes a thousand requests from one address.
settings=(--data "$work/data" --set "edge.listen=127.0.0.1:$port" --set auth.public_url="$base"
    --set edge.address_limit.quota=100000 --set edge.principal_limit.quota=100000)
case $dialect in
sqlite) ;;
postgres)
    : "${TROUPE_TEST_POSTGRES:?the address of a PostgreSQL server}"
    database=troupe_tour_$$
    psql -q "$TROUPE_TEST_POSTGRES" -c "CREATE DATABASE $database"
    export TROUPE_DATABASE__URL=${TROUPE_TEST_POSTGRES%/*}/$database
    ;;
*) echo "usage: ops/tour.sh sqlite|postgres" >&2; exit 2 ;;
esac
echo "# tour on $dialect"

# The documents: what ships inside the crates that this build depends on.
mkdir "$work/documents"
cargo metadata --format-version 1 --locked | jq -r '.packages[] | select(.source) | .manifest_path' |
    while read -r manifest; do
        directory=$(dirname "$manifest")
        if [ -f "$directory/README.md" ]; then cp "$directory/README.md" "$work/documents/$(basename "$directory").md"; fi
    done
documents=$(find "$work/documents" -name '*.md' | wc -l)
if [ "$documents" -ge 50 ]; then ok "$documents real documents are at hand"; else not_ok "fifty documents are at hand" "$documents"; fi

# 1. First start and set-up.
start_node
link=$(grep -ao "$base/setup#token=.*" "$work/node.log" | head -n 1)
has "the first start prints a set-up link" "$link" "#token="
call GET /setup; is "the set-up page is served" "$status" 200
call POST /v1/auth/setup "" "{\"token\":\"${link#*token=}\",\"email\":\"root@example.org\",\"password\":\"$password\",\"display_name\":\"Root\",\"organisation\":\"House\"}"
is "the link makes the administrator" "$status" 201
call POST /v1/auth/setup "" "{\"token\":\"${link#*token=}\",\"email\":\"eve@example.org\",\"password\":\"$password\",\"display_name\":\"Eve\",\"organisation\":\"Cave\"}"
is "and works once" "$((status >= 400 && status < 500))" 1
root=$(login root@example.org)

# 2. Two users in two organisations.
for person in ada bob; do
    call POST /v1/auth/register "" "{\"email\":\"$person@example.org\",\"password\":\"$password\",\"display_name\":\"$person\",\"organisation\":\"$person press\"}"
    is "$person registers with an organisation" "$status" 201
done
call POST /v1/auth/register "" "{\"email\":\"weak@example.org\",\"password\":\"password1234\",\"display_name\":\"weak\"}"
is "a common password is refused" "$status" 422
call POST /v1/auth/login "" '{"email":"ada@example.org","password":"not the right one"}'
is "a wrong password is refused" "$status" 401
ada=$(login ada@example.org)
bob=$(login bob@example.org)
call GET /v1/users/me "$ada"; is "ada is who she says" "$(field .email)" ada@example.org
call GET /v1/users/me/organisations "$ada"; house=$(field '[.. | objects | .slug // empty] | first')
is "and has her organisation" "$house" ada-press
mails=$(find "$work/data/mails" -name '*.eml' 2>/dev/null | wc -l)
for _ in $(seq 100); do [ "$mails" -ge 2 ] && break; sleep 0.1; mails=$(find "$work/data/mails" -name '*.eml' 2>/dev/null | wc -l); done
if [ "$mails" -ge 2 ]; then ok "the verification mails were delivered to files"; else not_ok "the verification mails were delivered to files" "$mails"; fi

# 3. An import that is interrupted by kill -9 in the middle, and goes on by itself.
export TROUPE_SERVER=$base TROUPE_TOKEN=$ada
"$troupe" blog import "$work/documents" --publish >"$work/import.log" 2>&1 &
import_pid=$!
for _ in $(seq 400); do
    [ "$(grep -ac '"path":"/v1/blog/import"' "$work/node.log" || true)" -ge 20 ] && break
    sleep 0.01
done
stop_node 9
ok "the node was killed in the middle of the import"
cp "$work/node.log" "$work/node-before.log"
start_node
if wait "$import_pid"; then ok "the import goes on when the node is back"; else not_ok "the import goes on when the node is back" "$(tail -n 3 "$work/import.log" | tr '\n' ' ')"; fi
acknowledged=$(grep -a '"path":"/v1/blog/import"' "$work/node-before.log" | grep -ac '"status":201' || true)
echo "# $acknowledged documents were acknowledged before the kill"
"$troupe" blog export "$work/exported" >/dev/null
is "every document is there" "$(find "$work/exported" -name '*.md' | wc -l)" "$documents"
again=$("$troupe" blog import "$work/documents" --publish 2>&1 || true)
has "importing again changes nothing" "$again" "0 created, 0 updated, $documents unchanged"

# 4. Read and search, as anybody.
call GET "/v1/public/$house/posts?limit=5"; is "anybody reads the published posts" "$(field '.items | length')" 5
slug=$(field '.items[0].slug')
cursor=$(field .next_cursor)
call GET "/v1/public/$house/posts?limit=5&cursor=$cursor"; is "the next page has other posts" "$(field '.items | length')" 5
call GET "/v1/public/$house/posts?limit=5&cursor=x$cursor"; is "a forged cursor is refused" "$status" 400
call GET "/v1/public/$house/posts/$slug"; is "one post is read" "$status" 200
etag=$(printf %s "$head" | sed -n 's/^etag: //Ip')
call GET "/v1/public/$house/posts/$slug" "" "" -H "if-none-match: $etag"; is "and not sent again when it is known" "$status" 304
call GET "/v1/public/$house/search?q=serialization"; found=$(field '.items | length')
if [ "$found" -ge 1 ]; then ok "a search finds $found posts"; else not_ok "a search finds posts" "$body"; fi
call GET "/v1/public/$house/search?q=c%2B%2B%20%22x"; is "a search for odd signs is answered" "$status" 200
call GET "/v1/public/$house/feed.atom"; has "there is an Atom feed" "$body" "<feed"
call GET "/v1/public/$house/feed.rss"; has "there is an RSS feed" "$body" "<rss"

# 5. Write, publish, change with care.
call POST /v1/blog/posts "$ada" '{"title":"Hello pier","body":"A *first* post <script>alert(1)</script>","comments_enabled":true}' -H 'idempotency-key: tour-1'
is "ada writes a draft" "$status" 201
post=$(field .id)
call POST /v1/blog/posts "$ada" '{"title":"Hello pier","body":"A *first* post <script>alert(1)</script>","comments_enabled":true}' -H 'idempotency-key: tour-1'
is "the same request again is the same post" "$(field .id)" "$post"
call POST /v1/blog/posts "$ada" '{"title":"Something else"}' -H 'idempotency-key: tour-1'
is "the same key with another request is refused" "$status" 422
call GET /v1/public/$house/posts/hello-pier; is "a draft is not public" "$status" 404
call PATCH "/v1/blog/posts/$post" "$ada" '{"title":"Hello, pier"}'; is "a change without its version is refused" "$status" 428
call GET "/v1/blog/posts/$post" "$ada"; etag=$(printf %s "$head" | sed -n 's/^etag: //Ip')
call PATCH "/v1/blog/posts/$post" "$ada" '{"title":"Hello, pier"}' -H "if-match: $etag"; is "a change with it is made" "$status" 200
call PATCH "/v1/blog/posts/$post" "$ada" '{"title":"Late"}' -H "if-match: $etag"; is "a change of an old version is refused" "$status" 412
call POST "/v1/blog/posts/$post/publish" "$ada" '{}'; is "ada publishes" "$status" 200
call GET /v1/public/$house/posts/hello-pier; is "and everybody reads" "$status" 200
case "$body" in *"<script>"*) not_ok "scripts are taken out" "$body" ;; *) ok "scripts are taken out" ;; esac

# 6. Comment and moderate.
call POST "/v1/public/$house/posts/hello-pier/comments" "" '{"name":"Guest","body":"What a view!"}'
is "a guest comments" "$((status == 201 || status == 202))" 1
call GET "/v1/public/$house/posts/hello-pier/comments"; is "which waits for moderation" "$(field '.items | length')" 0
call GET "/v1/blog/comments?status=pending" "$ada"; comment=$(field '.items[0].id')
call PATCH "/v1/blog/comments/$comment" "$ada" '{"status":"approved"}'; is "ada approves it" "$status" 200
call GET "/v1/public/$house/posts/hello-pier/comments"; is "and everybody reads it" "$(field '.items | length')" 1

# 7. Others stay out.
call GET "/v1/blog/posts/$post" "$bob"; is "bob does not see ada's post" "$status" 404
call PATCH "/v1/blog/posts/$post" "$bob" '{"title":"Mine"}' -H 'if-match: "1"'; is "nor change it" "$status" 404
call GET "/v1/blog/posts/$post"; is "nobody gets in without a token" "$status" 401
call GET /v1/inspect/tree "$bob"; is "bob may not look at the actors" "$status" 403
tree=$(TROUPE_TOKEN=$root "$troupe" actors tree)
has "the administrator may" "$tree" "blog"
has "with what each handled" "$tree" "handled"
call POST /v1/authz/explain "$ada" '{"action":"blog.post.publish"}'
is "a decision is explained" "$status" 200

# 8. A revoked session is refused at once.
call GET /v1/auth/sessions "$bob"; is "bob sees his session" "$status" 200
call GET /v1/users/me "$bob"; is "his token is good" "$status" 200
call POST /v1/auth/logout-all "$bob"; is "he logs out everywhere" "$((status == 200 || status == 204))" 1
call GET /v1/users/me "$bob"; is "and his token is refused at once" "$status" 401

# 9. In order down, with the limits as they are shipped, and up.
stop_node TERM
has "SIGTERM ends the node in order" "$(tail -n 5 "$work/node.log")" "drained"
settings+=(--set edge.address_limit.quota=30)
start_node
limited=0
for _ in $(seq 60); do
    call GET "/v1/public/$house/tags"
    [ "$status" = 429 ] && { limited=1; break; }
done
is "the rate limit is met" "$limited" 1
has "with the time to wait" "$head" "retry-after"
has "and the limit in the head" "$head" "ratelimit"
stop_node TERM

# 10. The audit trail, offline, and what it makes of a forger.
verified=$("$troupe" "${settings[@]}" audit verify || true)
has "the audit trail is intact" "$verified" "is intact"
if [ "$dialect" = sqlite ] && command -v sqlite3 >/dev/null; then
    forge() { sqlite3 "$work/data/troupe.db" "$1"; }
elif [ "$dialect" = postgres ]; then
    forge() { psql -q "$TROUPE_DATABASE__URL" -c "SET session_replication_role = replica; $1"; }
else
    forge() { return 1; }
fi
triggers=""
[ "$dialect" != sqlite ] || triggers=$(sqlite3 "$work/data/troupe.db" "SELECT 'DROP TRIGGER ' || name || ';' FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_entries'" 2>/dev/null || true)
if forge "$triggers UPDATE audit_entries SET action = 'auth.nothing' WHERE sequence = 2"; then
    code=0
    "$troupe" "${settings[@]}" audit verify >"$work/verify.log" 2>&1 || code=$?
    is "a forged entry is found" "$code" 6
else
    echo "ok $((checks += 1)) - a forged entry is found # SKIP no sqlite3 client"
fi

echo "1..$checks"
[ "$failures" -eq 0 ]
