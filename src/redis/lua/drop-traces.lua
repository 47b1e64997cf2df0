-- needs: record
-- PostgreSQL has erased somebody: what was made of them meanwhile by whatever was on its way goes too, unless they came back.
-- Who is gone stands beside the outbox for those who record what is in it, until they have come past this moment, whoever they
-- are by then.
-- ARGV  5 userId  6 isRecording: 1 where what is in the outbox by now is not to be recorded
-- Returns { 0, this moment (ms) where nobody is here by that userId, else 0 }
local userId, isRecording = ARGV[5], ARGV[6]
-- Where nobody records anything for so long, the outbox has more to lose than this.
local GONE_KEPT_MS = 86400000
local u = load(userId)
if u and (u.announced or next(u.sessions) ~= nil) then return { 0, 0 } end
redis.call('DEL', recordKey(userId), statusKey(userId), lastSeenKey(userId), roomsKey(userId))
for _, key in ipairs({ dueKey, seenKey, apartDueKey, apartActiveKey }) do redis.call('ZREM', key, userId) end
redis.call('SREM', unrecordedKey, userId)
forgetLooks(userId)
redis.call('SREM', choiceUnknownKey, userId)
redis.call('SREM', restrictedKey, userId)
-- A change that was made in the meantime, and erased with the rest.
local revision, closedUntil = unpack(privacyFields(userId, 'r', 'x'), 1, 2)
if revision and not closedUntil then
  redis.call('UNLINK', privacyKey(userId))
  closeToAll(userId, NO_RECORD)
end
if isRecording == '1' then
  local gone = outboxKey .. ':gone'
  redis.call('HSET', gone, userId, whole(now))
  redis.call('PEXPIRE', gone, GONE_KEPT_MS)
end
return { 0, whole(now) }
