-- needs: time privacy budget idle
-- A user's record, as it is read and as scripts work with it; and what every script that has one is given.
--
-- KEYS  1 dueKey: sorted set, user → the moment (ms) this user has to be looked at again
--       2 outboxKey: stream of changes, read by the groups `deliver` and `record`
--       3 pulseKey: when a process last reached this Redis (ms)
--       4 holdKey: 'all' while nothing may be expired, because Redis was out of reach; 'beats' while nobody may be taken for
--         silent, because a web is behind with beats
--       5 unrecordedKey: set of users whose changes the outbox had to drop before they were recorded
--       6 choiceUnknownKey: set of users whose choices are unknown because PostgreSQL was away
--       7 wakeDeliverKey: exists while a wake-up of the group `deliver` is on its way
--       8 wakeRecordKey: the same for `record`
--       9 seenKey: sorted set, user → last seen, as others may know it (ms); also of users who are long gone
--      10 apartDueKey: sorted set, user → due, of those whose `due` is not the moment until which they are active, and of those
--         who have a session with a TTL of its own
--      11 apartActiveKey: sorted set, of the same, user → until when they are active (ms); together they tell how many are
--      12 erasedKey: sorted set of connections that are refused without a record that says so, by until when (ms); nothing in it
--         says whose they were
--      13.. keysOfShard: the same twelve of each further shard of the node, for scripts that take users of several
--    In a cluster there is one more, which does not exist, so that no script runs while its slot is being moved.
-- ARGV  from 1 to 4 see lib-time.lua; the last one is W3C's `traceparent` of what caused this, or '': it is taken away here, so
--       that lists of arguments end before
--
-- A user's record is the hash `user:sessions:<id>`:
--   v   version of the last change            a   1 while the user is announced active
--   l   last seen, as others may know it      c, i, w   cause, session and moment of the last change
--   h   appear inactive until (ms, -1: until further notice); g: since when
--   d, x  detail (JSON) of the strongest source and until when (ms; none: until further notice)
--   u   all sources of a detail (JSON; see sourcesOf)   ur  their revision: the greater is the newer
--   k   the detail that was told last, with whether they are idle, none: nothing; ?: not known, for Redis had lost it
--   ks  1 where services were told more than that, while the user appeared inactive: the next change says what is true by then
--   is  idle: since when no session has been active, where all are idle (ms; ahead: from then on, unless one is before)
--   it  when they were last told to be idle, or no more, and nothing else with it (ms)
--   p   1 while PostgreSQL could not be asked  q   last sign of life meanwhile
--   j   number of the waiting timeout job
--   e   cause|session of a close whose transition is still to be made
--   f   1 after a logout whose traces are gone, until there is a session again
--   r   the mark: revision of the privacy that decides who may see this (lib-privacy.lua)
--   m, o, n  see lib-budget.lua; z  see lib-rooms.lua
--   y   what a plain heartbeat (lib-plain.lua) goes by: the TTL (ms) that all sessions have; m where they differ, or where there is more to
--       do (`o`); none: the configured one. Behind it, where some are idle, |when all others will have fallen silent, or `is` where that
--       lies ahead (ms)
--   h:<room>     see lib-rooms.lua
--   s:<session>  conn|standing|deadline|connectedAt|kind|state|ttl|name    b:<session>  last sign of life
--   t:<conn>     tombstone: until when this connection is refused
-- `standing` is l (live: a connection holds it), p (made by a POST), e (a lease), g (closed, in its grace) or h (handed over by a
-- draining web). `deadline` is empty where it follows from the last sign of life. `ttl` (ms) is empty where it is the configured one.

local dueKey, outboxKey, pulseKey, holdKey, unrecordedKey, choiceUnknownKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local wakeDeliverKey, wakeRecordKey, seenKey, apartDueKey, apartActiveKey = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local erasedKey = KEYS[12]
local trace = table.remove(ARGV)

local OUTBOX_CAP = 100000
local MAX_TOMBSTONES = 64
local FLICKER = 10000
local endedBy = { timeout = true, disconnect = true, handover = true }
local NOBODY = '-'

-- Scripts that take users of several shards go from one to the other; counted from 1.
local place = 1
local function useShard(wanted)
  if wanted == place then return end
  place = wanted
  local keysOfShard = { unpack(KEYS, 12 * place - 11, 12 * place) }
  dueKey, outboxKey, pulseKey, holdKey, unrecordedKey, choiceUnknownKey = unpack(keysOfShard)
  wakeDeliverKey, wakeRecordKey, seenKey, apartDueKey, apartActiveKey, erasedKey = unpack(keysOfShard, 7)
end

-- Whom the user asked for by name today.
local function forgetLooks(id)
  local lookingKey = string.gsub(dueKey, 'presence:due:', 'presence:looking:', 1)
  redis.call('DEL', stem .. 'user:looks:' .. tag .. id, stem .. 'user:looked:' .. tag .. id)
  redis.call('ZREM', lookingKey, id)
end

local appendedTo, lastAppended = {}, nil

-- When the user signed out everywhere last (ms): who was connected before is not let in again.
local function signedOutKey(id) return stem .. 'user:signed_out:' .. tag .. id end

-- Those of the user's rooms that do not stand in the record (lib-rooms.lua).
local function roomsKey(id) return stem .. 'user:rooms:' .. tag .. id end

local function signedOutAt(id)
  local at = tonumber(redis.call('GET', signedOutKey(id)) or '')
  -- By a clock that was set back since it would refuse who came after it.
  return at and at <= now and at or nil
end

-- The ms of a text as `iso` (lib-time) writes it; nil for anything else.
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
    local beat = tonumber(redis.call('GET', pulseKey) or '')
    holdCached = beat ~= nil and now - beat > 1500 and 'all' or redis.call('GET', holdKey) or ''
  end
  return holdCached
end

-- Nothing expires while Redis has just come back: the webs still hold beats it has not heard of.
local function held() return hold() ~= '' and hold() ~= 'beats' end

-- Of those whose web is behind with their beats none is silent yet. Who says goodbye has left all the same.
local function mayBeat(s) return s.standing == 'l' and hold() == 'beats' end

local function pack(s)
  return table.concat({ s.conn, s.standing, s.deadline and whole(s.deadline) or '', whole(s.at), s.kind, s.state,
    s.ttl and whole(s.ttl) or '', s.name }, '|')
end

local function unpackSession(value)
  local conn, standing, deadline, at, kind, state, own, name =
    string.match(value, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|(.*)$')
  return { conn = conn, standing = standing, deadline = tonumber(deadline), at = tonumber(at), kind = kind, state = state,
    ttl = tonumber(own), name = name }
end

local function deadlineOf(s)
  return s.deadline or s.beat + (s.ttl or ttl)
end

-- The user had an active session until then (ms): what is told as the beginning of being idle, should no other be.
local function wasActiveUntil(u, at)
  u.activeUntil = math.max(at, u.activeUntil or 0)
end

local function newUser(id)
  -- `known`: the record as it was read.
  return { id = id, key = recordKey(id), version = 0, announced = false, sessions = {}, refused = {}, dirty = {}, gone = {},
    toldDetail = '', fresh = true, known = {}, mark = '0' }
end

-- A sign of life others may know of; while the user appears inactive they may not.
local function heard(u, moment)
  if u.choiceUnknown then u.heardMeanwhile = math.max(moment, u.heardMeanwhile or 0)
  elseif not u.hiddenUntil and (not u.lastSeen or moment > u.lastSeen) then u.lastSeen = moment end
end

-- The name of the only one of these sessions, nil where there is another or none.
local function onlyOf(sessions)
  local sid = next(sessions)
  return sid and next(sessions, sid) == nil and sid or nil
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
      elseif kind == 116 then u.refused[name] = tonumber(value)
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
  u.sourcesText = known.u
  u.detailRevision = tonumber(known.ur)
  u.toldDetail = known.k or ''
  u.toldHidden = known.ks and true
  u.choiceUnknown = known.p and true
  u.heardMeanwhile = tonumber(known.q)
  u.job = known.j
  u.cause = known.c
  u.causeSession = known.i
  u.since = tonumber(known.w)
  u.tracesGone = known.f and true
  u.mark = known.r or UNMARKED
  u.roomsState = known.z
  u.idleSince = tonumber(known.is)
  u.idleTold = tonumber(known.it)
  readBudget(u)
  -- Counted by a clock that was set back since, it would hold back what is to be told for as long.
  local countedSince = tonumber(string.match(u.spent or '', '^%d+|(%d+)|'))
  if countedSince and countedSince > now then u.spent = nil end
  if u.owed then u.owed = math.min(u.owed, now + math.max(GATHERED_FOR, IDLE_APART)) end
  if u.idleTold and u.idleTold > now then u.idleTold = nil end
  if u.idleSince and u.idleSince > now + ttl then u.idleSince = now end
  if known.e then u.endedCause, u.endedSession = string.match(known.e, '^(%a+)|(.*)$') end
  u.before = u.lastSeen
  u.hadSession, u.onlyBefore = next(u.sessions) ~= nil, onlyOf(u.sessions)
  for sid, s in pairs(u.sessions) do
    s.beat = beats[sid] or s.at
    -- What lies ahead is of a clock that was set back since, or of another server's: nobody is active for longer because of it.
    if s.beat > now then
      s.beat, s.ahead, u.dirty[sid] = now, true, true
    end
    if s.deadline and s.deadline > now + ttl then
      s.deadline, u.dirty[sid] = now + ttl, true
    end
    heard(u, s.beat)
  end
  return u
end

local function putSession(u, sid, s)
  u.sessions[sid] = s
  u.dirty[sid] = true
  u.gone[sid] = nil
  u.tracesGone = nil
end

-- `at`: until when it counted (ms); none: until now, or until it was overdue.
local function dropSession(u, sid, at)
  local s = u.sessions[sid]
  if s.state ~= 'i' then wasActiveUntil(u, at or math.min(now, deadlineOf(s))) end
  u.sessions[sid] = nil
  u.dirty[sid] = nil
  u.gone[sid] = true
end

-- Since when none of the user's sessions has been active (ms), which may lie ahead; nil where one is, or there is none.
local function idleFrom(u)
  local idle = next(u.sessions) ~= nil
  for _, s in pairs(u.sessions) do idle = idle and s.state == 'i' end
  u.idleSince = idle and (u.idleSince or u.activeUntil or now) or nil
  return u.idleSince
end

local function idleSince(u)
  local since = idleFrom(u)
  return since and since <= now and since or nil
end

-- Refuses a connection, which held the session `s` if any, from now on: what it still sends comes too late. Two TTLs outlive every
-- late command.
local function refuse(u, conn, s)
  if conn ~= NOBODY then u.refused[conn] = now + 2 * math.max(ttl, s and s.ttl or 0); u.refusedChanged = true end
end

-- The same for connections that no record speaks of.
local function refuseWithoutRecord(conns)
  redis.call('ZREMRANGEBYSCORE', erasedKey, '-inf', whole(now))
  for _, conn in ipairs(conns) do redis.call('ZADD', erasedKey, whole(now + 2 * longestTtl), conn) end
  redis.call('PEXPIRE', erasedKey, whole(2 * longestTtl))
end

local function isRefused(u, conn)
  return (u.refused[conn] or 0) > now
end

local function isVisible(u)
  return not u.hiddenUntil and not u.choiceUnknown and next(u.sessions) ~= nil
end

-- Who says something of the user beside the status, the strongest first: { source, ends (ms; -1: further notice), detail (JSON) }.
local function sourcesOf(u)
  if u.sourcesText then return cjson.decode(u.sourcesText) end
  -- Of the version before, which knew no other source.
  return u.detail and { { 'manual', u.detailUntil or -1, u.detail } } or {}
end

-- From now on these say something, of which the first is shown.
local function setSources(u, sources)
  local first = sources[1]
  u.sourcesText = first and cjson.encode(sources) or nil
  u.detail = first and first[3]
  u.detailUntil = first and first[2] >= 0 and first[2] or nil
end

-- Where the source that is shown is over, what it displaced is shown again.
local function endSources(u)
  if not u.detailUntil or u.detailUntil > now then return end
  local left = {}
  for _, said in ipairs(sourcesOf(u)) do
    if said[2] < 0 or said[2] > now then left[#left + 1] = said end
  end
  setSources(u, left)
end

-- What the strongest source says, '' for nothing.
local function shownDetail(u)
  return u.detail or ''
end

-- The detail that others may know, '' for nothing: what the strongest source says, and since when the user has been idle.
local function detailOf(u)
  if u.hiddenUntil or u.choiceUnknown then return '' end
  return withIdle(shownDetail(u), idleSince(u))
end
