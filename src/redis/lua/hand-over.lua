-- A draining web gives its sessions up without ending them: the clients come back elsewhere.
-- ARGV  5 handover (ms)  6.. in threes: user, session, conn
-- Returns { wake, user, delay until it has to be settled (ms), … }
local handover = tonumber(ARGV[5])
local result = { 0 }
for n = 6, #ARGV, 3 do
  local u = load(ARGV[n])
  local sid, conn = ARGV[n + 1], ARGV[n + 2]
  if u then
    settle(u)
    local s = u.sessions[sid]
    if s and s.conn == conn then
      bury(u, conn)
      s.conn, s.standing, s.beat, s.deadline = NOBODY, 'h', now, now + handover
      u.dirty[sid] = true
      seen(u, now)
    end
    local at = save(u)
    if at then
      result[#result + 1] = u.id
      result[#result + 1] = at - now
    end
  end
end
return wake(result)
