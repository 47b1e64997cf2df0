-- Reserves some of what a window still allows, for one web process.
-- KEYS  1 counterKey: of the window
-- ARGV  1 amount: how much is reserved  2 windowMs
-- Returns: how much has been reserved in this window, this call included; how much of the window is left, in ms
local counterKey, amount, windowMs = KEYS[1], ARGV[1], tonumber(ARGV[2])
local total = redis.call('INCRBY', counterKey, amount)
local left = redis.call('PTTL', counterKey)
-- Longer than a window: the clock was set back.
if left < 0 or left > windowMs then
  left = windowMs
  redis.call('PEXPIRE', counterKey, left)
end
return { total, left }
