-- Appends one batch to the delivery stream. The running number lets a reader see that it missed something.
-- KEYS  1 delivery stream  2 its counter
-- ARGV  1 batch (JSON)  2 batches kept
local n = redis.call('INCR', KEYS[2])
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'n', n, 'b', ARGV[1])
