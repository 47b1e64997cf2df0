-- Appends batches to the delivery stream. The running number lets a reader see that it missed something.
-- KEYS  1 delivery stream  2 its counter
-- ARGV  1 batches kept  2 how long they are kept (ms)  3.. batches (JSON)
local id
for n = 3, #ARGV do
  local number = redis.call('INCR', KEYS[2])
  id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'n', number, 'b', ARGV[n])
end
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', tonumber(string.match(id, '^%d+')) - tonumber(ARGV[2])))
return { id }
