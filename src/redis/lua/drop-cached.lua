-- needs: record
-- After a logout is in PostgreSQL, the last cached traces go; unless the user has come back meanwhile.
-- ARGV  5.. in pairs: user, the version that was recorded
-- Returns { 0 }
for n = 5, #ARGV, 2 do
  local u = load(ARGV[n])
  local someone = u and (u.announced or next(u.sessions) ~= nil or u.version > tonumber(ARGV[n + 1]))
  if not someone then
    redis.call('DEL', lastSeenKey(ARGV[n]), statusKey(ARGV[n]))
    -- What still looks at the record must not write it back.
    if u then redis.call('HSET', u.key, 'f', '1') end
  end
end
return { 0 }
