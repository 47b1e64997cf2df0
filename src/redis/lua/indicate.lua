-- needs: streams
-- Somebody begins, goes on or stops to type or the like in a conversation. Others are told once when it begins, on
-- whichever device, and once when it has ended on all of them; the telling is an entry of the shard's outbox.
-- KEYS  1 indicatorsKey  2 outboxKey  3 doingKey: of the conversation  4 wakeDeliverKey  5 wakeRecordKey
-- ARGV  1 action: start | stop | expire | expel  2 lasts: how long unless repeated (ms); what ends later is of a clock that was
--         set back since
--       3 conversation  4 user  5 kind  6 conn   (`expel`: of any kind and connection, for a member no more)
--       7 trace: W3C's `traceparent` of what caused this, or ''
-- Returns { wake }
local indicatorsKey, outboxKey, doingKey, wakeDeliverKey, wakeRecordKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local action, lasts, conversation, user, kind = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local conn, trace = ARGV[6], ARGV[7]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local result = { 0 }

-- Fields of an entry: outbox-entry.ts.
local function append(entryKind, ...)
  if trace == '' then redis.call('XADD', outboxKey, '*', 'kind', entryKind, 'user', user, 'conversation', conversation, ...)
  else redis.call('XADD', outboxKey, '*', 'kind', entryKind, 'user', user, 'trace', trace, 'conversation', conversation, ...) end
  result[1] = result[1] + wakeBoth(wakeDeliverKey, wakeRecordKey)
end

-- What this user is doing here, by field of the hash.
local mine = {}
local flat = redis.call('HGETALL', doingKey)
for n = 1, #flat, 2 do
  local who = cjson.decode(flat[n])
  if who[1] == user then mine[flat[n]] = { kind = who[2], ends = tonumber(flat[n + 1]) } end
end

local function isShown(of, except)
  for field, doing in pairs(mine) do
    if field ~= except and doing.kind == of then return true end
  end
  return false
end

local function drop(field)
  redis.call('HDEL', doingKey, field)
  redis.call('ZREM', indicatorsKey, cjson.encode({ conversation, field }))
  local of = mine[field].kind
  mine[field] = nil
  if not isShown(of, nil) then append(of, 'active', '0') end
end

if action == 'expel' then
  for field in pairs(mine) do drop(field) end
  append('expelled')
  return result
end

local field = cjson.encode({ user, kind, conn })
if action == 'start' then
  if not isShown(kind, nil) then append(kind, 'active', '1') end
  local ends = string.format('%.0f', now + lasts)
  redis.call('HSET', doingKey, field, ends)
  redis.call('PEXPIRE', doingKey, lasts * 10)
  redis.call('ZADD', indicatorsKey, ends, cjson.encode({ conversation, field }))
elseif mine[field] and (action == 'stop' or mine[field].ends <= now or mine[field].ends > now + lasts) then
  drop(field)
elseif not mine[field] then
  redis.call('ZREM', indicatorsKey, cjson.encode({ conversation, field }))
end
return result
