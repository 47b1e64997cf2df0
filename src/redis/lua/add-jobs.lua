-- Adds jobs to a queue that wait for their time. BullMQ's own way takes one job a call, and tells of each twice in a stream of events
-- that nobody reads.
-- KEYS  1 delayedKey: of the queue, its jobs by when they are due  2 markerKey: when workers have to look again  3.. jobKey
-- ARGV  1 addedAt (ms)  2.. in fives: jobId, name, data, options, delay (data, options: JSON; delay: ms)
-- Returns {}
local delayedKey, markerKey, addedAt = KEYS[1], KEYS[2], tonumber(ARGV[1])

-- What BullMQ has in the scores of a millisecond: the rest tells those apart that are due in the same.
local PER_MS = 4096

for n = 2, #ARGV, 5 do
  local jobId, name, data, options, delay = unpack(ARGV, n, n + 4)
  local jobKey = KEYS[3 + (n - 2) / 5]
  -- One that is there, in whatever state, is the same.
  if redis.call('EXISTS', jobKey) == 0 then
    redis.call('HSET', jobKey, 'name', name, 'data', data, 'opts', options, 'timestamp', string.format('%.0f', addedAt), 'delay', delay,
      'priority', '0')
    redis.call('ZADD', delayedKey, string.format('%.0f', (addedAt + delay) * PER_MS), jobId)
  end
end
local first = redis.call('ZRANGE', delayedKey, 0, 0, 'WITHSCORES')
if first[2] then redis.call('ZADD', markerKey, string.format('%.3f', first[2] / PER_MS), '1') end
return {}
