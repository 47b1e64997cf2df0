-- PostgreSQL has erased somebody: what was made of them meanwhile by whatever was on its way goes too, unless they came back.
-- ARGV  5 user
-- Returns { 0, this moment (ms) where nobody is here by that id, else 0 }
local id = ARGV[5]
local u = load(id)
if u and (u.announced or next(u.sessions) ~= nil) then return { 0, 0 } end
redis.call('DEL', recordKey(id), statusKey(id), lastSeenKey(id))
for _, key in ipairs({ due, KEYS[9], KEYS[10], KEYS[11] }) do redis.call('ZREM', key, id) end
redis.call('SREM', KEYS[5], id)
redis.call('SREM', KEYS[6], id)
redis.call('SREM', restrictedKey, id)
-- A change that was made in the meantime, and erased with the rest.
local revision, closedUntil = unpack(privacyFields(id, 'r', 'x'), 1, 2)
if revision and not closedUntil then
  redis.call('UNLINK', privacyKey(id))
  closeToAll(id, NO_RECORD)
end
return { 0, whole(now) }
