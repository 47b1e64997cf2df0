-- needs: lease streams
-- Takes or keeps the lease of whoever sweeps the shards of a node, and finds what was left lying there: users past their deadline, an
-- outbox that nobody drains. Where nothing goes on this is most of what Redis does, so it asks for all shards at once where it can.
-- KEYS  1 leaseKey  2 pulseKey  3 holdKey
--       4.. in eights: dueKey, outboxKey, wakeDeliverKey, wakeRecordKey, unrecordedKey, choiceUnknownKey, indicatorsKey, owedKey (of a shard)
-- ARGV  1 token  2 leaseMs  3 most: users of a shard at most
--       4.. through: for each shard up to which entry of its outbox nothing was left to do when it was looked at last, or '' where that
--       is not known
-- Returns {} where another one has the lease, else { ms until somebody is overdue (-1: nobody will be; -2: expiry is held), and for each
--   shard of which there is something to say { its place, from 1 on, wake, 1 if some were dropped unrecorded, 1 if the choice of some
--   is unknown, 1 if somebody is typing or the like, 1 if something is to be told of rooms, up to which entry nothing is left to do or '' where there is, or '=' where
--   nothing has come since, overdue user, … } }
local leaseKey, pulseKey, holdKey = KEYS[1], KEYS[2], KEYS[3]
local token, leaseMs, most = ARGV[1], tonumber(ARGV[2]), ARGV[3]
if not holdLease(leaseKey, token, leaseMs) then return {} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local beat = tonumber(redis.call('GET', pulseKey) or '')
-- Where a web is behind with beats there is still to be seen to who said goodbye, and to whatever else is due.
local held = (beat and now - beat > 1500) or (redis.call('GET', holdKey) or 'beats') ~= 'beats'

local shards, flagKeys = {}, {}
for n = 4, #KEYS, 8 do
  local dueKey, outboxKey, wakeDeliverKey, wakeRecordKey, unrecordedKey, choiceUnknownKey, indicatorsKey, owedKey =
    unpack(KEYS, n, n + 7)
  local flags = { unrecordedKey, choiceUnknownKey, indicatorsKey, owedKey }
  for _, key in ipairs(flags) do flagKeys[#flagKeys + 1] = key end
  shards[#shards + 1] = { due = dueKey, outbox = outboxKey, wake = { deliver = wakeDeliverKey, record = wakeRecordKey }, flags = flags }
end
for n = 4, #ARGV do
  local through = ARGV[n]
  shards[n - 3].through = through
end

-- The outboxes that have to be looked at: something came since, or nothing is known.
local function outboxesToLookAt()
  local outboxes, ids, found = {}, {}, {}
  for _, shard in ipairs(shards) do
    if shard.through == '' then found[shard.outbox] = true
    else
      outboxes[#outboxes + 1] = shard.outbox
      ids[#ids + 1] = shard.through
    end
  end
  if #outboxes == 0 then return found end
  for _, id in ipairs(ids) do outboxes[#outboxes + 1] = id end
  local grown = redis.call('XREAD', 'COUNT', 1, 'STREAMS', unpack(outboxes))
  for _, stream in ipairs(grown or {}) do found[stream[1]] = true end
  return found
end

-- What the groups have still to do, as bits: 1 deliver, 2 record; each only where no wake-up is on its way. And up to which entry
-- nothing is left to do, or ''.
local function wakeUps(outbox, wake)
  local groups = groupsOf(outbox)
  if #groups < 2 then
    makeGroups(outbox)
    groups = groupsOf(outbox)
  end
  local last, bits = lastIdOf(outbox), 0
  local through = #groups < 2 and '' or last
  for _, group in ipairs(groups) do
    if hasWork(group, last) then
      through = ''
      local flag = wake[group.name]
      -- One that was to end by a clock that was set back since.
      if redis.call('PTTL', flag) > WAKE_MS then redis.call('DEL', flag) end
      bits = bits + wakeOnce(flag) * (group.name == 'deliver' and 1 or 2)
    end
  end
  return bits, through
end

local toLookAt = outboxesToLookAt()
local anyFlag = redis.call('EXISTS', unpack(flagKeys)) > 0
local result = { held and -2 or -1 }
for place, shard in ipairs(shards) do
  local swept = { place, 0, 0, 0, 0, 0, '=' }
  if toLookAt[shard.outbox] then swept[2], swept[7] = wakeUps(shard.outbox, shard.wake) end
  local told = swept[7] ~= '='
  for n, key in ipairs(anyFlag and shard.flags or {}) do
    swept[2 + n] = redis.call('EXISTS', key)
    told = told or swept[2 + n] == 1
  end
  local first = held and {} or redis.call('ZRANGE', shard.due, 0, 0, 'WITHSCORES')
  if first[2] then
    local inMs = math.max(0, first[2] - now)
    if result[1] < 0 or inMs < result[1] then result[1] = inMs end
    if inMs == 0 then
      local overdue = redis.call('ZRANGEBYSCORE', shard.due, '-inf', string.format('%.0f', now), 'LIMIT', 0, most)
      for _, id in ipairs(overdue) do swept[#swept + 1] = id end
      told = true
    end
  end
  if told then result[#result + 1] = swept end
end
return result
