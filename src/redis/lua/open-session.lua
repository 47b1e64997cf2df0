-- needs: stored
-- Sessions of users of a node's shards open, or are made again after Redis lost them (mode `restore`); or a lease opens or is renewed.
-- ARGV  5.. in sixteens: shard, userId, sid, conn, beatAge, connAge, kind, state, ownTtl, name, maxSessions, mode, claims, roomsText,
--       storedText, appear
--       (shard: its place among the keys; sid: the session; beatAge: of this sign of life, connAge: of the connection, ms;
--       kind, state (a | i): of a lease '' where it stays what it was; ownTtl: ms, '' for the configured one; mode: connect | restore |
--       lease; claims: JSON or ''; roomsText: '' or the rooms that it is in, lib-rooms.lua; storedText: the stored user,
--       lib-stored.lua; appear: of who asks to appear inactive from the first moment `ask`, and `saved` once PostgreSQL has it; else '')
-- Returns { { wake of each shard }, { code, version, active 1|0, number of the timeout job to add or '', its delay (ms), when the session is
--   over (ms), delay until the user has to be looked at where that is sooner than it was (ms) or -1, state of the session: a | i, or '',
--   for how long they appear inactive: ms, -1 until further notice, '' not at all }, … }
--   code: ok | stored (ask PostgreSQL first) | hide (have PostgreSQL keep the choice first; nothing is opened) | full (too many sessions)
--         crowded (too many rooms) | replaced, logout (this connection was ended)
--         stale (restore: its last sign of life is older than a TTL)

local function isKeptOut(u, conn, connAge)
  -- Nothing is made of somebody who was erased, or had signed out before Redis was lost.
  if u.fresh and (tonumber(redis.call('ZSCORE', erasedKey, conn)) or 0) > now then return true end
  local signedOut = signedOutAt(u.id)
  return signedOut and now - connAge - lateness <= signedOut
end

-- The sessions that this one goes on from: its own, and of one without a device those that nobody else can claim.
local function goesOnFrom(u, sid)
  local before = {}
  for other, s in pairs(u.sessions) do
    local unclaimed = (s.standing == 'h' or s.standing == 'g') and string.sub(other, 1, 1) == 'a'
    if other == sid or (unclaimed and string.sub(sid, 1, 1) == 'a') then before[other] = true end
  end
  return before
end

-- A posted session, and one that nobody can claim again, end quietly now that there is a real one, which takes their signs of
-- life over. Returns the latest.
local function takeOver(u, sid, beat)
  for other, s in pairs(u.sessions) do
    local unclaimed = (s.standing == 'h' or s.standing == 'g') and string.sub(other, 1, 1) ~= 'd'
    if other ~= sid and (s.standing == 'p' or unclaimed) then
      beat = math.max(beat, s.beat)
      dropSession(u, other)
    end
  end
  return beat
end

-- Sockets and leases count; who is waited for, and what was posted, does not.
local function countOthers(u, sid)
  local counted = 0
  for other, s in pairs(u.sessions) do
    if other ~= sid and (s.standing == 'l' or s.standing == 'e') then counted = counted + 1 end
  end
  return counted
end

local function open(id, sid, conn, beatAge, connAge, device, maxSessions, mode, claims, roomsText, storedText, appear)
  local beat = now - beatAge - lateness
  local restoring, isLease = mode == 'restore', mode == 'lease'
  local tooOld = beat + (device.ttl or ttl) <= now
  local u = load(id)
  local stored = storedUser(storedText)
  if not u then
    if not stored then return { 'stored', 0, 0, '', 0, 0, -1, '', '' } end
    u = newUser(id)
  end
  if stored and (u.fresh or u.choiceUnknown) then applyStored(u, stored) end
  if restoring then
    if u.fresh and tooOld then return { 'stale', 0, 0, '', 0, 0, -1, '', '' } end
    if isKeptOut(u, conn, connAge) then return { 'logout', 0, 0, '', 0, 0, -1, '', '' } end
  end
  local wasFresh = u.fresh
  settle(u)

  local cause = restoring and 'heartbeat' or 'connect'
  local dueBefore = isLease and lastDeadline(u)
  local function answer(code, job)
    -- Also for a refusal, where it is with this that the stored user was read.
    if u.toldBeforeLoss or isVisible(u) then tell(u, next(u.sessions) and cause or 'timeout') end
    local at = save(u)
    -- Of a socket that falls silent its web takes care.
    local sooner = dueBefore and lastDeadline(u) < dueBefore and at - now or -1
    local state = u.sessions[sid] and u.sessions[sid].state or ''
    local hidden = u.hiddenUntil and (u.hiddenUntil < 0 and -1 or math.max(0, u.hiddenUntil - now)) or ''
    return { code, u.version, isVisible(u) and 1 or 0, job or '', at and jobDelay(u, at) or 0,
      code == 'ok' and deadlineOf(u.sessions[sid]) or 0, sooner, state, hidden }
  end

  local previous = u.sessions[sid]
  if previous and previous.beat > beat and not previous.ahead then beat = previous.beat end
  if restoring and previous and previous.conn ~= conn then return answer('replaced') end
  if isRefused(u, conn) then return answer('logout') end
  if restoring and tooOld then return answer('stale') end
  if not restoring and not (isLease and previous) and countOthers(u, sid) >= maxSessions then return answer('full') end
  -- Whoever has a session has been seen, or comes back: that they come is nothing to be hidden, and to return chooses nothing anew.
  local comesHidden = appear ~= '' and next(u.sessions) == nil
  if comesHidden and appear == 'ask' then return answer('hide') end
  if not restoring and not claimRooms(u, sid, isLease and { [sid] = roomsText ~= '' } or goesOnFrom(u, sid), roomsText) then
    return answer('crowded')
  end
  if comesHidden then beginHiding(u, -1) end

  if previous and previous.conn ~= conn and previous.conn ~= NOBODY then
    refuse(u, previous.conn, previous)
    tellClosed(u, { previous.conn }, 'replaced')
  end
  local session = {
    conn = conn, standing = 'l', at = now - connAge - lateness, kind = device.kind, state = device.state, ttl = device.ttl, name = device.name,
  }
  if isLease then
    session.standing, session.at = 'e', previous and previous.at or session.at
    if session.kind == '' then session.kind = previous and previous.kind or 'other' end
    if session.state == '' then session.state = previous and previous.state or 'a' end
  else
    -- A device that comes back is as it said last, until it says so anew.
    if not restoring and previous then session.state = previous.state end
    beat = takeOver(u, sid, beat)
  end
  session.beat = beat
  putSession(u, sid, session)
  heard(u, beat)
  if claims ~= '' and wasFresh then u.claims = claims end
  tell(u, cause, sid)
  if u.claims then tellRecord(u, false) end
  return answer('ok', armJob(u))
end

local answers = {}
for n = 5, #ARGV, 16 do
  local shard, userId, sid, conn, beatAge, connAge, kind, state, ownTtl, name, maxSessions, mode, claims, roomsText, storedText, appear =
    unpack(ARGV, n, n + 15)
  useShard(tonumber(shard))
  answers[#answers + 1] = open(userId, sid, conn, tonumber(beatAge), tonumber(connAge),
    { kind = kind, state = state, ttl = tonumber(ownTtl), name = name }, tonumber(maxSessions), mode, claims, roomsText, storedText, appear)
end
return wakeAll(answers, math.floor(#KEYS / 12))
