-- needs: save
-- Signs out one session, or all of a user's. With the last one the user is inactive at once and no longer
-- appears inactive by choice.
-- A logout that was answered and that Redis may have lost since is said again: it ends what it ended then, and nothing else.
-- ARGV  5 userId  6 only: the session, '' for all  7 holder: only where this connection holds the session; '' for any
--       8 age: '' or, said again, how long ago (ms)  9 endedThen: connections that it ended then, with blanks between
-- Returns { wake, code, delay until the user has to be settled (ms, 0: not needed), ended connections }
--   code: ok | missing (no such session)
local userId, only, holder, age, endedThen = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local again = age ~= ''
local moment = again and now - tonumber(age) - lateness or now
if only == '' then
  -- Redis may not know all who are here, and hear of them later.
  redis.call('SET', signedOutKey(userId), whole(math.max(moment, signedOutAt(userId) or 0)), 'PX', whole(2 * longestTtl + 60000))
end
local u = load(userId)
if again then
  local refused, ended = {}, {}
  for conn in string.gmatch(endedThen, '%S+') do
    refused[conn] = true
    ended[#ended + 1] = conn
  end
  refuseWithoutRecord(ended)
  if not u then return { 0, 'missing', 0, '' } end
  settle(u)
  local conns, leases = {}, 0
  for sid, s in pairs(u.sessions) do
    local isLease = s.standing == 'e' and (only == '' or sid == only)
    if refused[s.conn] or (((only == '' and s.conn ~= NOBODY) or isLease) and s.at <= moment) then
      if s.conn ~= NOBODY then conns[#conns + 1] = s.conn else leases = leases + 1 end
      refuse(u, s.conn, s)
      dropSession(u, sid)
      u.endedCause, u.endedSession = 'logout', sid
    end
  end
  tellClosed(u, conns, 'logout')
  if #conns + leases > 0 then tell(u, 'logout', u.endedSession) end
  local at = save(u)
  return wake({ 0, 'ok', at and math.max(at - now, 0) or 0, table.concat(conns, ' ') })
end
if not u then
  if only ~= '' and holder == '' then return { 0, 'missing', 0, '' } end
  -- Nothing to end here, but PostgreSQL may hold a choice that ends with a logout.
  tellRecord(newUser(userId), true)
  return wake({ 0, 'ok', 0, '' })
end
settle(u)
-- A connection whose session ended by silence signs the user out all the same, where nobody else is there.
local alone = holder ~= '' and next(u.sessions) == nil
if only ~= '' and not alone and (not u.sessions[only] or (holder ~= '' and u.sessions[only].conn ~= holder)) then
  save(u)
  return wake({ 0, 'missing', 0, '' })
end
if holder ~= '' then refuse(u, holder, u.sessions[only]) end
local conns, ended = {}, only
for sid, s in pairs(u.sessions) do
  if only == '' or sid == only then
    heard(u, s.standing == 'l' and now or s.beat)
    if s.conn ~= NOBODY then conns[#conns + 1] = s.conn end
    refuse(u, s.conn, s)
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
  tell(u, 'logout', ended)
  u.cause, u.causeSession, u.since = 'logout', ended, now
  tellRecord(u, true)
  save(u)
  return wake({ 0, 'ok', 0, table.concat(conns, ' ') })
end
-- Who is left may be idle.
tell(u, 'connect')
local at = save(u)
return wake({ 0, 'ok', at and math.max(at - now, 0) or 0, table.concat(conns, ' ') })
