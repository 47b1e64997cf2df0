-- The outbox of a shard as a stream, its two groups, and the wake-ups for whoever drains it.

-- A wake-up is on its way for so long; until then none is added.
local WAKE_MS = 500

-- 1 where a wake-up has to be added: none is on its way. In `flag`, which says so from now on.
local function wakeOnce(flag)
  return redis.call('SET', flag, '1', 'PX', WAKE_MS, 'NX') and 1 or 0
end

-- What has to be woken for something new in an outbox, as bits: 1 `deliver`, 2 `record`.
local function wakeBoth(wakeDeliver, wakeRecord)
  return wakeOnce(wakeDeliver) + 2 * wakeOnce(wakeRecord)
end

-- Groups are made by whoever finds them missing: at the first start, and after Redis came back empty.
local function makeGroups(stream)
  redis.pcall('XGROUP', 'CREATE', stream, 'deliver', '0', 'MKSTREAM')
  redis.pcall('XGROUP', 'CREATE', stream, 'record', '0', 'MKSTREAM')
end

-- Fields of an answer of XINFO by their names.
local function named(flat)
  local fields = {}
  for n = 1, #flat, 2 do fields[flat[n]] = flat[n + 1] end
  return fields
end

-- The groups of a stream: name, pending, last-delivered-id, lag; none where there is no stream.
local function groupsOf(stream)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  if groups.err then return {} end
  for n, flat in ipairs(groups) do groups[n] = named(flat) end
  return groups
end

-- The id of the last entry that was ever added to a stream; '0-0' where there is none.
local function lastIdOf(stream)
  if redis.call('EXISTS', stream) == 0 then return '0-0' end
  return named(redis.call('XINFO', 'STREAM', stream))['last-generated-id']
end

-- Whom an entry is about, or nil: its second field. `u` is what 0.1 wrote.
local function userOf(entry)
  -- Of one that the cap has dropped the id alone is there.
  local fields = entry[2] or {}
  if fields[3] == 'user' then return fields[4] end
  for n = 1, #fields, 2 do
    if fields[n] == 'u' then return fields[n + 1] end
  end
end

-- The oldest entry that a group was given and has not acknowledged, or nil.
local function oldestOf(stream, group)
  return group.pending > 0 and redis.call('XPENDING', stream, group.name)[2] or nil
end

-- Whether a group has something to do.
local function hasWork(group, lastId)
  return group.pending > 0 or group['last-delivered-id'] ~= lastId
end
