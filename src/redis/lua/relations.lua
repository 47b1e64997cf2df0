-- needs: privacy
-- What stands between a user and those who may be about to be told of them.
-- KEYS  1 any of the shard's; in a cluster its `never` behind it
-- ARGV  5 user  6.. viewers
-- Returns { visibility, lastSeenVisibility, relation, … } the two as e, f or n; per viewer 1 (friend) + 2 (blocked);
--   nothing where it is not known here
local id = ARGV[5]
local version, mark = unpack(redis.call('HMGET', recordKey(id), 'v', 'r'))
local viewers = {}
for n = 6, #ARGV do viewers[n - 5] = ARGV[n] end
local visibility, lastSeen, bits = relationsOf(id, not version and NO_RECORD or mark or UNMARKED, viewers)
if not visibility then return {} end
local result = { visibility, lastSeen }
for n = 1, #viewers do result[n + 2] = bits[n] end
return result
