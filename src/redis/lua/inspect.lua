-- needs: save
-- Users' whole records, settled, for their own eyes and for services.
-- ARGV  5.. userId
-- Returns { wake, now (ms), { field, value, … }, … } for each user; nothing in it where there is no record
local result = { 0, now }
for n = 5, #ARGV do
  local userId = ARGV[n]
  local u = load(userId)
  if u then
    settle(u)
    save(u)
  end
  result[#result + 1] = u and redis.call('HGETALL', u.key) or {}
end
return wake(result)
