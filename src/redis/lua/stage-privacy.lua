-- A part of the lists that decide who may see a user, for `set-privacy` to put in place: many steps, so that a long list holds
-- up nobody. What nobody puts in place goes by itself.
-- KEYS  1 stagedKey
-- ARGV  1 keptMs  2.. field (of the hash `user:privacy:<id>`)
-- Returns how many there are by now
local stagedKey, keptMs = KEYS[1], ARGV[1]
for n = 2, #ARGV do
  local field = ARGV[n]
  redis.call('HSET', stagedKey, field, '1')
end
redis.call('PEXPIRE', stagedKey, keptMs)
return redis.call('HLEN', stagedKey)
