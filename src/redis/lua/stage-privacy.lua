-- A part of the lists that decide who may see a user, for `set-privacy` to put in place: many steps, so that a long list holds
-- up nobody. What nobody puts in place goes by itself.
-- KEYS  1 where it is gathered
-- ARGV  1 how long it is kept (ms)  2.. fields of the hash `user:privacy:<id>`
-- Returns how many there are by now
for n = 2, #ARGV do redis.call('HSET', KEYS[1], ARGV[n], '1') end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('HLEN', KEYS[1])
