-- needs: stored
-- A session opens, or is made again after Redis lost it (mode `restore`).
-- ARGV  5 userId  6 sid: the session  7 conn  8 beatAge: of this sign of life (ms)  9 connAge: of the connection (ms)
--      10 kind  11 state: a | i  12 name  13 maxSessions  14 mode: connect | restore  15 claims (JSON) or ''
--      16 storedText: the stored user (lib-stored.lua)
-- Returns { wake, code, version, active 1|0, number of the timeout job to add or '', its delay (ms) }
--   code: ok | stored (ask PostgreSQL first) | full (too many sessions) | replaced, logout (this connection was ended)
--         stale (restore: its last sign of life is older than a TTL)
local userId, sid, conn, beatAge, connAge = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local kind, state, name, maxSessions, mode = ARGV[10], ARGV[11], ARGV[12], tonumber(ARGV[13]), ARGV[14]
local claims, storedText = ARGV[15], ARGV[16]
local restoring = mode == 'restore'
local beat = now - beatAge - lateness

local u = load(userId)
local stored = storedUser(storedText)
if not u then
  if not stored then return { 0, 'stored', 0, 0, '', 0 } end
  u = newUser(userId)
end
if stored and (u.fresh or u.choiceUnknown) then applyStored(u, stored) end
if restoring then
  if u.fresh and beat + ttl <= now then return { 0, 'stale', 0, 0, '', 0 } end
  -- Nothing is made of somebody who was erased, or had signed out before Redis was lost.
  local refused = u.fresh and (tonumber(redis.call('ZSCORE', erasedKey, conn)) or 0) > now
  local signedOut = signedOutAt(userId)
  if refused or (signedOut and now - connAge - lateness <= signedOut) then return { 0, 'logout', 0, 0, '', 0 } end
end
local wasFresh = u.fresh
settle(u)

local cause = restoring and 'heartbeat' or 'connect'
local function answer(code, job)
  -- Also for a refusal, where it is with this that the stored user was read.
  if u.toldBeforeLoss or isVisible(u) then tell(u, next(u.sessions) and cause or 'timeout') end
  local at = save(u)
  return wake({ 0, code, u.version, isVisible(u) and 1 or 0, job or '', at and jobDelay(u, at) or 0 })
end

local previous = u.sessions[sid]
local tooOld = beat + ttl <= now
if previous and previous.beat > beat and not previous.ahead then beat = previous.beat end
if restoring and previous and previous.conn ~= conn then return answer('replaced') end
if isRefused(u, conn) then return answer('logout') end
if restoring and tooOld then return answer('stale') end

local counted = 0
for other, s in pairs(u.sessions) do
  if other ~= sid and s.standing == 'l' then counted = counted + 1 end
end
if not restoring and counted >= maxSessions then return answer('full') end

if previous and previous.conn ~= conn and previous.conn ~= NOBODY then
  refuse(u, previous.conn)
  tellClosed(u, { previous.conn }, 'replaced')
end
for other, s in pairs(u.sessions) do
  -- A posted session, and one that nobody can claim again, end quietly now that there is a real one, which takes their
  -- signs of life over.
  local unclaimed = (s.standing == 'h' or s.standing == 'g') and string.sub(other, 1, 1) ~= 'd'
  if other ~= sid and (s.standing == 'p' or unclaimed) then
    beat = math.max(beat, s.beat)
    dropSession(u, other)
  end
end

putSession(u, sid, {
  conn = conn, standing = 'l', at = now - connAge - lateness, beat = beat, kind = kind, state = state, name = name,
})
heard(u, beat)
if claims ~= '' and wasFresh then u.claims = claims end
tell(u, cause, sid)
if u.claims then tellRecord(u, false) end
return answer('ok', armJob(u))
