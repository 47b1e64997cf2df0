-- Reserves some of what a window still allows, for one web process.
-- KEYS 1 the counter of the window
-- ARGV 1 how much is reserved; 2 the window's length in ms
-- Returns: how much has been reserved in this window, this call included; how much of the window is left, in ms
local total = redis.call('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
-- Longer than a window: the clock was set back.
if left < 0 or left > tonumber(ARGV[2]) then
  left = tonumber(ARGV[2])
  redis.call('PEXPIRE', KEYS[1], left)
end
return { total, left }
