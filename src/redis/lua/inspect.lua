-- needs: save
-- One user's whole record, settled, for the user's own eyes and for services.
-- ARGV  5 userId
-- Returns { wake, now (ms), field, value, … }; nothing after `now` where there is no record
local userId = ARGV[5]
local result = { 0, now }
local u = load(userId)
if u then
  settle(u)
  save(u)
  for _, part in ipairs(redis.call('HGETALL', u.key)) do result[#result + 1] = part end
end
return wake(result)
