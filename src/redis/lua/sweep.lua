-- needs: streams
-- Finds what was left lying in the shards of a node: users past their deadline, an outbox that nobody drains.
-- KEYS  1 pulseKey  2 holdKey  3.. in sevens: dueKey, outboxKey, unrecordedKey, choiceUnknownKey, wakeDeliverKey, wakeRecordKey,
--         indicatorsKey (of a shard)
-- ARGV  1 most: users of a shard at most
-- Returns for each shard { wake, 1 if some were dropped unrecorded, 1 if the choice of some is unknown, 1 if somebody is typing or the
--   like, ms until somebody is overdue (-1: nobody will be, or expiry is held), overdue user, … }
local pulseKey, holdKey, most = KEYS[1], KEYS[2], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local beat = tonumber(redis.call('GET', pulseKey) or '')
-- Where a web is behind with beats there is still to be seen to who said goodbye, and to whatever else is due.
local held = (beat and now - beat > 1500) or (redis.call('GET', holdKey) or 'beats') ~= 'beats'

-- What the groups have still to do, as bits: 1 deliver, 2 record; each only where no wake-up is on its way.
local function wakeUps(outbox, wakeDeliver, wakeRecord)
  local groups = groupsOf(outbox)
  if #groups < 2 then
    makeGroups(outbox)
    groups = groupsOf(outbox)
  end
  local last, wake = lastIdOf(outbox), 0
  for _, group in ipairs(groups) do
    if hasWork(group, last) then
      local deliver = group.name == 'deliver'
      local flag = deliver and wakeDeliver or wakeRecord
      -- One that was to end by a clock that was set back since.
      if redis.call('PTTL', flag) > WAKE_MS then redis.call('DEL', flag) end
      wake = wake + wakeOnce(flag) * (deliver and 1 or 2)
    end
  end
  return wake
end

local result = {}
for n = 3, #KEYS, 7 do
  local dueKey, outboxKey, unrecordedKey, choiceUnknownKey, wakeDeliverKey, wakeRecordKey, indicatorsKey = unpack(KEYS, n, n + 6)
  local swept = { wakeUps(outboxKey, wakeDeliverKey, wakeRecordKey), redis.call('EXISTS', unrecordedKey),
    redis.call('EXISTS', choiceUnknownKey), redis.call('EXISTS', indicatorsKey), -1 }
  local first = held and {} or redis.call('ZRANGE', dueKey, 0, 0, 'WITHSCORES')
  if first[2] then swept[5] = math.max(0, first[2] - now) end
  if swept[5] == 0 then
    local overdue = redis.call('ZRANGEBYSCORE', dueKey, '-inf', string.format('%.0f', now), 'LIMIT', 0, most)
    for _, id in ipairs(overdue) do swept[#swept + 1] = id end
  end
  result[#result + 1] = swept
end
return result
