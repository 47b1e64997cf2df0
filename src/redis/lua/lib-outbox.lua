-- needs: record streams
-- What a script says to others: the next version of a user, told in the shard's outbox in the same step, and what is owed to the
-- queues for it.

-- Users whose timeout job has nothing to wait for any more, each with its number, for each shard.
local jobsGone = {}

local function jobGone(u)
  local gone = jobsGone[place] or {}
  jobsGone[place] = gone
  gone[#gone + 1] = u.id
  gone[#gone + 1] = u.job
  u.job = nil
end

-- What the caller has to put into the queues for a shard: 1: wake `deliver`, 2: wake `record`, and behind it, with blanks between,
-- what became of jobs.
local function owed()
  local bits = 0
  if appendedTo[place] == 'both' then bits = wakeBoth(wakeDeliverKey, wakeRecordKey)
  elseif appendedTo[place] then bits = wakeOnce(wakeDeliverKey)
  end
  local gone = jobsGone[place]
  return gone and bits .. ' ' .. table.concat(gone, ' ') or bits
end

-- It stands first in every answer.
local function wake(result)
  result[1] = owed()
  return result
end

-- Scripts that take users of several shards answer with what is owed for each shard, and then each user's answer.
local function wakeAll(answers, shards)
  local all = {}
  for n = 1, shards do
    useShard(n)
    all[n] = owed()
  end
  table.insert(answers, 1, all)
  return answers
end

-- Protects memory while PostgreSQL or the workers stay away: history is dropped, last_seen is not.
local outboxLengths = {}
local function trimToCap()
  local length = outboxLengths[place]
  length = length and length + 1 or redis.call('XLEN', outboxKey)
  outboxLengths[place] = length
  if length <= OUTBOX_CAP then return end
  local oldest = redis.call('XRANGE', outboxKey, '-', '+', 'COUNT', 100)
  for _, entry in ipairs(oldest) do
    local user = userOf(entry)
    if user then redis.call('SADD', unrecordedKey, user) end
    redis.call('XDEL', outboxKey, entry[1])
  end
  outboxLengths[place] = length - #oldest
end

-- Appends an entry. Its fields by its kind, and their order: outbox-entry.ts.
local function append(kind, u, ...)
  if trace == '' then lastAppended = redis.call('XADD', outboxKey, '*', 'kind', kind, 'user', u.id, ...)
  else lastAppended = redis.call('XADD', outboxKey, '*', 'kind', kind, 'user', u.id, 'trace', trace, ...) end
  -- Of rooms PostgreSQL has nothing to hear.
  if kind ~= 'rooms' then appendedTo[place] = 'both' else appendedTo[place] = appendedTo[place] or 'deliver' end
  trimToCap()
end

-- `more` with a name and what it stands for (JSON) behind it.
local function withMore(more, name, json)
  return (more and more .. ',' or '') .. '"' .. name .. '":' .. json
end

-- One that has the fields of a change; the last of them has what few changes have, in JSON, so that all have the same.
local function appendChange(kind, u, version, cause, since, more)
  if version ~= now then more = withMore(more, 'at', whole(now)) end
  append(kind, u, 'active', kind == 'note' and '' or u.announced and '1' or '0', 'lastSeen', u.lastSeen and whole(u.lastSeen) or '',
    'version', whole(version), 'cause', cause, 'since', since, 'more', more and '{' .. more .. '}' or '')
end

-- Announces a change with the next version of the user: both are one step. `before` (JSON): of a change of privacy.
local function announce(u, cause, since, before)
  u.version = math.max(now, u.version + 1)
  -- Not everybody may see it: who may is looked up where it is told.
  local kind = (u.mark ~= '0' or before) and 'restricted' or 'change'
  local more = before and withMore(nil, 'before', before)
  if u.claims then more = withMore(more, 'claims', u.claims) end
  local detail = detailOf(u)
  local shown = detail == '' and '{}' or detail
  if detail ~= u.toldDetail then more = withMore(more, 'detail', shown) end
  -- What is said of somebody who appears inactive is for them and for services; so is that it came to nothing.
  if u.hiddenUntil and u.detail then more = withMore(more, 'hiddenDetail', u.detail)
  elseif u.toldHidden and detail == u.toldDetail then more = withMore(more, 'hiddenDetail', shown)
  end
  if u.falselyAway then more = withMore(more, 'falselyAway', '"' .. u.falselyAway .. '"') end
  if u.endedAt and not u.announced and endedBy[cause] then since = whole(u.endedAt) end
  u.claims, u.untold, u.toldDetail, u.falselyAway = nil, nil, detail, nil
  u.toldHidden = u.hiddenUntil and u.toldHidden
  spend(u, cause)
  appendChange(kind, u, u.version, cause, since or '', more)
end

-- Whether two sessions are the same device, as far as is known: one without a deviceId has a new name every time.
local function sameDevice(a, b)
  return a and b and (a == b or (string.sub(a, 1, 1) == 'a' and string.sub(b, 1, 1) == 'a'))
end

local function announceStatus(u, active, cause, sid)
  -- Told away and back on the same device at once: a flicker, for the operator's count.
  if active and u.since and now - u.since <= FLICKER and endedBy[u.cause] and sameDevice(sid, u.causeSession) then
    u.falselyAway = u.cause
  end
  u.announced = active
  u.cause, u.causeSession, u.since = cause, sid or u.endedSession or '', now
  u.endedCause, u.endedSession = nil, nil
  if active then
    -- Of who was away an audience of everyone has no picture.
    if detailOf(u) ~= '' then u.toldDetail = '?' end
    announce(u, cause, u.before and whole(u.before) or 'never')
  else
    -- What was told before the loss is not known, and whoever hides is to be seen with nothing of it.
    if u.toldBeforeLoss then u.toldDetail = '?' end
    u.before = u.lastSeen
    announce(u, cause)
  end
end
