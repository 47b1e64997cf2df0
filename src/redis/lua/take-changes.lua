-- One step of draining a shard's outbox for one group: acknowledge what was done, then read what is next.
-- One drain at a time: the lease. What a dead drain left unacknowledged comes first.
-- Reading nothing and giving the lease back is one step, so no wake-up can fall between.
-- KEYS  1 outbox  2 lease  3 wake
-- ARGV  1 group  2 token of this drain  3 lease (ms)  4 how many  5 1 on the first step of a drain  6.. ids done
-- Returns { busy } | { empty } | { entries, … } as XREADGROUP gives them
local outbox, group = KEYS[1], ARGV[1]
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[2] then return { 'busy' } end

redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[3])

-- Groups are made by whoever finds them missing: at the first start, and after Redis came back empty.
if ARGV[5] == '1' then
  redis.pcall('XGROUP', 'CREATE', outbox, 'deliver', '0', 'MKSTREAM')
  redis.pcall('XGROUP', 'CREATE', outbox, 'record', '0', 'MKSTREAM')
end

if #ARGV > 5 then
  for n = 6, #ARGV do redis.call('XACK', outbox, group, ARGV[n]) end
  -- Trim up to what the slower group has acknowledged.
  local function before(a, b)
    local am, as = string.match(a, '^(%d+)-(%d+)$')
    local bm, bs = string.match(b, '^(%d+)-(%d+)$')
    if am ~= bm then return tonumber(am) < tonumber(bm) end
    return tonumber(as) < tonumber(bs)
  end
  local oldest
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', outbox)) do
    local info = {}
    for n = 1, #flat, 2 do info[flat[n]] = flat[n + 1] end
    -- What was done goes, up to the last.
    local ms, sequence = string.match(info['last-delivered-id'], '^(%d+)-(%d+)$')
    local from = ms .. '-' .. string.format('%.0f', sequence + 1)
    if info.pending > 0 then from = redis.call('XPENDING', outbox, info.name)[2] end
    if not oldest or before(from, oldest) then oldest = from end
  end
  if oldest then redis.call('XTRIM', outbox, 'MINID', oldest) end
end

local function read(from)
  local reply = redis.call('XREADGROUP', 'GROUP', group, 'drain', 'COUNT', ARGV[4], 'STREAMS', outbox, from)
  return reply and reply[1][2] or {}
end

-- Everything that was handed out earlier goes first, also where it was more than is taken now.
local entries = read('0')
if #entries == 0 then entries = read('>') end
if #entries == 0 then
  redis.call('DEL', KEYS[2])
  return { 'empty' }
end
return { 'entries', entries }
