-- needs: streams
-- How much each group has still to do in a shard, for whoever watches over it.
-- KEYS  1 outboxKey
-- Returns { entries of deliver, age of the oldest (ms), entries of record, age of the oldest }
local outboxKey = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local result = { 0, 0, 0, 0 }
for _, group in ipairs(groupsOf(outboxKey)) do
  local place = group.name == 'deliver' and 1 or 3
  local oldest = oldestOf(outboxKey, group)
  local unread = redis.call('XRANGE', outboxKey, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
  -- Where the cap has dropped what a group had not read, Redis cannot tell, or counts that on: it is at most all there are.
  local all = unread and redis.call('XLEN', outboxKey) or 0
  local lag = math.min(group.lag or all, all)
  oldest = oldest or (unread and unread[1])
  result[place] = group.pending + lag
  if oldest then result[place + 1] = math.max(0, now - tonumber(string.match(oldest, '^%d+'))) end
end
return result
