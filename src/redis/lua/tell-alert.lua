-- needs: streams
-- Somebody is to hear that a friend became active. Where a device of theirs is connected, the telling is an entry of
-- their shard's outbox; where none is, nothing happens here.
-- KEYS  1 recordKey: of the one who is told  2 outboxKey  3 wakeDeliverKey  4 wakeRecordKey
-- ARGV  1 asker: the one who is told  2 friend  3 since: when the friend became active (ms)  4 ttl (ms)
--       5 tells: 1; 0: only look whether a device is connected  6 trace: W3C's `traceparent` of what caused this, or ''
-- Returns { wake, connected 1|0 }
local recordKey, outboxKey, wakeDeliverKey, wakeRecordKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local asker, friend, since, ttl, tells, trace = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local result = { 0, 0 }

-- A live session whose deadline lies ahead; not one that waits for its device in a grace or a deploy, and no lease.
local beats, sessions = {}, {}
local flat = redis.call('HGETALL', recordKey)
for n = 1, #flat, 2 do
  local kind, name = string.sub(flat[n], 1, 2), string.sub(flat[n], 3)
  if kind == 's:' then sessions[name] = flat[n + 1] elseif kind == 'b:' then beats[name] = tonumber(flat[n + 1]) end
end
for name, value in pairs(sessions) do
  local standing, deadline, at, own = string.match(value, '^[^|]*|([^|]*)|([^|]*)|([^|]*)|[^|]*|[^|]*|([^|]*)|')
  local ends = tonumber(deadline) or (beats[name] or tonumber(at)) + (tonumber(own) or ttl)
  if standing == 'l' and ends > now then result[2] = 1 end
end

if result[2] == 1 and tells == '1' then
  -- Fields of an entry: outbox-entry.ts.
  if trace == '' then redis.call('XADD', outboxKey, '*', 'kind', 'alert', 'user', friend, 'asker', asker, 'at', since)
  else redis.call('XADD', outboxKey, '*', 'kind', 'alert', 'user', friend, 'trace', trace, 'asker', asker, 'at', since) end
  result[1] = result[1] + wakeBoth(wakeDeliverKey, wakeRecordKey)
end
return result
