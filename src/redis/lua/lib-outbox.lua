-- needs: record streams
-- What a script says to others: the next version of a user, told in the shard's outbox in the same step, and what is owed to the
-- queues for it.

-- What the caller has to put into the queues stands first in every answer: 1: wake `deliver`, 2: wake `record`, and behind
-- it, with blanks between, users whose timeout job has nothing to wait for any more, each with its number.
local jobsGone = {}
local function wake(result)
  if appended then result[1] = result[1] + wakeBoth(wakeDeliverKey, wakeRecordKey) end
  if #jobsGone > 0 then result[1] = result[1] .. ' ' .. table.concat(jobsGone, ' ') end
  return result
end

-- Protects memory while PostgreSQL or the workers stay away: history is dropped, last_seen is not.
local outboxLength
local function trimToCap()
  outboxLength = outboxLength and outboxLength + 1 or redis.call('XLEN', outboxKey)
  if outboxLength <= OUTBOX_CAP then return end
  local oldest = redis.call('XRANGE', outboxKey, '-', '+', 'COUNT', 100)
  for _, entry in ipairs(oldest) do
    local fields = entry[2]
    for n = 1, #fields, 2 do
      if fields[n] == 'u' then redis.call('SADD', unrecordedKey, fields[n + 1]) end
    end
    redis.call('XDEL', outboxKey, entry[1])
  end
  outboxLength = outboxLength - #oldest
end

local function append(u, ...)
  if trace == '' then lastAppended = redis.call('XADD', outboxKey, '*', 'u', u.id, ...)
  else lastAppended = redis.call('XADD', outboxKey, '*', 't', trace, 'u', u.id, ...) end
  appended = true
  trimToCap()
end

-- Makes the next version and tells it: the change and its announcement are one step.
local function tell(u, cause, extra)
  u.version = math.max(now, u.version + 1)
  local fields = { 's', u.announced and '1' or '0', 'l', u.lastSeen and whole(u.lastSeen) or '', 'v', whole(u.version),
    'a', whole(now), 'c', cause }
  local function add(name, value) fields[#fields + 1] = name; fields[#fields + 1] = value end
  for name, value in pairs(extra or {}) do add(name, value) end
  -- Not everybody may see it: who may is looked up where it is told.
  if u.mark ~= '0' or (extra and extra.b) then add('z', '1') end
  if u.claims then add('m', u.claims) end
  local detail = detailShown(u)
  if detail ~= u.toldDetail then add('d', detail == '' and '{}' or detail) end
  if u.falselyAway then add('y', u.falselyAway) end
  if u.endedAt and not u.announced and endedBy[cause] then add('o', whole(u.endedAt)) end
  u.claims, u.untold, u.toldDetail, u.falselyAway = nil, nil, detail, nil
  spend(u, cause)
  append(u, unpack(fields))
end

-- Whether two sessions are the same device, as far as is known: one without a deviceId has a new name every time.
local function sameDevice(a, b)
  return a and b and (a == b or (string.sub(a, 1, 1) == 'a' and string.sub(b, 1, 1) == 'a'))
end

local function announce(u, active, cause, sid)
  -- Told away and back on the same device at once: a flicker, for the operator's count.
  if active and u.since and now - u.since <= FLICKER and endedBy[u.cause] and sameDevice(sid, u.causeSession) then
    u.falselyAway = u.cause
  end
  u.announced = active
  u.cause, u.causeSession, u.since = cause, sid or u.endedSession or '', now
  u.endedCause, u.endedSession = nil, nil
  if active then tell(u, cause, { p = u.before and whole(u.before) or '' })
  else
    u.before = u.lastSeen
    tell(u, cause)
  end
end
