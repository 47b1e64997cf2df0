-- needs: settle
-- Forgets a user. Watchers are told that they are gone and were never seen, sockets are closed, and the same entry makes a
-- worker erase them from PostgreSQL, behind whatever was recorded of them before.
-- KEYS  12 erased: connection → until when it is refused, without a word about whose it was
-- ARGV  5 user
-- Returns { wake, id of the entry in the outbox }
local id = ARGV[5]
local u = load(id) or newUser(id)
local conns = {}
for _, s in pairs(u.sessions) do
  if s.conn ~= NOBODY then conns[#conns + 1] = s.conn end
end
tellClosed(u, conns, 'logout')
for conn in pairs(u.tombs) do conns[#conns + 1] = conn end
refuseFromNow(conns)

-- Who could see them is told; what is still on its way from before is for nobody any more.
local visibility, lastSeen = closeToAll(id, u.fresh and NO_RECORD or u.mark)
local before = { v = visibility, l = lastSeen, fa = {}, fr = {}, ba = {}, br = {} }
append(u, 's', '0', 'l', '', 'v', whole(math.max(now, u.version + 1)), 'a', whole(now), 'c', 'erased', 'z', '1',
  'b', cjson.encode(before), 'd', '{}')

redis.call('DEL', u.key, statusKey(id), lastSeenKey(id), signedOutKey(id))
for _, key in ipairs({ due, KEYS[9], KEYS[10], KEYS[11] }) do redis.call('ZREM', key, id) end
redis.call('SREM', KEYS[5], id)
redis.call('SREM', KEYS[6], id)
return wake({ 0, lastAppended })
