#!/usr/bin/env bash
# The tour of the product, as a new user would take it: `ops/tour.sh sqlite|postgres|full [STATE]`.
#
# It takes the binary of TROUPE_BIN, or asks cargo to build one, starts a node on a free port with a data
# directory of its own, walks through it with curl and the command line, and prints one TAP line a
# check. PostgreSQL is the server of TROUPE_TEST_POSTGRES; a database is made there and dropped. `full` takes
# the same steps on PostgreSQL, Redis, Kafka, S3 and, where there is one, a mail server, each found by its
# TROUPE_TEST variable.
#
# STATE is a file with the end state (ops/end-state.sh): it is written when it is not there, and otherwise what
# this tour leaves must be equal to it.
set -euo pipefail
cd "$(dirname "$0")/.."

variant=${1:-sqlite}
expected=${2:-}
dialect=$variant
[ "$variant" != full ] || dialect=postgres
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
    [ -z "${own_keys:-}" ] || redis "EVAL \"for _, key in ipairs($own_keys) do redis.call('DEL', key) end\" 0" >/dev/null || true
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
# ask QUERY: of the node's database
ask() {
    if [ "$dialect" = sqlite ]; then sqlite3 -batch -readonly -cmd '.timeout 5000' "$work/data/troupe.db" "$1"; else psql -XqAt "$TROUPE_DATABASE__URL" -c "$1"; fi
}
# redis COMMAND: its answer, in the protocol of Redis
redis() {
    local place=${TROUPE_TEST_REDIS_URL#redis://}
    place=${place%%/*}
    exec 3<>"/dev/tcp/${place%:*}/${place##*:}"
    printf '%s\r\nQUIT\r\n' "$1" >&3
    timeout 5 head -n 1 <&3 | tr -d '\r'
    exec 3>&-
}
login() { # EMAIL: prints an access token
    call POST /v1/auth/login "" "{\"email\":\"$1\",\"password\":\"$password\"}"
    field .access_token
}

troupe=${TROUPE_BIN:-}
if [ -z "$troupe" ]; then
    features=()
    [ "$variant" != full ] || features=(--features kafka)
    cargo build --quiet --package troupe-node "${features[@]}"
    troupe=$(cargo metadata --format-version 1 --no-deps | jq -r .target_directory)/debug/troupe
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null || echo $((20000 + RANDOM % 20000)))
base=http://127.0.0.1:$port
# Limits are wide until the tour comes to them: it makes a thousand requests from one address.
settings=(--data "$work/data" --set "edge.listen=127.0.0.1:$port" --set auth.public_url="$base"
    --set edge.address_limit.quota=100000 --set edge.principal_limit.quota=100000)
own=tour-$$-$port
mails() { find "$work/data/mails" -name '*.eml' 2>/dev/null | wc -l; }
case $variant in
sqlite | postgres | full) ;;
*) echo "usage: ops/tour.sh sqlite|postgres|full [STATE]" >&2; exit 2 ;;
esac
if [ "$dialect" = postgres ]; then
    : "${TROUPE_TEST_POSTGRES:?the address of a PostgreSQL server}"
    database=troupe_tour_$$
    psql -q "$TROUPE_TEST_POSTGRES" -c "CREATE DATABASE $database"
    export TROUPE_DATABASE__URL=${TROUPE_TEST_POSTGRES%/*}/$database
fi
if [ "$variant" = full ]; then
    export TROUPE_CACHE__URL=${TROUPE_TEST_REDIS_URL:?the address of a Redis, redis://HOST:PORT}
    own_keys="redis.call('KEYS', '$own*')"
    export TROUPE_EVENTS__KAFKA__BROKERS=${TROUPE_TEST_KAFKA_BROKERS:?the addresses of Kafka}
    # http://KEY:SECRET@HOST:PORT/BUCKET
    store=${TROUPE_TEST_S3_URL:?the address of a bucket of S3 with key and secret}
    credentials=${store#*://}
    credentials=${credentials%%@*}
    address=${store#*@}
    export TROUPE_BLOBS__URL=s3://${address#*/}/$own TROUPE_BLOBS__ENDPOINT=${store%%://*}://${address%%/*}
    export TROUPE_BLOBS__ACCESS_KEY=${credentials%%:*} TROUPE_BLOBS__SECRET_KEY=${credentials#*:}
    # A node that is killed must not keep its part of a group for the usual 45 seconds.
    settings+=(--set cache.prefix="$own" --set events.kafka.topic_prefix="$own" --set events.kafka.partitions=2
        --set events.kafka.session_timeout=6s)
    # smtp://USER:PASSWORD@HOST:PORT
    if [ -n "${TROUPE_TEST_SMTP_URL:-}" ]; then
        credentials=${TROUPE_TEST_SMTP_URL#*://}
        address=${credentials#*@}
        credentials=${credentials%%@*}
        export SSL_CERT_FILE=${TROUPE_TEST_SMTP_CA:?a file with the authority of the mail server}
        export TROUPE_NOTIFY__SMTP__USERNAME=${credentials%%:*} TROUPE_NOTIFY__SMTP__PASSWORD=${credentials#*:}
        settings+=(--set notify.delivery=smtp --set notify.smtp.host="${address%:*}"
            --set notify.smtp.port="${address##*:}")
        mails() { curl -s "$TROUPE_TEST_MAIL_API/api/v1/search?query=%22127.0.0.1:$port%22" | jq '.messages_count // 0'; }
    fi
fi
echo "# tour on $variant"

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
delivered=$(mails)
for _ in $(seq 100); do [ "$delivered" -ge 2 ] && break; sleep 0.1; delivered=$(mails); done
if [ "$delivered" -ge 2 ]; then ok "the verification mails were delivered"; else not_ok "the verification mails were delivered" "$delivered"; fi

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

printf '\x89PNG\r\n\x1a\n' >"$work/pier.png"
seq 100000 >>"$work/pier.png"
call POST "/v1/blog/media?name=pier.png" "$ada" "" -H 'content-type: application/octet-stream' --data-binary "@$work/pier.png"
is "ada uploads a picture" "$status" 201
call GET "/v1/public/$house/media/$(field .id)"; is "and everybody sees it as it was" "$(sha256sum <"$work/body")" "$(sha256sum <"$work/pier.png")"

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

# 9. Everything has its effects: what was committed is delivered, sent and sealed.
state() { ops/end-state.sh "${TROUPE_DATABASE__URL:-sqlite:$work/data/troupe.db}" "$@"; }
unfinished="SELECT (SELECT COUNT(*) FROM audit_queue) + (SELECT COUNT(*) FROM notify_mails WHERE state = 'queued')"
# Until two looks see the same.
settle() {
    local before= after
    for _ in $(seq 60); do
        after=$(state)
        [ "$(ask "$unfinished")" = 0 ] && [ "$after" = "$before" ] && return 0
        before=$after
        sleep 0.5
    done
    return 1
}
# Without its client nobody looks into a file of SQLite.
can_look=1
[ "$dialect" != sqlite ] || command -v sqlite3 >/dev/null || can_look=0
if [ "$can_look" = 0 ]; then
    sleep 3
    echo "ok $((checks += 1)) - everything comes to an end # SKIP no sqlite3 client"
elif settle; then ok "everything comes to an end"; else not_ok "everything comes to an end" "$(ask "$unfinished") are unfinished"; fi
"$troupe" blog export "$work/left" >/dev/null
if [ "$variant" = full ]; then
    behind=$(ask "SELECT (SELECT MAX(position) FROM outbox) - position FROM consumer_offsets WHERE consumer = 'events.relay'")
    is "every event went through Kafka" "$behind" 0
    is "the picture lies on S3" "$(find "$work/data/blobs" -type f 2>/dev/null | wc -l)" 0
    keys=$(redis "EVAL \"return #$own_keys\" 0")
    case $keys in :[1-9]*) ok "the node has ${keys#:} keys in Redis" ;; *) not_ok "the node has keys in Redis" "$keys" ;; esac
fi

# 10. In order down, with the limits as they are shipped, and up.
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

# 11. What is left is the same, whatever it is kept in.
if [ -n "$expected" ] && [ "$can_look" = 0 ]; then
    echo "ok $((checks += 1)) - the end state is the expected one # SKIP no sqlite3 client"
elif [ -n "$expected" ]; then
    state "$work/left" >"$work/state"
    if [ ! -f "$expected" ]; then
        cp "$work/state" "$expected"
        echo "# the end state has $(wc -l <"$work/state") lines"
    elif difference=$(diff -u --label "what is expected" --label "$variant" "$expected" "$work/state"); then
        ok "the end state is the expected one, in $(wc -l <"$work/state") lines"
    else
        not_ok "the end state is the expected one" "- is missing on $variant, + is there and was not expected:"
        printf '%s\n' "$difference" | head -n 60 | sed 's/^/# /'
    fi
fi

# 12. The audit trail, offline, and what it makes of a forger.
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
