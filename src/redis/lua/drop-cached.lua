-- needs: record
-- After a logout is in PostgreSQL, the last cached traces go; unless the user has come back meanwhile.
-- ARGV  5.. in twos: userId, recorded (the version that was)
-- Returns { 0 }
for n = 5, #ARGV, 2 do
  local userId, recorded = ARGV[n], tonumber(ARGV[n + 1])
  local u = load(userId)
  local someone = u and (u.announced or next(u.sessions) ~= nil or u.version > recorded)
  if not someone then
    redis.call('DEL', lastSeenKey(userId), statusKey(userId))
    -- What still looks at the record must not write it back.
    if u then redis.call('HSET', u.key, 'f', '1') end
  end
end
return { 0 }
