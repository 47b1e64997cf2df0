-- needs: save
-- Connections closed, of users of a node's shards: their sessions end, at once or after a grace. A late goodbye does nothing.
-- ARGV  5.. in sixes: shard, userId, sid, conn, age, grace (shard: its place among the keys; sid: the session; age: of the
--       closing, ms; grace: ms)
-- Returns { { wake of each shard }, { code, delay until the user has to be settled (ms), 1 if nobody is left }, … }
--   code: ok | late (the session is another connection's by now, or gone)
local function close(id, sid, conn, age, grace)
  local u = load(id)
  if not u then return { 'late', 0, 0 } end
  settle(u)
  local s = u.sessions[sid]
  refuse(u, conn, s)
  if not s or s.conn ~= conn then
    save(u)
    return { 'late', 0, 0 }
  end
  local moment = now - age - lateness
  if moment > s.beat then s.beat = moment end
  heard(u, s.beat)
  if grace > 0 then
    s.conn, s.standing, s.deadline = NOBODY, 'g', moment + grace
    u.dirty[sid] = true
  else
    dropSession(u, sid, s.beat)
    u.endedCause, u.endedSession = 'disconnect', sid
  end
  -- Who is left may be idle.
  if next(u.sessions) then tell(u, 'connect') end
  local at = save(u)
  return { 'ok', at and at - now or 0, next(u.sessions) == nil and 1 or 0 }
end

local answers = {}
for n = 5, #ARGV, 6 do
  local shard, userId, sid, conn, age, grace = unpack(ARGV, n, n + 5)
  useShard(tonumber(shard))
  answers[#answers + 1] = close(userId, sid, conn, tonumber(age), tonumber(grace))
end
return wakeAll(answers, math.floor(#KEYS / 12))
