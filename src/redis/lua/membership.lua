-- What is kept of who belongs to the conversations of a shard: that somebody is a member, for a while after PostgreSQL said
-- so; that somebody was removed, for a moment. That somebody is no member is never kept: PostgreSQL is asked.
-- KEYS  1 membersKey: sorted set, conversation and user → until when that counts (ms)
--       2 removedKey: sorted set, the same, of who was removed a moment ago → until when nothing is kept of them (ms)
-- ARGV  1 action: ask | keep | drop  2 pair: conversation and user, with a blank between  3 counts: how long it does (ms)
--       4 ms; ask: how long ago it may have been kept at most (ms); keep: how much longer than it counts it is listed (ms)
--         drop: how long nothing is kept (ms); 0: for an answer of PostgreSQL may not be on its way any more
-- Returns { 1 } where (ask) that counts, (keep) it was kept, (drop) it was there; else { 0 }
local membersKey, removedKey = KEYS[1], KEYS[2]
local action, pair, counts, ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function whole(n)
  return string.format('%.0f', n)
end

if action == 'drop' then
  redis.call('ZREMRANGEBYSCORE', removedKey, '-inf', whole(now))
  if ms > 0 then
    redis.call('ZADD', removedKey, whole(now + ms), pair)
    redis.call('PEXPIRE', removedKey, ms)
  end
  return { redis.call('ZREM', membersKey, pair) }
end

if (tonumber(redis.call('ZSCORE', removedKey, pair) or '') or 0) > now then return { 0 } end
if action == 'keep' then
  redis.call('ZREMRANGEBYSCORE', membersKey, '-inf', whole(now - ms))
  redis.call('ZADD', membersKey, whole(now + counts), pair)
  redis.call('PEXPIRE', membersKey, counts + ms)
  return { 1 }
end
local left = (tonumber(redis.call('ZSCORE', membersKey, pair) or '') or 0) - now
local age = counts - left
return { left > 0 and age >= 0 and age <= ms and 1 or 0 }
