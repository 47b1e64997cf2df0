-- needs: save
-- A connection closed: its session ends, at once or after a grace. A late goodbye does nothing.
-- ARGV  5 userId  6 sid: the session  7 conn  8 age: of the closing (ms)  9 grace (ms)
-- Returns { wake, code, delay until the user has to be settled (ms), 1 if nobody is left }
--   code: ok | late (the session is another connection's by now, or gone)
local userId, sid, conn, age, grace = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local u = load(userId)
if not u then return { 0, 'late', 0, 0 } end
settle(u)
local s = u.sessions[sid]
refuse(u, conn)
if not s or s.conn ~= conn then
  save(u)
  return wake({ 0, 'late', 0, 0 })
end
local moment = now - age - lateness
if moment > s.beat then s.beat = moment end
heard(u, s.beat)
if grace > 0 then
  s.conn, s.standing, s.deadline = NOBODY, 'g', moment + grace
  u.dirty[sid] = true
else
  dropSession(u, sid)
  u.endedCause, u.endedSession = 'disconnect', sid
end
local at = save(u)
return wake({ 0, 'ok', at and at - now or 0, next(u.sessions) == nil and 1 or 0 })
