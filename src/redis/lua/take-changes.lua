-- needs: streams
-- One step of draining the outboxes of some shards of a node for one group: acknowledge what was done, then read what is
-- next. One drain of a shard at a time: the lease. What a dead drain left unacknowledged comes first.
-- Reading nothing and giving the lease back is one step, so no wake-up can fall between.
-- KEYS  1.. in fours: outboxKey, leaseKey, wakeKey, goneKey (of a shard; the last: who was erased and until when what was made of
--       them is not to be recorded. By the time nothing is left to be recorded, all of that has gone by)
-- ARGV  1 group  2 token: of this drain  3 leaseMs  4 count: how many of a shard
--       5.. in lists: done, ids (of a shard; how many are done, and they)
-- Returns for each shard { busy } | { empty } | { entries, as XREADGROUP gives them, { erased user, until (ms), … } }
local group, token, leaseMs, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

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

local read
function read(outbox, from)
  local reply = redis.pcall('XREADGROUP', 'GROUP', group, 'drain', 'COUNT', count, 'STREAMS', outbox, from)
  if reply and reply.err then
    if not string.find(reply.err, 'NOGROUP', 1, true) then error(reply.err) end
    makeGroups(outbox)
    return read(outbox, from)
  end
  return reply and reply[1][2] or {}
end

-- Those of these entries' users who were erased.
local function goneAmong(entries, gone)
  local found, seen = {}, {}
  if group ~= 'record' or redis.call('EXISTS', gone) == 0 then return found end
  for _, entry in ipairs(entries) do
    -- Of one that the cap has dropped the id alone is there.
    local fields = entry[2] or {}
    for n = 1, #fields, 2 do
      local user = fields[n] == 'u' and fields[n + 1]
      if user and not seen[user] then
        seen[user] = true
        local till = redis.call('HGET', gone, user)
        if till then
          found[#found + 1] = user
          found[#found + 1] = till
        end
      end
    end
  end
  return found
end

-- Of a shard; `ids` are those that are done.
local function take(outbox, lease, wake, gone, ids)
  local holder = redis.call('GET', lease)
  -- One that was to end by a clock that was set back since is free.
  local lasts = redis.call('PTTL', lease) <= leaseMs
  if holder and holder ~= token and lasts then return { 'busy' } end
  redis.call('SET', lease, token, 'PX', leaseMs)
  redis.call('DEL', wake)
  if #ids > 0 then
    redis.call('XACK', outbox, group, unpack(ids))
    trim(outbox)
  end
  -- Everything that was handed out earlier goes first, also where it was more than is taken now.
  local entries = read(outbox, '0')
  if #entries == 0 then entries = read(outbox, '>') end
  if #entries > 0 then return { 'entries', entries, goneAmong(entries, gone) } end
  redis.call('DEL', lease)
  if group == 'record' then redis.call('UNLINK', gone) end
  return { 'empty' }
end

local result = {}
local at = 5
for n = 1, #KEYS, 4 do
  local outboxKey, leaseKey, wakeKey, goneKey = unpack(KEYS, n, n + 3)
  local done = tonumber(ARGV[at])
  local ids = { unpack(ARGV, at + 1, at + done) }
  result[#result + 1] = take(outboxKey, leaseKey, wakeKey, goneKey, ids)
  at = at + 1 + done
end
return result
