-- Whether a group still has something to do in a shard.
-- KEYS  1 outbox  2 unrecorded
-- ARGV  1 group
-- Returns { 1 } where it has, else { 0 }
if redis.call('EXISTS', KEYS[2]) == 1 then return { 1 } end
if redis.call('EXISTS', KEYS[1]) == 0 then return { 0 } end
local last
local info = redis.call('XINFO', 'STREAM', KEYS[1])
for n = 1, #info, 2 do
  if info[n] == 'last-generated-id' then last = info[n + 1] end
end
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for n = 1, #flat, 2 do group[flat[n]] = flat[n + 1] end
  if group.name == ARGV[1] and (group.pending > 0 or group['last-delivered-id'] ~= last) then return { 1 } end
end
return { 0 }
