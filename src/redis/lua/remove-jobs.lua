-- Removes jobs of one queue that wait for their time, which have neither logs nor children. BullMQ's own removal takes one job a call.
-- KEYS  1 delayedKey: of the queue, its jobs by when they are due  2.. jobKey
-- ARGV  1.. jobId
-- Returns the ids of those that do not wait: BullMQ knows where they are
local delayedKey = KEYS[1]
local left = {}
for n = 1, #ARGV do
  local jobKey, jobId = KEYS[n + 1], ARGV[n]
  if redis.call('ZREM', delayedKey, jobId) == 1 then redis.call('DEL', jobKey) else left[#left + 1] = jobId end
end
return left
