-- needs: stored
-- The user chooses: appear inactive, or be active again.
-- ARGV  5 userId  6 status: active | inactive  7 delay: ms until the choice ends, -1: never  8 claims (JSON) or ''
--       9 cleared: 1 where PostgreSQL has already dropped the earlier choice  10 storedText: the stored user (lib-stored.lua)
-- Returns { wake, code, active 1|0, lastSeen (ms) or '', version, timeout job to add or '', its delay, delay of the choice's end or -1 }
--   code: ok | stored (ask PostgreSQL first) | clear (drop the earlier choice in PostgreSQL first)
local userId, status, delay, claims, cleared = ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8], ARGV[9]
local storedText = ARGV[10]
local u = load(userId)
local stored = storedUser(storedText)
-- An earlier choice that is not known yet decides what others know of the user from now on.
if (not u or u.choiceUnknown) and not stored then return { 0, 'stored', 0, '', 0, '', 0, -1 } end
if not u then u = newUser(userId) end
if stored and (u.fresh or u.choiceUnknown) then applyStored(u, stored) end
settle(u)
if u.fresh and claims ~= '' then u.claims = claims end

local ends = -1
if status == 'inactive' then
  beginHiding(u, delay < 0 and -1 or now + delay)
  ends = delay
  tell(u, 'manual')
else
  local wasHidden = u.hiddenUntil or u.choiceUnknown
  if wasHidden and cleared ~= '1' then
    tell(u, 'manual')
    save(u)
    return wake({ 0, 'clear', 0, '', 0, '', 0, -1 })
  end
  endHiding(u)
  u.choiceUnknown = nil
  -- Counts as a heartbeat of the freshest session that somebody holds; where there is none, one is made.
  local freshest
  for sid, s in pairs(u.sessions) do
    local holds = s.standing == 'l' or s.standing == 'p'
    local best = u.sessions[freshest]
    if holds and (not best or s.beat > best.beat or (s.beat == best.beat and sid < freshest)) then freshest = sid end
  end
  if freshest then
    u.sessions[freshest].beat = now
    u.dirty[freshest] = true
  else
    freshest = 'posted'
    putSession(u, freshest, { conn = NOBODY, standing = 'p', at = now, beat = now, kind = 'other', state = 'a', name = '' })
  end
  for _, s in pairs(u.sessions) do heard(u, s.beat) end
  tell(u, wasHidden and 'manual' or 'heartbeat', freshest)
end
if u.claims then tellRecord(u, false) end
local job = next(u.sessions) and armJob(u) or ''
local at = save(u)
return wake({ 0, 'ok', isVisible(u) and 1 or 0, u.lastSeen and whole(u.lastSeen) or '', whole(u.version), job, at and jobDelay(u, at) or 0, ends })
