-- What every presence script begins with, after lib-time.lua: the user's record, settling, announcing, writing back.
--
-- KEYS  1 due          sorted set: user → the moment (ms) this user has to be looked at again
--       2 outbox       stream of changes, read by the groups `deliver` and `record`
--       3 pulse        when a process last reached this Redis (ms)
--       4 hold         'all' while nothing may be expired, because Redis was out of reach; 'beats' while nobody may be taken
--                      for silent, because a web is behind with beats
--       5 unrecorded   set: users whose changes the outbox had to drop before they were recorded
--       6 choiceUnknown set: users whose choices are unknown because PostgreSQL was away
--       7 wakeDeliver  exists while a wake-up of the group `deliver` is on its way
--       8 wakeRecord   the same for `record`
--       9 seen         sorted set: user → last seen, as others may know it (ms); also of users who are long gone
--      10 apartDue     sorted set: user → due, of those whose `due` is not the moment until which they are active
--      11 apartActive  sorted set: of the same, user → until when they are active (ms); together they tell how many are
--      12 erased       sorted set: connections that are refused without a record that says so, by until when (ms)
--      13 never        in a cluster alone: a key that does not exist, so that no script runs while its slot is being moved
-- ARGV  1 to 4: see lib-time.lua
--    last trace        W3C's `traceparent` of what caused this, or ''; taken away here, so that lists of arguments end before
--
-- A user's record is the hash `user:sessions:<id>`:
--   v   version of the last change            a   1 while the user is announced active
--   l   last seen, as others may know it      c, i, w   cause, session and moment of the last change
--   h   appear inactive until (ms, -1: until further notice); g: since when
--   d, x  detail (JSON) and until when (ms; none: until further notice)
--   k   the detail that was told last, none: nothing; ?: not known, for Redis had lost it
--   p   1 while PostgreSQL could not be asked  q   last sign of life meanwhile
--   j   number of the waiting timeout job
--   e   cause|session of a close whose transition is still to be made
--   f   1 after a logout whose traces are gone, until there is a session again
--   r   the mark: revision of the privacy that decides who may see this (lib-privacy.lua)
--   m, o, n  see lib-budget.lua
--   s:<session>  conn|standing|deadline|connectedAt|kind|state|name    b:<session>  last sign of life
--   t:<conn>     tombstone: until when this connection is refused
-- `standing` is l (live), p (made by a POST), g (closed, in its grace) or h (handed over by a draining web).
-- `deadline` is empty where it follows from the last sign of life.

local due, outbox = KEYS[1], KEYS[2]

local OUTBOX_CAP = 100000
local MAX_TOMBSTONES = 64
local FLICKER = 10000
local endedBy = { timeout = true, disconnect = true, handover = true }
local NOBODY = '-'

local trace = table.remove(ARGV)
local appended, lastAppended = false, nil

-- When the user signed out everywhere last (ms): who was connected before is not let in again.
local function signedOutKey(id) return stem .. 'user:signed_out:' .. tag .. id end

local function signedOutAt(id)
  local at = tonumber(redis.call('GET', signedOutKey(id)) or '')
  -- By a clock that was set back since it would refuse who came after it.
  return at and at <= now and at or nil
end

-- The inverse, for what this script itself or PostgreSQL's value wrote; nil for anything else.
local function fromIso(text)
  local y, m, d, hh, mm, ss, ms = string.match(text or '', '^(%d%d%d%d)-(%d%d)-(%d%d)T(%d%d):(%d%d):(%d%d)%.(%d%d%d)Z$')
  if not y then return nil end
  y, m, d = tonumber(y), tonumber(m), tonumber(d)
  if m <= 2 then y = y - 1 end
  local era = math.floor(y / 400)
  local yoe = y - era * 400
  local doy = math.floor((153 * (m > 2 and m - 3 or m + 9) + 2) / 5) + d - 1
  local days = era * 146097 + yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy - 719468
  return (days * 86400 + hh * 3600 + mm * 60 + ss) * 1000 + ms
end

local holdCached
local function hold()
  if holdCached == nil then
    local beat = tonumber(redis.call('GET', KEYS[3]) or '')
    holdCached = beat ~= nil and now - beat > 1500 and 'all' or redis.call('GET', KEYS[4]) or ''
  end
  return holdCached
end

-- Nothing expires while Redis has just come back: the webs still hold beats it has not heard of.
local function held() return hold() ~= '' and hold() ~= 'beats' end

-- Of those whose web is behind with their beats none is silent yet. Who says goodbye has left all the same.
local function mayBeat(s) return s.standing == 'l' and hold() == 'beats' end

local function pack(s)
  return table.concat({ s.conn, s.standing, s.deadline and whole(s.deadline) or '', whole(s.at), s.kind, s.state, s.name }, '|')
end

local function unpackSession(value)
  local conn, standing, deadline, at, kind, state, name =
    string.match(value, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|(.*)$')
  return { conn = conn, standing = standing, deadline = tonumber(deadline), at = tonumber(at), kind = kind, state = state, name = name }
end

local function deadlineOf(s)
  return s.deadline or s.beat + ttl
end

local function newUser(id)
  -- `known`: the record as it was read.
  return { id = id, key = recordKey(id), version = 0, announced = false, sessions = {}, tombs = {}, dirty = {}, gone = {},
    toldDetail = '', fresh = true, known = {}, mark = '0' }
end

-- A sign of life others may know of; while the user appears inactive they may not.
local function seen(u, moment)
  if u.choiceUnknown then u.meanwhile = math.max(moment, u.meanwhile or 0)
  elseif not u.hiddenUntil and (not u.lastSeen or moment > u.lastSeen) then u.lastSeen = moment end
end

-- The whole record of a user, or nil.
local function load(id)
  local flat = redis.call('HGETALL', recordKey(id))
  if #flat == 0 then return nil end
  local u = newUser(id)
  u.fresh = false
  local known, beats = u.known, {}
  for n = 1, #flat, 2 do
    local field, value = flat[n], flat[n + 1]
    known[field] = value
    if string.byte(field, 2) == 58 then
      local kind, name = string.byte(field), string.sub(field, 3)
      if kind == 115 then u.sessions[name] = unpackSession(value)
      elseif kind == 98 then beats[name] = tonumber(value)
      else u.tombs[name] = tonumber(value)
      end
    end
  end
  u.version = tonumber(known.v) or 0
  u.announced = known.a == '1'
  u.lastSeen = tonumber(known.l)
  u.hiddenUntil = tonumber(known.h)
  u.hiddenSince = tonumber(known.g)
  u.detail = known.d
  u.detailUntil = tonumber(known.x)
  u.toldDetail = known.k or ''
  u.choiceUnknown = known.p and true
  u.meanwhile = tonumber(known.q)
  u.job = known.j
  u.cause = known.c
  u.causeSession = known.i
  u.since = tonumber(known.w)
  u.forgotten = known.f and true
  u.mark = known.r or UNMARKED
  readBudget(u)
  -- Counted by a clock that was set back since, it would hold back what is to be told for as long.
  local countedSince = tonumber(string.match(u.spent or '', '^%d+|(%d+)|'))
  if countedSince and countedSince > now then u.spent = nil end
  if u.owed then u.owed = math.min(u.owed, now + GATHERED_FOR) end
  if known.e then u.endedCause, u.endedSession = string.match(known.e, '^(%a+)|(.*)$') end
  u.before = u.lastSeen
  u.hadSession = next(u.sessions) ~= nil
  for sid, s in pairs(u.sessions) do
    s.beat = beats[sid] or s.at
    -- What lies ahead is of a clock that was set back since, or of another server's: nobody is active for longer because of it.
    if s.beat > now then
      s.beat, s.ahead, u.dirty[sid] = now, true, true
    end
    if s.deadline and s.deadline > now + ttl then
      s.deadline, u.dirty[sid] = now + ttl, true
    end
    seen(u, s.beat)
  end
  return u
end

local function putSession(u, sid, s)
  u.sessions[sid] = s
  u.dirty[sid] = true
  u.gone[sid] = nil
  u.forgotten = nil
end

local function dropSession(u, sid)
  u.sessions[sid] = nil
  u.dirty[sid] = nil
  u.gone[sid] = true
end

-- Refuses a connection from now on: what it still sends comes too late. Two TTLs outlive every late command.
local function bury(u, conn)
  if conn ~= NOBODY then u.tombs[conn] = now + 2 * ttl; u.tombsChanged = true end
end

-- The same for connections that no record speaks of.
local function refuseFromNow(conns)
  redis.call('ZREMRANGEBYSCORE', KEYS[12], '-inf', whole(now))
  for _, conn in ipairs(conns) do redis.call('ZADD', KEYS[12], whole(now + 2 * ttl), conn) end
  redis.call('PEXPIRE', KEYS[12], whole(2 * ttl))
end

local function isBuried(u, conn)
  return (u.tombs[conn] or 0) > now
end

local function isVisible(u)
  return not u.hiddenUntil and not u.choiceUnknown and next(u.sessions) ~= nil
end

-- The detail that others may know, '' for nothing.
local function detailShown(u)
  return not u.hiddenUntil and not u.choiceUnknown and u.detail or ''
end

-- What the caller has to put into the queues stands first in every answer: 1: wake `deliver`, 2: wake `record`, and behind
-- it, with blanks between, users whose timeout job has nothing to wait for any more, each with its number.
local jobsGone = {}
local function wake(result)
  if appended then
    if redis.call('SET', KEYS[7], '1', 'PX', 500, 'NX') then result[1] = result[1] + 1 end
    if redis.call('SET', KEYS[8], '1', 'PX', 500, 'NX') then result[1] = result[1] + 2 end
  end
  if #jobsGone > 0 then result[1] = result[1] .. ' ' .. table.concat(jobsGone, ' ') end
  return result
end

-- Protects memory while PostgreSQL or the workers stay away: history is dropped, last_seen is not.
local outboxLength
local function trimToCap()
  outboxLength = outboxLength and outboxLength + 1 or redis.call('XLEN', outbox)
  if outboxLength <= OUTBOX_CAP then return end
  local oldest = redis.call('XRANGE', outbox, '-', '+', 'COUNT', 100)
  for _, entry in ipairs(oldest) do
    local fields = entry[2]
    for n = 1, #fields, 2 do
      if fields[n] == 'u' then redis.call('SADD', KEYS[5], fields[n + 1]) end
    end
    redis.call('XDEL', outbox, entry[1])
  end
  outboxLength = outboxLength - #oldest
end

local function append(u, ...)
  if trace == '' then lastAppended = redis.call('XADD', outbox, '*', 'u', u.id, ...)
  else lastAppended = redis.call('XADD', outbox, '*', 't', trace, 'u', u.id, ...) end
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

-- Tells that other people may see the user from now on; `before` says who could until now. The detail is told to those
-- who get to see it, and taken from those who no longer do. Where the user changes that again and again it is gathered. What
-- somebody else did is little, and no doing of this user's.
local function tellPrivacy(u, before, own)
  local _, visibility, lastSeen = readPrivacy(u.id)
  local takes = takesAccess(before, visibility, lastSeen)
  if u.gathered then before = mergeBefore(cjson.decode(u.gathered), before) end
  u.gathered = cjson.encode(before)
  if own and not mayTell(u, takes) then return end
  u.gathered = nil
  if detailShown(u) ~= '' then u.toldDetail = '?' end
  local spent = u.spent
  tell(u, 'privacy', { b = cjson.encode(before) })
  if not own then u.spent = spent end
end

-- Tells the webs to close connections that are no longer welcome.
local function tellClosed(u, conns, reason)
  if #conns > 0 then append(u, 'x', table.concat(conns, ' '), 'r', reason) end
end

-- Something only PostgreSQL has to hear of: a user's first visit out of sight, a choice that ended, or a sign of life
-- that others may know of since a choice is over or known, where that changed nothing else.
local function tellRecord(u, clearsHidden)
  append(u, 'n', clearsHidden and 'clear' or 'seen', 'l', u.lastSeen and whole(u.lastSeen) or '',
    'v', whole(u.version), 'a', whole(now), 'm', u.claims or '')
  u.claims, u.untold = nil, nil
end

-- Announces what is true now where it differs from what was announced last.
local function edge(u, cause, sid)
  local visible = isVisible(u)
  u.owed = nil
  if visible and not u.announced then
    -- Whoever shows and hides themselves again and again is shown a little later; hiding never waits.
    if u.showing then cause = 'manual' end
    if u.lost or cause ~= 'manual' or mayTell(u) then announce(u, true, u.lost and 'restored' or cause, sid) end
  elseif not visible and (u.announced or (u.lost and not u.choiceUnknown)) then
    announce(u, false, u.hiddenUntil and 'manual' or cause, sid)
  elseif not u.choiceUnknown and detailShown(u) ~= u.toldDetail and (u.toldDetail == '?' or mayTell(u)) then tell(u, 'detail')
  end
  if u.gathered and not u.choiceUnknown and mayTell(u) then tellPrivacy(u, nothingChanged(u), true) end
  u.showing = isVisible(u) and not u.announced
  if not u.choiceUnknown then u.lost = nil end
end

local causeOf = { l = 'timeout', p = 'timeout', g = 'disconnect', h = 'handover' }

-- Settle first: drops what is overdue and announces what follows from it, before anything else is done.
local function settle(u)
  if held() then return end
  local hiddenUntil = u.hiddenUntil
  if hiddenUntil and hiddenUntil >= 0 and hiddenUntil <= now then
    u.hiddenUntil, u.hiddenSince = nil, nil
  else
    hiddenUntil = nil
  end
  if u.detailUntil and u.detailUntil <= now then u.detail, u.detailUntil = nil, nil end
  local latest, known = -1, u.lastSeen
  for sid, s in pairs(u.sessions) do
    local deadline = deadlineOf(s)
    -- Who left while appearing inactive was last seen when that began.
    if not hiddenUntil or deadline > hiddenUntil then seen(u, s.beat) end
    if deadline <= now and not mayBeat(s) then
      dropSession(u, sid)
      if deadline > latest then latest, u.endedCause, u.endedSession = deadline, causeOf[s.standing], sid end
      u.endedAt = latest
    end
  end
  if hiddenUntil and u.lastSeen ~= known then u.untold = true end
  -- What has just been read from PostgreSQL is told with what happens now.
  if u.lost or (u.toldDetail == '?' and isVisible(u) == u.announced and not u.gathered) then return end
  edge(u, isVisible(u) and (hiddenUntil and 'manual' or 'connect') or u.endedCause or 'timeout')
end

-- When all sessions are gone unless something is heard (ms), or nil.
local function lastDeadline(u)
  local latest
  for _, s in pairs(u.sessions) do
    local deadline = deadlineOf(s)
    if not latest or deadline > latest then latest = deadline end
  end
  return latest
end

-- When this user has to be looked at next (ms), or nil.
local function nextDue(u)
  local at = lastDeadline(u)
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
-- that ends, it is noted apart: those are few, and the heartbeats of all others write nothing for the count.
local function noteCount(u, activeUntil, dueAt)
  activeUntil = activeUntil and activeUntil > now and activeUntil
  dueAt = dueAt and dueAt > now and dueAt
  local plain = activeUntil == dueAt
  local function note(key, at)
    if at and not plain then redis.call('ZADD', key, whole(at), u.id) else redis.call('ZREM', key, u.id) end
  end
  note(KEYS[10], dueAt)
  note(KEYS[11], activeUntil)
end

-- Writes the record back and makes the other keys agree with it. Returns nextDue.
local function save(u)
  if u.untold then tellRecord(u, false) end
  if u.job and not u.announced and next(u.sessions) == nil then
    jobsGone[#jobsGone + 1] = u.id
    jobsGone[#jobsGone + 1] = u.job
    u.job = nil
  end
  -- Only what differs from what was read is written.
  local known, set, del = u.known, {}, {}
  local function field(name, value)
    if value == known[name] then return end
    if value then set[#set + 1] = name; set[#set + 1] = value else del[#del + 1] = name end
    known[name] = value
  end
  local lastSeen, wasForgotten = u.lastSeen and whole(u.lastSeen) or nil, known.f
  local moved = lastSeen ~= known.l
  -- As they stand, or as heartbeats in the meantime had reason to write them.
  local wasApart, wasChoiceUnknown = known.h or known.x or known.p or known.o, known.p
  field('v', whole(u.version))
  field('a', u.announced and '1' or '0')
  field('l', lastSeen)
  field('h', u.hiddenUntil and whole(u.hiddenUntil) or nil)
  field('g', u.hiddenSince and whole(u.hiddenSince) or nil)
  field('d', u.detail)
  field('x', u.detailUntil and whole(u.detailUntil) or nil)
  field('k', u.toldDetail ~= '' and u.toldDetail or nil)
  field('p', u.choiceUnknown and '1' or nil)
  field('q', u.choiceUnknown and u.meanwhile and whole(u.meanwhile) or nil)
  field('j', u.job)
  field('c', u.cause)
  field('i', u.causeSession)
  field('w', u.since and whole(u.since) or nil)
  field('f', u.forgotten and '1' or nil)
  field('r', u.mark)
  field('m', budgetKept(u))
  field('o', u.owed and whole(u.owed) .. (u.showing and '|s' or '') or nil)
  field('n', u.gathered)
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
  if u.tombsChanged then
    local kept = {}
    for conn, expires in pairs(u.tombs) do
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
  if lastSeen and moved then redis.call('ZADD', KEYS[9], lastSeen, u.id) end
  if lastSeen and not u.forgotten and (moved or wasForgotten) then redis.call('SET', lastSeenKey(u.id), iso(u.lastSeen)) end
  if u.choiceUnknown then redis.call('SADD', KEYS[6], u.id)
  elseif wasChoiceUnknown or u.fresh then redis.call('SREM', KEYS[6], u.id)
  end

  local at = nextDue(u)
  -- Overdue, and not to be taken for silent: the sweep looks again in a while.
  if at and at <= now and next(u.sessions) and hold() == 'beats' then at = now + 1000 end
  if wasApart or u.hiddenUntil or u.detailUntil or u.choiceUnknown or u.owed then noteCount(u, isVisible(u) and latest, at) end
  if at then
    redis.call('ZADD', due, whole(at), u.id)
    if not u.fresh and not u.hadSession then redis.call('PERSIST', u.key) end
  else
    redis.call('ZREM', due, u.id)
    -- Long enough for every tombstone; the version goes on from PostgreSQL and the clock.
    redis.call('PEXPIRE', u.key, whole(2 * ttl + 60000))
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

-- What PostgreSQL knows, for a user Redis has no record of.
-- stored = { version, lastSeen or nil, announced 1|0, hidden: nil | -1 | ms left, detail (JSON) or '', ms it has left or nil,
-- revision of the privacy, 0: open }, or 'away'.
local function applyStored(u, stored)
  local known = fromIso(redis.call('GET', lastSeenKey(u.id)) or '')
  if known and (not u.lastSeen or known > u.lastSeen) then u.lastSeen = known end
  if stored == 'away' then
    u.choiceUnknown = true
    if u.fresh then u.mark = UNMARKED end
    return
  end
  if u.fresh or u.mark == UNMARKED then u.mark = markFor(u.id, stored[7]) end
  u.choiceUnknown = nil
  -- Of somebody who is being erased PostgreSQL may still say what was.
  if privacyFields(u.id, 'x')[1] then stored = { stored[1], nil, 0, stored[4], '' } end
  u.version = math.max(u.version, stored[1])
  if stored[2] and (not u.lastSeen or stored[2] > u.lastSeen) then u.lastSeen = stored[2] end
  if stored[3] == 1 and not u.announced then u.lost = true end
  -- A logout ends the choice, also one that was not known then.
  if stored[4] and u.cause ~= 'logout' then
    u.hiddenUntil = stored[4] < 0 and -1 or now + stored[4]
    u.hiddenSince = u.hiddenSince or now
  end
  if stored[5] ~= '' then
    u.detail, u.detailUntil = stored[5], stored[6] and now + stored[6]
    -- Told or not, and perhaps over by now: others are told what is true, be it once more. The hidden tell nothing.
    if not u.hiddenUntil then u.toldDetail = '?' end
  end
  u.before = u.lastSeen
  if u.meanwhile then seen(u, u.meanwhile) end
  if u.lastSeen ~= u.before then u.untold = true end
end

-- What PostgreSQL remembers, seven arguments from position n: version, lastSeen, announced, hidden, detail, ms it has
-- left, revision of the privacy.
local function storedUserAt(n)
  return { tonumber(ARGV[n]), tonumber(ARGV[n + 1]), tonumber(ARGV[n + 2]), tonumber(ARGV[n + 3]), ARGV[n + 4],
    tonumber(ARGV[n + 5]), tonumber(ARGV[n + 6]) }
end

-- Reads what is stored out of ARGV from position n: mode ('' none given, 'away', 'known', 'new') and the stored user.
local function storedAt(n)
  if ARGV[n] == '' then return nil end
  if ARGV[n] == 'away' then return 'away' end
  local memory = storedUserAt(n + 1)
  memory.isNew = ARGV[n] == 'new'
  return memory
end
