//! What Redis does in one step.
//!
//! A script sees its keys in the order: number of the news, entry, lease, tokens. News are numbered
//! by Redis where they are published, so that who hears them hears a gap.

use std::sync::LazyLock;

use redis::Script;

/// Tells all nodes: `announce(start, body)`. The first number after the key was lost is random.
const ANNOUNCE: &str = r"
local function announce(start, body)
  local number = redis.call('INCR', KEYS[1])
  if number == 1 then
    number = tonumber(start)
    redis.call('SET', KEYS[1], string.format('%.0f', number))
  end
  redis.call('PUBLISH', string.sub(KEYS[1], 1, -7) .. 'news', string.format('%.0f', number) .. ' ' .. body)
end
";

/// Gives the tokens of the tags from `KEYS[4]` on in a row: `current(fresh, ttl)`. A tag without one
/// gets `fresh`, and all are there for `ttl` milliseconds at least.
const CURRENT: &str = r"
local function current(fresh, ttl)
  local row = {}
  for i = 4, #KEYS do
    local token = redis.call('GET', KEYS[i])
    if not token then
      token = fresh
      redis.call('SET', KEYS[i], token, 'PX', ttl)
    elseif redis.call('PTTL', KEYS[i]) < tonumber(ttl) then
      redis.call('PEXPIRE', KEYS[i], ttl)
    end
    row[#row + 1] = token
  end
  return table.concat(row)
end
";

fn script(parts: &[&str]) -> Script {
    Script::new(&parts.concat())
}

/// Forgets keys and tells all nodes. Keys: number, what is deleted. Arguments: start, body.
pub(super) static TELL: LazyLock<Script> = LazyLock::new(|| {
    script(&[
        ANNOUNCE,
        r"
for i = 2, #KEYS do
  redis.call('DEL', KEYS[i])
end
announce(ARGV[1], ARGV[2])
",
    ])
});

/// Keeps a value whatever was there. Arguments: start, body, names, fresh token, value, ttl in ms.
pub(super) static PUT: LazyLock<Script> = LazyLock::new(|| {
    script(&[
        ANNOUNCE,
        CURRENT,
        r"
local row = current(ARGV[4], ARGV[6])
redis.call('SET', KEYS[2], ARGV[3] .. row .. ARGV[5], 'PX', ARGV[6])
redis.call('DEL', KEYS[3])
announce(ARGV[1], ARGV[2])
",
    ])
});

/// Finds a good value, or gives the right to load it. Arguments: names, fresh token, owner, lease in
/// ms. Answers `{1, value, ttl}`, `{2}` when another node loads, `{3}` when the asker is to load.
///
/// A lease holds its owner and the tokens it began with. One of the same node is of a load that is
/// over; one with other tokens will bring nothing that may be kept.
pub(super) static LEASE: LazyLock<Script> = LazyLock::new(|| {
    script(&[
        CURRENT,
        r"
local row = current(ARGV[2], ARGV[4])
local head = ARGV[1] .. row
if redis.call('GETRANGE', KEYS[2], 0, #head - 1) == head then
  return {1, redis.call('GETRANGE', KEYS[2], #head, -1), redis.call('PTTL', KEYS[2])}
end
local held = redis.call('GET', KEYS[3])
if held and string.sub(held, 17) == row and string.sub(held, 1, 8) ~= string.sub(ARGV[3], 1, 8) then
  return {2}
end
redis.call('SET', KEYS[3], ARGV[3] .. row, 'PX', ARGV[4])
return {3}
",
    ])
});

/// Keeps what was loaded, if its right stands and no tag was invalidated since it was given; answers
/// whether it did. Arguments: names, owner, value, ttl in ms.
pub(super) static KEEP: LazyLock<Script> = LazyLock::new(|| {
    script(&[r"
local held = redis.call('GET', KEYS[3])
if not held or string.sub(held, 1, 16) ~= ARGV[2] then
  return 0
end
redis.call('DEL', KEYS[3])
local row = string.sub(held, 17)
for i = 4, #KEYS do
  local at = (i - 4) * 16
  if redis.call('GET', KEYS[i]) ~= string.sub(row, at + 1, at + 16) then
    return 0
  end
  if redis.call('PTTL', KEYS[i]) < tonumber(ARGV[4]) then
    redis.call('PEXPIRE', KEYS[i], ARGV[4])
  end
end
redis.call('SET', KEYS[2], ARGV[1] .. row .. ARGV[3], 'PX', ARGV[4])
return 1
"])
});

/// Gives a right to load back. Keys: number, entry, lease. Arguments: owner.
pub(super) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    script(&[r"
local held = redis.call('GET', KEYS[3])
if held and string.sub(held, 1, 16) == ARGV[1] then
  redis.call('DEL', KEYS[3])
end
"])
});

/// Adds what was spent and answers how far ahead of now each key is, in microseconds. Keys: the
/// callers. Arguments: the time that each spent, in microseconds.
///
/// The clock is that of Redis; those of the nodes need not agree.
pub(super) static SPEND: LazyLock<Script> = LazyLock::new(|| {
    script(&[r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ahead = {}
for i = 1, #KEYS do
  local arrival = tonumber(redis.call('GET', KEYS[i]) or 0)
  if arrival < now then
    arrival = now
  end
  arrival = arrival + tonumber(ARGV[i])
  local left = arrival - now
  if left > 0 then
    redis.call('SET', KEYS[i], string.format('%.0f', arrival), 'PX', math.ceil(left / 1000))
  end
  ahead[i] = left
end
return ahead
"])
});
