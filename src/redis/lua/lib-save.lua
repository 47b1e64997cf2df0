-- needs: rooms
-- The record is written back, with every key that follows from it; whoever has to be looked at again stands in `due`.

-- When all sessions are gone unless something is heard (ms), or nil.
local function lastDeadline(u)
  local latest
  for _, s in pairs(u.sessions) do
    local deadline = deadlineOf(s)
    if not latest or deadline > latest then latest = deadline end
  end
  return latest
end

-- The TTL by which a heartbeat moves the user's deadline without a look at the other sessions, 'm' where there is no such TTL, nil where
-- it is the configured one. A deadline of a session's own is nearer than that.
local function commonTtl(u)
  local common
  for _, s in pairs(u.sessions) do
    local own = not s.deadline and s.ttl or ttl
    if common and common ~= own then return 'm' end
    common = own
  end
  return common and common ~= ttl and whole(common) or nil
end

-- When a user will be idle unless something is heard (ms): once those sessions are gone that are active while others are not. nil
-- where that is not so.
local function idleLook(u)
  local since = idleFrom(u)
  if u.hiddenUntil or u.choiceUnknown then return nil end
  if since then return since > now and since or nil end
  local active, anyIdle
  for _, s in pairs(u.sessions) do
    if s.state == 'i' then anyIdle = true else active = math.max(active or 0, deadlineOf(s)) end
  end
  return anyIdle and active
end

-- When this user has to be looked at next (ms), or nil.
local function nextDue(u)
  local at = lastDeadline(u)
  if u.idleLook then at = math.min(at or u.idleLook, u.idleLook) end
  -- Announced active without a session: a close that is waiting for its transition.
  if not at and u.announced then at = now end
  -- A choice that ends shows who is here, and what they say of themselves.
  local hiddenUntil = u.hiddenUntil and u.hiddenUntil >= 0 and u.hiddenUntil
  if hiddenUntil and (at or u.detail) then at = math.min(at or hiddenUntil, hiddenUntil) end
  if u.detailUntil then at = math.min(at or u.detailUntil, u.detailUntil) end
  if u.owed then at = math.min(at or u.owed, u.owed) end
  return at
end

-- Whoever is due in the future counts as active. Where that is wrong, because somebody is due and not active, or due before
-- that ends, it is noted apart: those are few, and the heartbeats of all others write nothing for the count. So are those who are
-- due by another TTL than the configured one, by which a clock that was set back does not show (`isApart`).
local function noteCount(u, activeUntil, dueAt, isApart)
  activeUntil = activeUntil and activeUntil > now and activeUntil
  dueAt = dueAt and dueAt > now and dueAt
  local together = activeUntil == dueAt and not isApart
  local function note(key, at)
    if at and not together then redis.call('ZADD', key, whole(at), u.id) else redis.call('ZREM', key, u.id) end
  end
  note(apartDueKey, dueAt)
  note(apartActiveKey, activeUntil)
end

-- Writes the record back and makes the other keys agree with it. Returns nextDue.
local function save(u)
  if u.untold then tellRecord(u, false) end
  if u.job and not u.announced and next(u.sessions) == nil then
    jobGone(u)
  end
  saveRooms(u)
  -- Only what differs from what was read is written.
  local known, set, del = u.known, {}, {}
  local function field(name, value)
    if value == known[name] then return end
    if value then set[#set + 1] = name; set[#set + 1] = value else del[#del + 1] = name end
    known[name] = value
  end
  local lastSeen, wereTracesGone = u.lastSeen and whole(u.lastSeen) or nil, known.f
  local moved = lastSeen ~= known.l
  -- As they stand, or as heartbeats in the meantime had reason to write them.
  local wasApart, wasChoiceUnknown = known.h or known.x or known.p or known.o or known.y, known.p
  local common = commonTtl(u)
  u.idleLook = idleLook(u)
  local idleTold = u.idleTold and u.idleTold + IDLE_APART > now and u.idleTold
  field('v', whole(u.version))
  field('a', u.announced and '1' or '0')
  field('l', lastSeen)
  field('h', u.hiddenUntil and whole(u.hiddenUntil) or nil)
  field('g', u.hiddenSince and whole(u.hiddenSince) or nil)
  field('d', u.detail)
  field('x', u.detailUntil and whole(u.detailUntil) or nil)
  field('u', u.sourcesText)
  field('ur', u.detailRevision and whole(u.detailRevision) or nil)
  field('k', u.toldDetail ~= '' and u.toldDetail or nil)
  -- By an event or a picture.
  if u.hiddenUntil and u.detail then u.toldHidden = true end
  field('ks', u.toldHidden and '1' or nil)
  field('p', u.choiceUnknown and '1' or nil)
  field('q', u.choiceUnknown and u.heardMeanwhile and whole(u.heardMeanwhile) or nil)
  field('j', u.job)
  field('c', u.cause)
  field('i', u.causeSession)
  field('w', u.since and whole(u.since) or nil)
  field('f', u.tracesGone and '1' or nil)
  field('r', u.mark)
  field('m', budgetKept(u))
  field('o', u.owed and whole(u.owed) .. (u.showing and '|s' or '') or nil)
  field('n', u.gathered)
  local pace = (u.owed and 'm' or common or '') .. (u.idleLook and '|' .. whole(u.idleLook) or '')
  field('y', pace ~= '' and pace or nil)
  field('z', u.roomsState)
  for name, text in pairs(u.roomFields or {}) do field('h:' .. name, text or nil) end
  field('is', u.idleSince and whole(u.idleSince) or nil)
  field('it', idleTold and whole(idleTold) or nil)
  -- Kept only while the transition is still to be made.
  local ending = u.announced and u.endedCause and next(u.sessions) == nil
  field('e', ending and u.endedCause .. '|' .. (u.endedSession or '') or nil)
  for sid in pairs(u.dirty) do
    field('s:' .. sid, pack(u.sessions[sid]))
    field('b:' .. sid, whole(u.sessions[sid].beat))
  end
  for sid in pairs(u.gone) do
    field('s:' .. sid, nil)
    field('b:' .. sid, nil)
  end
  if u.refusedChanged then
    local kept = {}
    for conn, expires in pairs(u.refused) do
      if expires <= now then field('t:' .. conn, nil) else kept[#kept + 1] = { conn, expires } end
    end
    table.sort(kept, function(x, y) return x[2] > y[2] end)
    for n, tomb in ipairs(kept) do field('t:' .. tomb[1], n <= MAX_TOMBSTONES and whole(tomb[2]) or nil) end
  end
  if #set > 0 then redis.call('HSET', u.key, unpack(set)) end
  if #del > 0 then redis.call('HDEL', u.key, unpack(del)) end

  local latest = lastDeadline(u)
  if isVisible(u) and latest > now then
    redis.call('SET', statusKey(u.id), 'active', 'PX', whole(latest - now))
  else
    redis.call('DEL', statusKey(u.id))
  end
  if lastSeen and moved then redis.call('ZADD', seenKey, lastSeen, u.id) end
  if lastSeen and not u.tracesGone and (moved or wereTracesGone) then redis.call('SET', lastSeenKey(u.id), iso(u.lastSeen)) end
  if u.choiceUnknown then redis.call('SADD', choiceUnknownKey, u.id)
  elseif wasChoiceUnknown or u.fresh then redis.call('SREM', choiceUnknownKey, u.id)
  end

  local at = nextDue(u)
  if wasApart or u.hiddenUntil or u.detailUntil or u.choiceUnknown or u.owed or common or u.idleLook then
    noteCount(u, isVisible(u) and latest, at, common)
  end
  -- Overdue, and not to be taken for silent: the sweep looks again in a while. That is for nobody to be counted by, since nothing in the
  -- record would say that it was noted.
  if at and at <= now and next(u.sessions) and hold() == 'beats' then at = now + 1000 end
  if at then
    redis.call('ZADD', dueKey, whole(at), u.id)
    if not u.fresh and not u.hadSession then redis.call('PERSIST', u.key) end
  else
    redis.call('ZREM', dueKey, u.id)
    -- Long enough for every tombstone; the version goes on from PostgreSQL and the clock.
    local latestTomb = now + 2 * ttl
    for _, expires in pairs(u.refused) do latestTomb = math.max(latestTomb, math.min(expires, now + 2 * longestTtl)) end
    redis.call('PEXPIRE', u.key, whole(latestTomb - now + 60000))
  end
  return at
end

-- How long the user's job sleeps. Where a web holds a connection, it has a silent user looked at in time itself, and the sweep
-- knows every deadline: the job, which costs more than all heartbeats of its user, is needed for neither.
local function jobDelay(u, at)
  for _, s in pairs(u.sessions) do
    if s.standing == 'l' then return math.max(at - now, 10 * ttl) end
  end
  return at - now
end

-- Gives the user a timeout job where none is waiting; returns its number or nothing.
local function armJob(u)
  if u.job then return '' end
  u.job = whole(now)
  return u.job
end
