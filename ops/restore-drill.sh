#!/usr/bin/env bash
# The exercise of docs/operations/backup.md: `ops/restore-drill.sh sqlite|dump|physical`.
#
# A node is filled while it is backed up, its data is lost, and another node starts on what was restored.
# Then everybody signs in, posts and blobs are there, the audit chain holds, and what one module does upon
# another's events (auth ends the sessions of whom identity suspends) is done for each: no event is missing.
# Jobs that wrote letters have written each once. Prints one TAP line a check.
#
# It takes the binary of TROUPE_BIN, or asks cargo to build one. PostgreSQL (dump, physical) is two
# clusters of its own on free ports of loopback, made with the newest programs that are installed. With
# TROUPE_TEST_S3_URL the blobs of `dump` lie in S3, and are copied there.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-}
case $kind in sqlite | dump | physical) ;; *) echo "usage: ops/restore-drill.sh sqlite|dump|physical" >&2; exit 2 ;; esac
work=$(mktemp -d)
chmod 755 "$work"
node_pid=
load_pid=
checks=0
failures=0
json='content-type: application/json'
password='a long walk on the pier'

finish() {
    status=$?
    [ -z "$load_pid" ] || kill "$load_pid" 2>/dev/null || true
    if [ -n "$node_pid" ]; then kill -9 "$node_pid" 2>/dev/null || true; wait "$node_pid" 2>/dev/null || true; fi
    for cluster in old new; do
        [ ! -f "$work/$cluster/postmaster.pid" ] || as_server "$programs/pg_ctl" stop -s -m immediate -D "$work/$cluster" || true
    done
    if [ "$status" -ne 0 ]; then for log in node server-old server-new; do [ ! -f "$work/$log.log" ] || { echo "# the end of $log.log:"; tail -n 15 "$work/$log.log" | cut -c -300 | sed 's/^/# /'; }; done; fi
    [ -z "${store:-}" ] || { remove_objects "${folder%-copy}"; remove_objects "${folder%-copy}-copy"; } 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

ok() { checks=$((checks + 1)); echo "ok $checks - $1"; }
not_ok() { checks=$((checks + 1)); failures=$((failures + 1)); echo "not ok $checks - $1"; [ $# -lt 2 ] || echo "# $2"; }
# is WHAT GOT WANTED
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got '$2', wanted '$3'"; fi; }
# has WHAT TEXT PART
has() { case "$2" in *"$3"*) ok "$1" ;; *) not_ok "$1" "'$3' is not in: $(printf %s "$2" | head -c 400)" ;; esac; }
# within SECONDS COMMAND …: whether it succeeds by then
within() {
    local left=$(($1 * 10))
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.1
    done
}
free_port() { # below the ephemeral ones, which anybody may be given at any time
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}

# --- The node -------------------------------------------------------------------------------------

# call METHOD PATH [TOKEN] [BODY] [curl options …]: sets $status and $body
call() {
    local method=$1 path=$2 token=${3:-} data=${4:-}
    shift $(($# < 4 ? $# : 4))
    local options=(-s -X "$method" -o "$work/body" -w '%{http_code}' --max-time 30)
    [ -z "$token" ] || options+=(-H "authorization: Bearer $token")
    [ -z "$data" ] || options+=(-H "$json" --data-binary "$data")
    status=$(curl "${options[@]}" "$@" "$base$path" || true)
    body=$(cat "$work/body" 2>/dev/null || true)
}
field() { printf %s "$body" | jq -r "$1"; }
login() { # EMAIL: prints an access token
    call POST /v1/auth/login "" "{\"email\":\"$1\",\"password\":\"$password\"}"
    field .access_token
}
ready() { curl -sf -o /dev/null "$base/readyz"; }
start_node() { # DATA [database URL]
    settings=(--data "$1" --set "edge.listen=127.0.0.1:$port" --set auth.public_url="$base"
        --set edge.address_limit.quota=100000 --set edge.principal_limit.quota=100000)
    if [ $# -gt 1 ]; then export TROUPE_DATABASE__URL=$2; fi
    if [ -n "$store" ]; then
        settings+=(--set "blobs.url=s3://$bucket/$folder" --set "blobs.endpoint=$store" --set "blobs.access_key=${keys%%:*}" --set "blobs.secret_key=${keys#*:}")
    fi
    "$troupe" "${settings[@]}" serve >"$work/node.log" 2>&1 &
    node_pid=$!
    within 30 ready || { echo "# the node is not ready after 30 seconds"; return 1; }
}
stop_node() { kill "-$1" "$node_pid"; wait "$node_pid" 2>/dev/null || true; node_pid=; }

suspend() { # EMAIL TOKEN of the administrator: signs in and is barred, which ends the session
    local person user
    person=$(curl -s --max-time 10 -H "$json" "$base/v1/auth/login" --data-binary "{\"email\":\"$1\",\"password\":\"$password\"}" | jq -r .access_token)
    user=$(curl -s --max-time 10 -H "authorization: Bearer $person" "$base/v1/users/me" | jq -r .id)
    curl -s -o /dev/null --max-time 10 -H "$json" -H "authorization: Bearer $2" "$base/v1/users/$user/suspend" --data-binary '{"reason":"drill"}' || true
}

# Registers accounts with organisations, writes posts and suspends accounts until it is ended; what was
# acknowledged goes to $work/acknowledged, each with the time before it was asked for.
load() {
    local number=0 body=$work/load.body status began token=$1 root
    root=$(curl -s --max-time 10 -H "$json" "$base/v1/auth/login" --data-binary "{\"email\":\"root@example.org\",\"password\":\"$password\"}" | jq -r .access_token)
    while :; do
        number=$((number + 1))
        began=$(date +%s.%N)
        status=$(curl -s -o "$body" -w '%{http_code}' --max-time 10 -H "$json" "$base/v1/auth/register" \
            --data-binary "{\"email\":\"load$number@example.org\",\"password\":\"$password\",\"display_name\":\"Load\",\"organisation\":\"Load $number\"}" || true)
        [ "$status" != 201 ] || echo "$began account load$number@example.org" >>"$work/acknowledged"
        suspend "load$number@example.org" "$root"
        status=$(curl -s -o "$body" -w '%{http_code}' --max-time 10 -H "$json" -H "authorization: Bearer $token" \
            "$base/v1/blog/posts" --data-binary "{\"title\":\"Load $number\",\"body\":\"Text\"}" || true)
        [ "$status" != 201 ] || echo "$began post $(jq -r .id "$body")" >>"$work/acknowledged"
    done
}
acknowledged() { wc -l <"$work/acknowledged"; }
at_least() { [ "$(acknowledged)" -ge "$1" ]; }
start_load() {
    : >>"$work/acknowledged"
    load "$1" &
    load_pid=$!
    within 60 at_least "$2" || { echo "# the load does not get on"; return 1; }
}
stop_load() { kill "$load_pid"; wait "$load_pid" 2>/dev/null || true; load_pid=; }

fill() {
    within 10 grep -aq "$base/setup#token=" "$work/node.log"
    link=$(grep -ao "$base/setup#token=.*" "$work/node.log" | head -n 1)
    call POST /v1/auth/setup "" "{\"token\":\"${link#*token=}\",\"email\":\"root@example.org\",\"password\":\"$password\",\"display_name\":\"Root\",\"organisation\":\"House\"}"
    is "the administrator is made" "$status" 201
    call POST /v1/auth/register "" "{\"email\":\"ada@example.org\",\"password\":\"$password\",\"display_name\":\"ada\",\"organisation\":\"ada press\"}"
    is "ada registers with an organisation" "$status" 201
    ada=$(login ada@example.org)
    call POST /v1/blog/posts "$ada" '{"title":"Hello pier","body":"A first post","comments_enabled":true}'
    post=$(field .id)
    call POST "/v1/blog/posts/$post/publish" "$ada" '{}'
    is "and publishes a post" "$status" 200
    { printf '%%PDF-1.4\n'; head -c 300000 /dev/urandom; } >"$work/plan.pdf"
    call POST "/v1/blog/media?name=plan.pdf" "$ada" "" -H 'content-type: application/octet-stream' --data-binary "@$work/plan.pdf"
    media=$(field .id)
    is "and uploads a file" "$status" 201
}

# --- Checks on what was restored ------------------------------------------------------------------

# query SQL: one value a line, from the database that the node uses
query() { if [ "$kind" = sqlite ]; then sqlite3 -readonly "$work/restored/troupe.db" "$1"; else psql -qAtX "$TROUPE_DATABASE__URL" -c "$1"; fi; }
# Sessions of suspended accounts that have not heard of it; it is told by an event alone.
open_sessions() { query "SELECT count(*) FROM auth_sessions s JOIN identity_users u ON u.id = s.user_id WHERE u.status = 'suspended' AND s.ended_at IS NULL"; }
several_open() { [ "$(open_sessions)" -ge 3 ]; }
all_ended() { [ "$(open_sessions)" = 0 ]; }
suspended() { query "SELECT count(*) FROM identity_users WHERE status = 'suspended'"; }

check_restored() {
    ada=$(login ada@example.org)
    call GET /v1/users/me "$ada"; is "ada signs in with her password" "$(field .email)" ada@example.org
    call GET "/v1/blog/posts/$post" "$ada"; is "her post is there" "$(field .title)" "Hello pier"
    curl -s -L -H "authorization: Bearer $ada" "$base/v1/public/ada-press/media/$media" -o "$work/fetched"
    if cmp -s "$work/plan.pdf" "$work/fetched"; then ok "her file is there, byte for byte"; else not_ok "her file is there, byte for byte" "$(head -c 200 "$work/fetched")"; fi
    if within 120 all_ended; then ok "the sessions of all $(suspended) suspended accounts are ended"; else not_ok "the sessions of suspended accounts are ended" "$(open_sessions) are not"; fi
    root=$(login root@example.org)
    known=$(suspended)
    call POST /v1/auth/register "" "{\"email\":\"carol@example.org\",\"password\":\"$password\",\"display_name\":\"carol\",\"organisation\":\"carol press\"}"
    is "carol registers afterwards" "$status" 201
    suspend carol@example.org "$root"
    is "and is suspended" "$(suspended)" $((known + 1))
    if within 30 all_ended; then ok "of which an event is delivered, too"; else not_ok "of which an event is delivered, too" "$(open_sessions) sessions go on"; fi
    letters=$(query "SELECT count(*) - count(DISTINCT recipient) FROM notify_mails")
    is "nobody was written to twice" "$letters" 0
    dead=$(query "SELECT count(*) FROM dead_letters")
    is "and none is dead" "$dead" 0
    stop_node TERM
    verified=$("$troupe" "${settings[@]}" audit verify 2>&1 || true)
    has "the audit trail is intact" "$verified" "is intact"
}

# kept COUNT: of the first so many that were acknowledged every one must be there
kept() {
    local missing=0 number=0 what name
    query "SELECT email FROM identity_users" | sort >"$work/emails"
    if [ "$kind" = sqlite ]; then query "SELECT lower(hex(id)) FROM blog_posts"; else query "SELECT replace(id::text, '-', '') FROM blog_posts"; fi | sort >"$work/posts"
    while read -r _ what name; do
        number=$((number + 1))
        [ "$number" -le "$1" ] || break
        if [ "$what" = account ]; then grep -qxF "$name" "$work/emails" || missing=$((missing + 1)); else grep -qxF "${name//-/}" "$work/posts" || missing=$((missing + 1)); fi
    done <"$work/acknowledged"
    is "of the $1 writes that were acknowledged before, none is missing" "$missing" 0
}

# --- S3: http://KEY:SECRET@HOST:PORT/BUCKET -------------------------------------------------------

store=
if [ "$kind" = dump ] && [ -n "${TROUPE_TEST_S3_URL:-}" ]; then
    keys=${TROUPE_TEST_S3_URL#http://}
    keys=${keys%%@*}
    store=http://${TROUPE_TEST_S3_URL#*@}
    bucket=${store##*/}
    store=${store%/*}
    folder=drill-$$-$RANDOM
fi
empty=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
s3() { curl -sf --max-time 30 --aws-sigv4 aws:amz:us-east-1:s3 --user "$keys" -H "x-amz-content-sha256: $empty" "$@"; }
objects() { s3 "$store/$bucket?list-type=2&prefix=$1%2F" | grep -o '<Key>[^<]*' | sed 's/<Key>//; s/!/%21/g' || true; }
copy_objects() { # FOLDER FOLDER
    local object
    objects "$1" | while read -r object; do
        s3 -X PUT -H "x-amz-copy-source: /$bucket/$object" "$store/$bucket/$2${object#"$1"}" >/dev/null
    done
}
remove_objects() { local object; objects "$1" | while read -r object; do s3 -X DELETE "$store/$bucket/$object"; done; }

# --- PostgreSQL -----------------------------------------------------------------------------------

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
[ -x "$programs/initdb" ] || programs=$(dirname "$(command -v initdb || echo /none/initdb)")
# No server runs as root.
as_server() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
initialise() { # NAME
    as_server "$programs/initdb" -D "$work/$1" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync >/dev/null
}
launch() { # NAME PORT [setting …]
    local name=$1 port=$2
    shift 2
    printf '%s\n' "port = $port" "listen_addresses = '127.0.0.1'" "unix_socket_directories = ''" "$@" >>"$work/$name/postgresql.conf"
    as_server "$programs/pg_ctl" start -s -w -t 60 -D "$work/$name" -l "$work/server-$name.log"
    echo "# cluster $name listens on $port"
}
address() { echo "postgres://postgres@127.0.0.1:$1/${2:-troupe}"; }

troupe=${TROUPE_BIN:-}
if [ -z "$troupe" ]; then
    cargo build --quiet --package troupe-node
    troupe=$(cargo metadata --format-version 1 --no-deps | jq -r .target_directory)/debug/troupe
fi
port=$(free_port)
base=http://127.0.0.1:$port
echo "# restore drill: $kind"
if [ "$kind" != sqlite ]; then
    if [ ! -x "$programs/initdb" ]; then echo "1..0 # SKIP no PostgreSQL server is installed here"; exit 0; fi
    if [ "$(id -u)" = 0 ]; then chown postgres "$work"; fi
    old_port=$(free_port)
    new_port=$(free_port)
elif ! command -v sqlite3 >/dev/null; then
    echo "1..0 # SKIP no sqlite3 client is installed here"; exit 0
fi

case $kind in
sqlite)
    start_node "$work/data"
    fill
    start_load "$ada" 40
    before=$(acknowledged)
    # The database first, then the blobs: see docs/operations/backup.md.
    mkdir "$work/backup"
    sqlite3 "$work/data/troupe.db" "VACUUM INTO '$work/backup/troupe.db'"
    for part in blobs auth.key audit-key.pem; do cp -a "$work/data/$part" "$work/backup/"; done
    during=$(acknowledged)
    within 60 at_least $((during + 10))
    ok "the node answered $((during - before)) writes during the back-up, and others afterwards"
    stop_load
    stop_node 9
    is "the copy is whole" "$(sqlite3 "$work/backup/troupe.db" 'PRAGMA integrity_check')" ok
    rm -rf "$work/data"
    cp -a "$work/backup" "$work/restored"
    start_node "$work/restored"
    check_restored
    kept "$before"
    ;;
dump)
    initialise old
    # This cluster has seen a million transactions; the one that it is restored into has not.
    as_server "$programs/pg_resetwal" -x 1000000 -D "$work/old" >/dev/null
    as_server truncate -s 262144 "$work/old/pg_xact/0000"
    launch old "$old_port" 'fsync = off'
    psql -qX "$(address "$old_port" postgres)" -c "CREATE DATABASE troupe"
    start_node "$work/data" "$(address "$old_port")"
    fill
    start_load "$ada" 20
    # As if the node that delivers had been lost: for a minute nobody else delivers for it.
    query "UPDATE consumer_offsets SET lease = gen_random_uuid(), lease_until = now() + interval '1 minute' WHERE consumer = 'auth.barred'" >/dev/null
    within 50 several_open || echo "# nothing waits"
    before=$(acknowledged)
    "$programs/pg_dump" --format=custom --file="$work/troupe.dump" "$TROUPE_DATABASE__URL"
    during=$(acknowledged)
    # The blobs after the database.
    [ -z "$store" ] || copy_objects "$folder" "$folder-copy"
    within 60 at_least $((during + 10))
    ok "the node answered $((during - before)) writes during the dump, and others afterwards"
    stop_load
    stop_node 9
    if [ -n "$store" ]; then
        remove_objects "$folder"
        folder=$folder-copy
        ok "the blobs were lost and their copies are used: $(objects "$folder" | wc -l)"
    fi
    as_server "$programs/pg_ctl" stop -s -m immediate -D "$work/old"
    initialise new
    launch new "$new_port" 'fsync = off'
    psql -qX "$(address "$new_port" postgres)" -c "CREATE DATABASE troupe"
    "$programs/pg_restore" --exit-on-error --dbname="$(address "$new_port")" "$work/troupe.dump"
    export TROUPE_DATABASE__URL=$(address "$new_port")
    if all_ended; then not_ok "events of the dump wait to be delivered"; else ok "events of the dump wait to be delivered: $(open_sessions)"; fi
    is "the new cluster is behind the old one" "$(query "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint < min(transaction_id) FROM outbox")" t
    start_node "$work/data" "$TROUPE_DATABASE__URL"
    is "the base of the log has risen" "$(query "SELECT base > 0 FROM log_epoch")" t
    check_restored
    kept "$before"
    ;;
physical)
    initialise old
    mkdir "$work/archive"
    if [ "$(id -u)" = 0 ]; then chown postgres "$work/archive"; fi
    launch old "$old_port" "wal_level = replica" "archive_mode = on" \
        "archive_command = 'test ! -f $work/archive/%f && cp %p $work/archive/%f'"
    psql -qX "$(address "$old_port" postgres)" -c "CREATE DATABASE troupe"
    start_node "$work/data" "$(address "$old_port")"
    fill
    start_load "$ada" 20
    as_server "$programs/pg_basebackup" --pgdata="$work/new" --checkpoint=fast --wal-method=none --no-sync \
        --dbname="$(address "$old_port" postgres)" 2>&1 | grep -v NOTICE || true
    copied=$(acknowledged)
    within 60 at_least $((copied + 20))
    # Up to here it must come back; what follows is the accident.
    before=$(acknowledged)
    moment=$(query "SELECT clock_timestamp()")
    sleep 1
    stop_load
    query "DELETE FROM blog_posts" >/dev/null
    call GET "/v1/blog/posts/$post" "$ada"; is "an accident deletes every post" "$status" 404
    query "SELECT pg_switch_wal()" >/dev/null
    archived() { [ -z "$(query "SELECT 1 FROM pg_stat_archiver WHERE last_archived_wal IS NULL OR last_archived_wal < pg_walfile_name(pg_current_wal_lsn() - 1)")" ]; }
    within 30 archived || echo "# the last segment is not archived"
    stop_node 9
    as_server "$programs/pg_ctl" stop -s -m immediate -D "$work/old"
    printf '%s\n' "restore_command = 'cp $work/archive/%f %p'" "recovery_target_time = '$moment'" \
        "recovery_target_action = 'promote'" "archive_mode = off" >>"$work/new/postgresql.auto.conf"
    as_server touch "$work/new/recovery.signal"
    launch new "$new_port"
    export TROUPE_DATABASE__URL=$(address "$new_port")
    promoted() { [ "$(query "SELECT pg_is_in_recovery()")" = f ]; }
    if within 30 promoted; then ok "the copy was brought to the moment before the accident"; else not_ok "the copy was brought to the moment before the accident"; fi
    start_node "$work/data" "$TROUPE_DATABASE__URL"
    is "the base of the log stays: it is the same cluster" "$(query "SELECT base FROM log_epoch")" 0
    check_restored
    kept "$before"
    ;;
esac

echo "1..$checks"
[ "$failures" -eq 0 ]
