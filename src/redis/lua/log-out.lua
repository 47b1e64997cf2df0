-- Signs out one session, or all of a user's. With the last one the user is inactive at once and no longer
-- appears inactive by choice.
-- ARGV  5 user  6 session, '' for all  7 conn: only where this connection holds the session; '' for any
-- Returns { wake, code, delay until the user has to be settled (ms, 0: not needed) }
--   code: ok | missing (no such session)
local u = load(ARGV[5])
if not u then
  if ARGV[6] ~= '' and ARGV[7] == '' then return { 0, 'missing', 0 } end
  -- Nothing to end here, but PostgreSQL may hold a choice that ends with a logout.
  tellRecord(newUser(ARGV[5]), true)
  return wake({ 0, 'ok', 0 })
end
settle(u)
local only = ARGV[6]
-- A connection whose session ended by silence signs the user out all the same, where nobody else is there.
local alone = ARGV[7] ~= '' and next(u.sessions) == nil
if only ~= '' and not alone and (not u.sessions[only] or (ARGV[7] ~= '' and u.sessions[only].conn ~= ARGV[7])) then
  save(u)
  return wake({ 0, 'missing', 0 })
end
if ARGV[7] ~= '' then bury(u, ARGV[7]) end
local conns, ended = {}, only
for sid, s in pairs(u.sessions) do
  if only == '' or sid == only then
    seen(u, s.standing == 'l' and now or s.beat)
    if s.conn ~= NOBODY then conns[#conns + 1] = s.conn end
    bury(u, s.conn)
    dropSession(u, sid)
    ended = sid
  end
end
tellClosed(u, conns, 'logout')
if next(u.sessions) == nil then
  -- A choice that is not known ends in PostgreSQL; until that can be asked, nothing is told.
  u.hiddenUntil, u.hiddenSince = nil, nil
  edge(u, 'logout', ended)
  u.cause, u.causeSession, u.since = 'logout', ended, now
  tellRecord(u, true)
  save(u)
  return wake({ 0, 'ok', 0 })
end
local at = save(u)
return wake({ 0, 'ok', at and math.max(at - now, 0) or 0 })
