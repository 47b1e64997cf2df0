-- needs: rooms
-- What decides over how people are reached. Reads only, and settles nobody.
-- ARGV  5 withinMs: how long ago a session was heard of at most that is attended  6 roomId: of the room that it has to be in, or ''
--       7.. userId
-- Returns { 0, state, dnd 1|0, attended 1|0, last seen (ms) or '', … } four per user
--   state: 1, -1 where there is no record, -2 where the user's choices are unknown, and with them whether they want to be left alone
local withinMs, roomId = tonumber(ARGV[5]), ARGV[6]
-- What people sit at. Agents, bots and devices work by themselves, and a lease is held by a program.
local ATTENDED_KINDS = { web = true, mobile = true, desktop = true, other = true }

-- Which sessions are in the room (lib-rooms.lua), or nil where any counts.
local function sessionsThere(u)
  if roomId == '' then return nil end
  local there, room = {}, roomsOf(u)[roomId]
  for _, own in ipairs(room and room.sessions or {}) do there[own.sid] = true end
  return there
end

local function isAttended(u)
  local there = sessionsThere(u)
  for sid, s in pairs(u.sessions) do
    local isLease = string.sub(sid, 1, 1) == 'l'
    local isHere = deadlineOf(s) > now or held() or mayBeat(s)
    if isHere and (not there or there[sid]) and s.state == 'a' and ATTENDED_KINDS[s.kind] and not isLease and now - s.beat <= withinMs then return 1 end
  end
  return 0
end

-- Any source in force counts, not the one that is shown alone.
local function isLeftAlone(u)
  if not string.find(u.sourcesText or u.detail or '', 'dnd', 1, true) then return 0 end
  for _, said in ipairs(sourcesOf(u)) do
    local inForce = said[2] < 0 or said[2] > now
    if inForce and cjson.decode(said[3]).availability == 'dnd' then return 1 end
  end
  return 0
end

local result = { 0 }
for n = 7, #ARGV do
  local userId = ARGV[n]
  local at = #result
  local u = load(userId)
  local lastSeen = u and u.lastSeen
  if u then
    result[at + 1] = u.choiceUnknown and -2 or 1
    result[at + 2], result[at + 3] = isLeftAlone(u), isAttended(u)
  else
    lastSeen = fromIso(redis.call('GET', lastSeenKey(userId)) or '')
    result[at + 1], result[at + 2], result[at + 3] = -1, 0, 0
  end
  result[at + 4] = lastSeen and whole(lastSeen) or ''
end
return result
