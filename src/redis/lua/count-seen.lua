-- How many users of a shard are active, and were seen since some moments.
-- KEYS  1 seenKey  2 dueKey  3 apartDueKey  4 apartActiveKey
-- ARGV  1 now (ms)  2.. moment (ms)
-- Returns { active, seen since the first moment, … }
local seenKey, dueKey, apartDueKey, apartActiveKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now = ARGV[1]
local later = '(' .. now
local function ahead(key) return redis.call('ZCOUNT', key, later, '+inf') end
local result = { ahead(dueKey) - ahead(apartDueKey) + ahead(apartActiveKey) }
for n = 2, #ARGV do
  local moment = ARGV[n]
  result[n] = redis.call('ZCOUNT', seenKey, moment, '+inf')
end
return result
