-- needs: streams
-- How much each group has still to do in a shard, for whoever watches over it.
-- KEYS  1 outbox
-- Returns { entries of deliver, age of the oldest (ms), entries of record, age of the oldest }
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local outbox = KEYS[1]
local result = { 0, 0, 0, 0 }
for _, group in ipairs(groupsOf(outbox)) do
  local place = group.name == 'deliver' and 1 or 3
  local oldest = oldestOf(outbox, group)
  local unread = redis.call('XRANGE', outbox, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
  -- Redis cannot tell after an entry was taken out of the middle: then it is at most all there are.
  local lag = unread and (group.lag or redis.call('XLEN', outbox)) or 0
  oldest = oldest or (unread and unread[1])
  result[place] = group.pending + lag
  if oldest then result[place + 1] = math.max(0, now - tonumber(string.match(oldest, '^%d+'))) end
end
return result
