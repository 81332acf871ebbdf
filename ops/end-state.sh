#!/usr/bin/env bash
# What a node has done, told so that it does not depend on where it keeps it:
# `ops/end-state.sh sqlite:FILE|postgres://… [DOCUMENTS]`, the last a folder of exported posts.
#
# One line a fact. Names stand for ids, and what differs from run to run (ids, times, ports) is replaced in
# texts, so that two nodes that did the same have the same end state, whatever lies below them. A row of
# any module that a user, a tenant or another system would miss belongs here.
set -euo pipefail

url=${1:?usage: ops/end-state.sh sqlite:FILE|postgres://… [DOCUMENTS]}

ask() {
    case $url in
    sqlite:*) sqlite3 -batch -noheader -readonly -cmd '.timeout 5000' -separator "$tab" "${url#sqlite:}" "$1" ;;
    *) psql -XqAt -v ON_ERROR_STOP=1 -F "$tab" "$url" -c "$1" ;;
    esac
}
tab=$'\t'
same() {
    sed -E -e 's/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/ID/g' \
        -e 's/signing_key\/[A-Za-z0-9_-]{43}/signing_key\/ID/g' \
        -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/TIME/g' -e 's/127\.0\.0\.1:[0-9]+/NODE/g' -e "s/$tab/ | /g"
}
# told WHAT QUERY: in the order of the query; facts WHAT QUERY: in that of their text
told() { echo "== $1"; ask "$2" | same; }
facts() { echo "== $1"; ask "$2" | same | LC_ALL=C sort; }
# series WHAT QUERY: rows of a key and a text; the texts of a key become one line, equal lines are counted
series() {
    echo "== $1"
    ask "$2" | awk -F "$tab" '
        $1 in all { all[$1] = all[$1] " > " $2; next }
        { all[$1] = $2 }
        END { for (key in all) print all[key] }' | same | LC_ALL=C sort | uniq -c | sed -E 's/^ +//'
}

facts accounts "SELECT email, display_name, locale, status, version,
        CASE WHEN email_verified_at IS NULL THEN 'unverified' ELSE 'verified' END
    FROM identity_users"
facts organisations "SELECT slug, name, status, version FROM identity_organisations"
facts memberships "SELECT slug, email, role FROM identity_memberships m
    JOIN identity_users u ON u.id = m.user_id JOIN identity_organisations o ON o.id = m.organisation_id"
facts 'memberships that authorisation knows' "SELECT COALESCE(slug, 'platform'), email, role
    FROM authz_memberships m JOIN identity_users u ON u.id = m.subject
    LEFT JOIN identity_organisations o ON o.id = m.tenant"
facts 'roles given' "SELECT COALESCE(slug, 'platform'), email, role FROM authz_bindings b
    JOIN identity_users u ON u.id = b.subject LEFT JOIN identity_organisations o ON o.id = b.tenant"
facts sessions "SELECT email, COALESCE(slug, 'platform'), COALESCE(end_reason, 'open') FROM auth_sessions s
    JOIN identity_users u ON u.id = s.user_id LEFT JOIN identity_organisations o ON o.id = s.tenant_id"
facts posts "SELECT o.slug, p.slug, p.title, p.status, p.version, p.source_path, p.source_digest,
        (SELECT COUNT(*) FROM blog_revisions r WHERE r.post_id = p.id),
        (SELECT COUNT(*) FROM blog_post_tags t WHERE t.post_id = p.id)
    FROM blog_posts p JOIN identity_organisations o ON o.id = p.tenant_id"
facts comments "SELECT p.slug, c.author_name, c.status, c.body, c.html
    FROM blog_comments c JOIN blog_posts p ON p.id = c.post_id"
facts uploads "SELECT o.slug, m.name, m.content_type, m.size_bytes, m.digest
    FROM blog_media m JOIN identity_organisations o ON o.id = m.tenant_id"
facts files "SELECT o.slug, f.name, f.content_type, f.size_bytes, f.digest, f.state
    FROM files f JOIN identity_organisations o ON o.id = f.tenant_id"
facts mails "SELECT template, locale, recipient, subject, state FROM notify_mails"
# Checkpoints are made by the clock.
series 'events of a subject' "SELECT subject, kind || ' v' || schema_version FROM outbox
    WHERE kind <> 'audit.checkpoint.signed' ORDER BY transaction_id, position"
facts 'events applied' "SELECT i.consumer, e.kind, COUNT(*) FROM inbox i
    JOIN outbox e ON e.event_id = i.event_id GROUP BY i.consumer, e.kind"
facts 'events given up' "SELECT consumer, kind, cause_code FROM dead_letters"
facts 'jobs not done' "SELECT queue, kind, state, COUNT(*) FROM jobs GROUP BY queue, kind, state"
facts schedules "SELECT name FROM schedules"
facts 'answers kept for repeated requests' "SELECT email, request_key, operation FROM idempotency i
    JOIN identity_users u ON u.id = i.subject"
told 'audit trail' "SELECT COALESCE(slug, 'platform'), sequence, COALESCE(email, 'nobody'), action, resource,
        outcome, detail, COALESCE(address, '') FROM audit_entries a
    LEFT JOIN identity_users u ON u.id = a.actor LEFT JOIN identity_organisations o ON o.id = a.chain
    ORDER BY chain, sequence"
if [ -n "${2:-}" ]; then
    echo "== documents"
    cd "$2"
    find . -name '*.md' | LC_ALL=C sort | while IFS= read -r path; do echo "$(same <"$path" | sha256sum) $path"; done
fi
