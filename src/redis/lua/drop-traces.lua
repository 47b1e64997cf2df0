-- needs: record
-- PostgreSQL has erased somebody: what was made of them meanwhile by whatever was on its way goes too, unless they came back.
-- KEYS  2 outbox; who is gone stands beside it for those who record what is in it, until they have come past this moment,
--       whoever they are by then
-- ARGV  5 user  6 1: what is in the outbox by now is not to be recorded
-- Returns { 0, this moment (ms) where nobody is here by that id, else 0 }

-- Where nobody records anything for so long, the outbox has more to lose than this.
local GONE_KEPT_MS = 86400000
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
if ARGV[6] == '1' then
  local gone = outbox .. ':gone'
  redis.call('HSET', gone, id, whole(now))
  redis.call('PEXPIRE', gone, GONE_KEPT_MS)
end
return { 0, whole(now) }
