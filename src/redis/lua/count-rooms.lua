-- needs: room
-- How many are in some rooms of a shard, and which of its rooms are the fullest.
-- KEYS and the first of ARGV: lib-room.lua
-- ARGV  6 epoch: by which the caller knows this store, or ''  7 fullest: how many of the fullest rooms  8.. name: of a room
-- Returns { 1 where it is not known who is there, { room, count, … } the fullest, { counts, { user, … } all of whom not everybody may see
--   all, none of a room above the limit } for each room named }
local epoch, fullest = ARGV[6], tonumber(ARGV[7])
local result = { isUnsettled(epoch) and 1 or 0, {} }
if fullest > 0 then result[2] = redis.call('ZREVRANGE', countsKey, 0, fullest - 1, 'WITHSCORES') end
for n = 8, #ARGV do
  local name = ARGV[n]
  local room = roomOf(name)
  local closed = room.all <= limit and room.closed > 0 and redis.call('HKEYS', closedKey(room.name)) or {}
  result[#result + 1] = { countsOf(room), closed }
end
return result
