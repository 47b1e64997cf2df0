-- needs: privacy
-- What stands between a user and those who may be about to be told of them.
-- KEYS  any of the shard's; in a cluster its `never` behind it
-- ARGV  5 userId  6.. viewer
-- Returns { visibility, lastSeenVisibility, relation, … } the two as e, f or n, the second as a capital where it is told coarsely; per viewer 1 (friend) + 2 (blocked);
--   nothing where it is not known here
local userId = ARGV[5]
local version, mark = unpack(redis.call('HMGET', recordKey(userId), 'v', 'r'))
local viewers = {}
for n = 6, #ARGV do
  local viewer = ARGV[n]
  viewers[n - 5] = viewer
end
local visibility, lastSeen, bits = relationsOf(userId, not version and NO_RECORD or mark or UNMARKED, viewers)
if not visibility then return {} end
local result = { visibility, lastSeen }
for n = 1, #viewers do result[n + 2] = bits[n] end
return result
