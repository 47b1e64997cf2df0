-- needs: save
-- Signs out one session, or all of a user's. With the last one the user is inactive at once and no longer
-- appears inactive by choice.
-- A logout that was answered and that Redis may have lost since is said again: it ends what it ended then, and nothing else.
-- ARGV  5 user  6 session, '' for all  7 conn: only where this connection holds the session; '' for any
--       8 '' or, said again, its age (ms)  9 connections that it ended then, with blanks between
-- Returns { wake, code, delay until the user has to be settled (ms, 0: not needed), ended connections }
--   code: ok | missing (no such session)
local only = ARGV[6]
local again = ARGV[8] ~= ''
local moment = again and now - tonumber(ARGV[8]) - lateness or now
if only == '' then
  -- Redis may not know all who are here, and hear of them later.
  redis.call('SET', signedOutKey(ARGV[5]), whole(math.max(moment, signedOutAt(ARGV[5]) or 0)), 'PX', whole(2 * ttl + 60000))
end
local u = load(ARGV[5])
if again then
  local refused, ended = {}, {}
  for conn in string.gmatch(ARGV[9], '%S+') do
    refused[conn] = true
    ended[#ended + 1] = conn
  end
  refuseFromNow(ended)
  if not u then return { 0, 'missing', 0, '' } end
  settle(u)
  local conns = {}
  for sid, s in pairs(u.sessions) do
    if refused[s.conn] or (only == '' and s.conn ~= NOBODY and s.at <= moment) then
      conns[#conns + 1] = s.conn
      bury(u, s.conn)
      dropSession(u, sid)
      u.endedCause, u.endedSession = 'logout', sid
    end
  end
  tellClosed(u, conns, 'logout')
  if #conns > 0 and next(u.sessions) == nil then edge(u, 'logout', u.endedSession) end
  local at = save(u)
  return wake({ 0, 'ok', at and math.max(at - now, 0) or 0, table.concat(conns, ' ') })
end
if not u then
  if only ~= '' and ARGV[7] == '' then return { 0, 'missing', 0, '' } end
  -- Nothing to end here, but PostgreSQL may hold a choice that ends with a logout.
  tellRecord(newUser(ARGV[5]), true)
  return wake({ 0, 'ok', 0, '' })
end
settle(u)
-- A connection whose session ended by silence signs the user out all the same, where nobody else is there.
local alone = ARGV[7] ~= '' and next(u.sessions) == nil
if only ~= '' and not alone and (not u.sessions[only] or (ARGV[7] ~= '' and u.sessions[only].conn ~= ARGV[7])) then
  save(u)
  return wake({ 0, 'missing', 0, '' })
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
if next(u.sessions) == nil and only ~= '' and u.announced and not u.hiddenUntil and not u.choiceUnknown and held() then
  -- Others of theirs may be here of whom Redis has not heard again yet: this is told once it has.
  u.endedCause, u.endedSession = 'logout', ended
  save(u)
  return wake({ 0, 'ok', 1000, table.concat(conns, ' ') })
end
if next(u.sessions) == nil then
  -- A choice that is not known ends in PostgreSQL; until that can be asked, nothing is told.
  u.hiddenUntil, u.hiddenSince = nil, nil
  edge(u, 'logout', ended)
  u.cause, u.causeSession, u.since = 'logout', ended, now
  tellRecord(u, true)
  save(u)
  return wake({ 0, 'ok', 0, table.concat(conns, ' ') })
end
local at = save(u)
return wake({ 0, 'ok', at and math.max(at - now, 0) or 0, table.concat(conns, ' ') })
