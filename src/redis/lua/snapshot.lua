-- What others may know of some users, with their versions. Settles first, so that no state is shown whose event
-- is not on its way.
-- ARGV  5 viewer, '' for one who sees everything  6.. users
-- Returns { wake, last id in the outbox, status, lastSeen, version, detail, sight, … } five per user: status 1|0, -1 where Redis
--   knows nothing, -2 where the user's choice is unknown; lastSeen ms, ISO text or ''; version, or '' where Redis has none;
--   detail JSON or ''; sight: what the viewer may see of it, 2 all, 1 only the status, 0 nothing; less 10 where not
--   everybody sees the same
local result = { 0, '0-0' }
for n = 6, #ARGV do
  local id = ARGV[n]
  local quick = redis.call('HMGET', recordKey(id), 'v', 'a', 'l', 'h', 'p', 'd', 'x', 'k')
  local cached = redis.call('MGET', lastSeenKey(id), privacyKey(id))
  local lastSeen = cached[1]
  local status, told, version
  local detail = not quick[4] and not quick[5] and quick[6] or ''
  if not quick[1] then
    status, told, version = lastSeen and 0 or -1, lastSeen or '', ''
  else
    local plain = redis.call('EXISTS', statusKey(id)) == (quick[2] == '1' and 1 or 0)
      and (not quick[4] or tonumber(quick[4]) < 0 or tonumber(quick[4]) > now)
      and (not quick[7] or tonumber(quick[7]) > now) and (quick[5] or quick[8] == '?' or (quick[8] or '') == detail)
    if plain then
      status, version = tonumber(quick[2]), quick[1]
      told = status == 1 and lastSeen or quick[3] or ''
    else
      local u = load(id)
      settle(u)
      save(u)
      -- While nothing may expire, what was announced last still stands.
      status, version = u.announced and 1 or 0, whole(u.version)
      told = u.lastSeen and whole(u.lastSeen) or ''
      detail = u.toldDetail == '?' and detailShown(u) or u.toldDetail
    end
    if quick[5] and status == 0 then status = -2 end
  end
  result[#result + 1] = status
  result[#result + 1] = told
  result[#result + 1] = version
  result[#result + 1] = detail
  result[#result + 1] = sightOf(ARGV[5], id, cached[2]) - (cached[2] and 10 or 0)
end
if redis.call('EXISTS', outbox) == 1 then
  local info = redis.call('XINFO', 'STREAM', outbox)
  for n = 1, #info, 2 do
    if info[n] == 'last-generated-id' then result[2] = info[n + 1] end
  end
end
return wake(result)
