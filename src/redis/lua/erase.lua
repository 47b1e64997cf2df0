-- needs: rooms
-- Forgets a user. Watchers are told that they are gone and were never seen, sockets are closed, and the same entry makes a
-- worker erase them from PostgreSQL, behind whatever was recorded of them before.
-- ARGV  5 userId
-- Returns { wake, id of the entry in the outbox }
local userId = ARGV[5]
local u = load(userId) or newUser(userId)
local conns = {}
for _, s in pairs(u.sessions) do
  if s.conn ~= NOBODY then conns[#conns + 1] = s.conn end
end
tellClosed(u, conns, 'logout')
for conn in pairs(u.refused) do conns[#conns + 1] = conn end
refuseWithoutRecord(conns)

u.sessions = {}
saveRooms(u)

-- Who could see them is told; what is still on its way from before is for nobody any more.
local visibility, lastSeen = closeToAll(userId, u.fresh and NO_RECORD or u.mark)
local before = { v = visibility, l = lastSeen, fa = {}, fr = {}, ba = {}, br = {} }
local more = withMore(withMore(nil, 'before', cjson.encode(before)), 'detail', '{}')
appendChange('restricted', newUser(userId), math.max(now, u.version + 1), 'erased', '', more)

redis.call('DEL', u.key, statusKey(userId), lastSeenKey(userId), signedOutKey(userId), roomsKey(userId))
for _, key in ipairs({ dueKey, seenKey, apartDueKey, apartActiveKey }) do redis.call('ZREM', key, userId) end
redis.call('SREM', unrecordedKey, userId)
forgetLooks(userId)
redis.call('SREM', choiceUnknownKey, userId)
return wake({ 0, lastAppended })
