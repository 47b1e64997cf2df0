-- needs: streams
-- Somebody is to hear that a friend became active. Where a device of theirs is connected, the telling is an entry of
-- their shard's outbox; where none is, nothing happens here.
-- KEYS  1 record (of the one who is told)  2 outbox  3 wakeDeliver  4 wakeRecord
-- ARGV  1 the one who is told  2 the friend  3 when the friend became active (ms)  4 ttl (ms)
--       5 1: tell; 0: only look whether a device is connected
--       6 W3C's `traceparent` of what caused this, or ''
-- Returns { wake, connected 1|0 }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local result = { 0, 0 }

-- A live session whose deadline lies ahead; not one that waits for its device in a grace or a deploy.
local beats, sessions = {}, {}
local flat = redis.call('HGETALL', KEYS[1])
for n = 1, #flat, 2 do
  local kind, name = string.sub(flat[n], 1, 2), string.sub(flat[n], 3)
  if kind == 's:' then sessions[name] = flat[n + 1] elseif kind == 'b:' then beats[name] = tonumber(flat[n + 1]) end
end
for name, value in pairs(sessions) do
  local standing, deadline, at = string.match(value, '^[^|]*|([^|]*)|([^|]*)|([^|]*)|')
  local ends = tonumber(deadline) or (beats[name] or tonumber(at)) + tonumber(ARGV[4])
  if standing == 'l' and ends > now then result[2] = 1 end
end

if result[2] == 1 and ARGV[5] == '1' then
  if ARGV[6] == '' then redis.call('XADD', KEYS[2], '*', 'u', ARGV[1], 'f', ARGV[2], 'a', ARGV[3])
  else redis.call('XADD', KEYS[2], '*', 't', ARGV[6], 'u', ARGV[1], 'f', ARGV[2], 'a', ARGV[3]) end
  result[1] = result[1] + wakeBoth(KEYS[3], KEYS[4])
end
return result
