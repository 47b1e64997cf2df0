-- Appends batches to the delivery stream. The running number lets a reader see that it missed something.
-- KEYS  1 deliveryKey: the stream  2 countKey: of what was ever appended
-- ARGV  1 kept: how many batches at most  2 keptMs: for how long  3.. batch (JSON)
local deliveryKey, countKey, kept, keptMs = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])
local id
for n = 3, #ARGV do
  local batch = ARGV[n]
  local number = redis.call('INCR', countKey)
  id = redis.call('XADD', deliveryKey, 'MAXLEN', '~', kept, '*', 'number', number, 'batch', batch)
end
redis.call('XTRIM', deliveryKey, 'MINID', string.format('%.0f', tonumber(string.match(id, '^%d+')) - keptMs))
return { id }
