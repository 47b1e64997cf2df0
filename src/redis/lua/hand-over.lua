-- needs: save
-- A draining web gives its sessions up without ending them: the clients come back elsewhere. One that nobody can claim again
-- ends at once, quietly, where its user has another live session.
-- ARGV  5 handover (ms)  6.. in threes: userId, sid, conn (sid: the session)
-- Returns { wake, user, delay until it has to be settled (ms), … }
local handover = tonumber(ARGV[5])
local result = { 0 }

local function isFresher(sessions, sid, than)
  local a, b = sessions[sid], sessions[than]
  return a.beat > b.beat or (a.beat == b.beat and sid < than)
end

local function freshestLive(u)
  local found
  for sid, s in pairs(u.sessions) do
    if s.standing == 'l' and (not found or isFresher(u.sessions, sid, found)) then found = sid end
  end
  return found
end

local function giveUp(u, sid)
  local s = u.sessions[sid]
  refuse(u, s.conn, s)
  s.conn, s.standing, s.beat, s.deadline = NOBODY, 'h', now, now + handover
  u.dirty[sid] = true
  heard(u, now)
  local heir = string.sub(sid, 1, 1) ~= 'd' and not isInRoom(u, sid) and freshestLive(u)
  if not heir then return end
  -- For as long as the client is waited for, the user is no more idle than before.
  dropSession(u, sid, now + handover)
  -- The client is waited for as before, should the other one fall silent; should that one leave, nobody is.
  local kept = u.sessions[heir]
  kept.beat = math.max(kept.beat, math.min(now, now + handover - (kept.ttl or ttl)))
  u.dirty[heir] = true
end

local userIds, given = {}, {}
for n = 6, #ARGV, 3 do
  local userId, sid, conn = ARGV[n], ARGV[n + 1], ARGV[n + 2]
  if not given[userId] then given[userId] = {}; userIds[#userIds + 1] = userId end
  given[userId][conn] = sid
end
for _, id in ipairs(userIds) do
  local u = load(id)
  if u then
    settle(u)
    local leaving = {}
    for conn, sid in pairs(given[id]) do
      if u.sessions[sid] and u.sessions[sid].conn == conn then leaving[#leaving + 1] = sid end
    end
    -- The freshest last: where all of them go, it is the one that stays.
    table.sort(leaving, function(a, b) return isFresher(u.sessions, b, a) end)
    for _, sid in ipairs(leaving) do giveUp(u, sid) end
    if next(u.sessions) then tell(u, 'connect') end
    local at = save(u)
    if at then
      result[#result + 1] = u.id
      result[#result + 1] = at - now
    end
  end
end
return wake(result)
