-- How many users of a shard are active, and were seen since some moments.
-- KEYS  1 seen  2 due  3 apartDue  4 apartActive
-- ARGV  1 now (ms)  2.. moments (ms)
-- Returns { active, seen since the first moment, … }
local later = '(' .. ARGV[1]
local function ahead(key) return redis.call('ZCOUNT', key, later, '+inf') end
local result = { ahead(KEYS[2]) - ahead(KEYS[3]) + ahead(KEYS[4]) }
for n = 2, #ARGV do result[n] = redis.call('ZCOUNT', KEYS[1], ARGV[n], '+inf') end
return result
