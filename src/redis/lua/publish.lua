-- Appends one batch to the delivery stream. The running number lets a reader see that it missed something.
-- KEYS  1 delivery stream  2 its counter
-- ARGV  1 batch (JSON)  2 batches kept  3 how long they are kept (ms)
local n = redis.call('INCR', KEYS[2])
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'n', n, 'b', ARGV[1])
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', tonumber(string.match(id, '^%d+')) - tonumber(ARGV[3])))
return id
