-- Finds what was left lying in one shard: users past their deadline, an outbox that nobody drains.
-- KEYS  1 due  2 outbox  3 pulse  4 hold  5 unrecorded  6 unseeded  7 wakeDeliver  8 wakeRecord  9 indicators
-- ARGV  1 users at most
-- Returns { wake, 1 if some were dropped unrecorded, 1 if some are unseeded, 1 if somebody is typing or the like,
--   overdue user, … }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local outbox = KEYS[2]
local result = { 0, redis.call('EXISTS', KEYS[5]), redis.call('EXISTS', KEYS[6]), redis.call('EXISTS', KEYS[9]) }

redis.pcall('XGROUP', 'CREATE', outbox, 'deliver', '0', 'MKSTREAM')
redis.pcall('XGROUP', 'CREATE', outbox, 'record', '0', 'MKSTREAM')
local last
local info = redis.call('XINFO', 'STREAM', outbox)
for n = 1, #info, 2 do
  if info[n] == 'last-generated-id' then last = info[n + 1] end
end
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', outbox)) do
  local group = {}
  for n = 1, #flat, 2 do group[flat[n]] = flat[n + 1] end
  if group.pending > 0 or group['last-delivered-id'] ~= last then
    local deliver = group.name == 'deliver'
    if redis.call('SET', deliver and KEYS[7] or KEYS[8], '1', 'PX', 500, 'NX') then
      result[1] = result[1] + (deliver and 1 or 2)
    end
  end
end

local beat = tonumber(redis.call('GET', KEYS[3]) or '')
local held = (beat and now - beat > 1500) or redis.call('EXISTS', KEYS[4]) == 1
if not held then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[1])) do
    result[#result + 1] = id
  end
end
return result
