-- What stands between a user and those who may be about to be told of them.
-- ARGV  5 user  6.. viewers
-- Returns { 0, visibility, lastSeenVisibility, relation, … } the two as e, f or n; per viewer 1 (friend) + 2 (blocked)
local id = ARGV[5]
local _, visibility, lastSeen = readPrivacy(redis.call('GET', privacyKey(id)))
local result = { 0, visibility, lastSeen }
for from = 6, #ARGV, 1000 do
  local to = math.min(from + 999, #ARGV)
  local friends = redis.call('SMISMEMBER', friendsKey(id), unpack(ARGV, from, to))
  local blocked = redis.call('SMISMEMBER', blocksKey(id), unpack(ARGV, from, to))
  for n = 1, to - from + 1 do result[#result + 1] = friends[n] + 2 * blocked[n] end
end
return result
