-- Users of a shard by last seen, the newest first; of those seen in the same millisecond the greater id first.
-- KEYS  1 seenKey
-- ARGV  1 oldest: last seen that counts (ms)  2 count  3 afterSeen: last seen of the user after whom to begin, or ''  4 afterId: their id
-- Returns { user, last seen, … }
local seenKey, oldest, count, afterSeen, afterId = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
if afterSeen == '' then
  return redis.call('ZRANGE', seenKey, '+inf', oldest, 'BYSCORE', 'REV', 'LIMIT', 0, count, 'WITHSCORES')
end

-- Byte by byte, as the set is sorted: Lua's own comparison follows the server's locale.
local function isBelow(a, b)
  for n = 1, math.min(#a, #b) do
    local x, y = string.byte(a, n), string.byte(b, n)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- The place after that user, who may be gone from it. Any number may have been seen in the same millisecond, so it is
-- searched by halves.
local low = redis.call('ZCOUNT', seenKey, '(' .. afterSeen, '+inf')
local high = low + redis.call('ZCOUNT', seenKey, afterSeen, afterSeen)
while low < high do
  local middle = math.floor((low + high) / 2)
  if isBelow(redis.call('ZRANGE', seenKey, middle, middle, 'REV')[1], afterId) then high = middle else low = middle + 1 end
end

local result = {}
local found = redis.call('ZRANGE', seenKey, low, low + count - 1, 'REV', 'WITHSCORES')
for n = 1, #found, 2 do
  if tonumber(found[n + 1]) < tonumber(oldest) then break end
  result[n], result[n + 1] = found[n], found[n + 1]
end
return result
