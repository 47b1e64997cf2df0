-- needs: streams
-- One step of draining the outboxes of some shards of a node for one group: acknowledge what was done, then read what is
-- next. One drain of a shard at a time: the lease. What a dead drain left unacknowledged comes first.
-- Reading nothing and giving the lease back is one step, so no wake-up can fall between. A drain that stays keeps both: no wake-up
-- is asked for until its next look, or until half a second has gone by without one.
-- KEYS  1.. in fours: outboxKey, leaseKey, wakeKey, goneKey (of a shard; the last: who was erased and until when what was made of
--       them is not to be recorded. By the time nothing is left to be recorded, all of that has gone by)
-- ARGV  1 group  2 token: of this drain  3 leaseMs  4 count: how many of a shard  5 stays: 1 | 0
--       6 renews: 1, or 0 where what this drain holds it has been given so shortly before that neither has to last longer yet
--       7.. in lists: done, ids (of a shard; how many are done, and they)
-- Returns for each shard { busy } | { empty } | { kept } | { entries, as XREADGROUP gives them in JSON, { erased user, until (ms), … } }
local group, token, leaseMs, count, stays = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local renews = tonumber(ARGV[6])

local function before(a, b)
  local am, as = string.match(a, '^(%d+)-(%d+)$')
  local bm, bs = string.match(b, '^(%d+)-(%d+)$')
  if am ~= bm then return tonumber(am) < tonumber(bm) end
  return tonumber(as) < tonumber(bs)
end

-- Up to what the slower group has acknowledged.
local function trim(outbox)
  -- None where it has gone with the store since it was read.
  local oldest
  for _, info in ipairs(groupsOf(outbox)) do
    -- What was done goes, up to the last.
    local ms, sequence = string.match(info['last-delivered-id'], '^(%d+)-(%d+)$')
    local from = oldestOf(outbox, info) or ms .. '-' .. string.format('%.0f', sequence + 1)
    if not oldest or before(from, oldest) then oldest = from end
  end
  if oldest then redis.call('XTRIM', outbox, 'MINID', oldest) end
end

-- What the group is given of some streams: entries by stream.
local function read(outboxes, from)
  local streams = {}
  for n, outbox in ipairs(outboxes) do streams[n], streams[#outboxes + n] = outbox, from end
  local function ask() return redis.pcall('XREADGROUP', 'GROUP', group, 'drain', 'COUNT', count, 'STREAMS', unpack(streams)) end
  local reply = ask()
  if reply and reply.err then
    if not string.find(reply.err, 'NOGROUP', 1, true) then error(reply.err) end
    for _, outbox in ipairs(outboxes) do makeGroups(outbox) end
    reply = ask()
    if reply and reply.err then error(reply.err) end
  end
  local found = {}
  for _, stream in ipairs(reply or {}) do found[stream[1]] = stream[2] end
  return found
end

-- Those of these entries' users who were erased.
local function goneAmong(entries, gone)
  local found, seen = {}, {}
  if group ~= 'record' or redis.call('EXISTS', gone) == 0 then return found end
  for _, entry in ipairs(entries) do
    local user = userOf(entry)
    local till = user and not seen[user] and redis.call('HGET', gone, user)
    if till then
      found[#found + 1] = user
      found[#found + 1] = till
    end
    if user then seen[user] = true end
  end
  return found
end

-- In one text: an answer of some twenty parts for each entry costs Redis and its reader more than all else that is done with it here.
local function answerOf(entries, gone) return { 'entries', cjson.encode(entries), goneAmong(entries, gone) } end

-- Takes a shard, of which `ids` are done. Returns how it stands: busy, or whether something that was handed out earlier may be left.
local function hold(holder, outbox, lease, wake, ids)
  -- One that was to end by a clock that was set back since is free.
  if holder and holder ~= token and redis.call('PTTL', lease) <= leaseMs then return 'busy' end
  if renews == 1 or holder ~= token then
    redis.call('SET', lease, token, 'PX', leaseMs)
    if stays == 1 then redis.call('SET', wake, '1', 'PX', WAKE_MS) else redis.call('DEL', wake) end
  end
  if #ids > 0 then redis.call('XACK', outbox, group, unpack(ids)) end
  -- The slower group is `record`; what is left because it was not comes to an end with the drain.
  if holder == token and (stays ~= 1 or (group == 'record' and #ids > 0)) then trim(outbox) end
  -- Who holds it already has been handed all of that, but for what was more than is taken at once.
  return (holder ~= token or #ids >= tonumber(count)) and 'behind' or 'clean'
end

local shards, leases = {}, {}
local at = 7
for n = 1, #KEYS, 4 do
  local outboxKey, leaseKey, wakeKey, goneKey = unpack(KEYS, n, n + 3)
  local done = tonumber(ARGV[at])
  local ids = { unpack(ARGV, at + 1, at + done) }
  shards[#shards + 1] = { outboxKey, leaseKey, wakeKey, goneKey, ids }
  leases[#leases + 1] = leaseKey
  at = at + 1 + done
end

local holders = redis.call('MGET', unpack(leases))
local result, reading = {}, {}
for place, shard in ipairs(shards) do
  local outboxKey, leaseKey, wakeKey, goneKey, ids = unpack(shard)
  local state = hold(holders[place], outboxKey, leaseKey, wakeKey, ids)
  result[place] = { 'busy' }
  if state ~= 'busy' then
    -- Everything that was handed out earlier goes first, also where it was more than is taken now.
    local entries = state == 'behind' and read({ outboxKey }, '0')[outboxKey] or {}
    if #entries > 0 then result[place] = answerOf(entries, goneKey)
    else reading[#reading + 1] = { outboxKey, leaseKey, goneKey, place } end
  end
end
if #reading == 0 then return result end

local outboxes = {}
for n, shard in ipairs(reading) do outboxes[n] = shard[1] end
local found = read(outboxes, '>')
for _, shard in ipairs(reading) do
  local outboxKey, leaseKey, goneKey, place = unpack(shard)
  local entries = found[outboxKey]
  if entries then result[place] = answerOf(entries, goneKey)
  else
    if group == 'record' then redis.call('UNLINK', goneKey) end
    if stays == 1 then result[place] = { 'kept' }
    else
      redis.call('DEL', leaseKey)
      result[place] = { 'empty' }
    end
  end
end
return result
