-- needs: time privacy idle
-- What others may know of a user, for as long as nothing has to be settled first.

-- Returns status (1|0, -1 where Redis knows nothing, -2 where the user's choice is unknown; nil where the user has to be
-- settled), last seen (ms, ISO text or ''), version ('' where Redis has none), detail (JSON or ''), and behind them the mark
-- that says who may see it, and what is said of somebody who appears inactive (JSON), which is for them and for services.
local function readStatus(id)
  local version, announced, recorded, hiddenUntil, choiceUnknown, detail, detailUntil, told, mark, idleText, pace =
    unpack(redis.call('HMGET', recordKey(id), 'v', 'a', 'l', 'h', 'p', 'd', 'x', 'k', 'r', 'is', 'y'))
  local lastSeen, active = unpack(redis.call('MGET', lastSeenKey(id), statusKey(id)))
  local said = hiddenUntil and not choiceUnknown and detail or nil
  if hiddenUntil or choiceUnknown or not detail then detail = '' end
  if not version then return lastSeen and 0 or -1, lastSeen or '', '', detail, NO_RECORD end
  announced, mark = announced == '1', mark or UNMARKED
  if announced and idleText and not choiceUnknown then
    local since = tonumber(idleText)
    if since <= now then detail = withIdle(detail, since) end
  end
  local settled = announced == (active ~= false)
    and (not hiddenUntil or tonumber(hiddenUntil) < 0 or tonumber(hiddenUntil) > now)
    and (not detailUntil or tonumber(detailUntil) > now)
    and (choiceUnknown or told == '?' or (told or '') == detail)
    and not (pace and (tonumber(string.match(pace, '|(%d+)$') or '') or now + 1) <= now)
  if not settled then return nil, '', '', '', mark end
  if announced then return 1, lastSeen or recorded or '', version, detail, mark end
  return choiceUnknown and -2 or 0, recorded or '', version, detail, mark, said
end

-- Puts what a viewer may know of a user behind the others: five values, the last of which is what the viewer may see of it:
-- 2 all, 4 the last seen coarsely, 1 only the status, 0 nothing, 3 not known here; less 10 where not everybody sees the same. A status of -3 where the
-- user has to be settled; for whom nothing is to be seen that must not take longer than for somebody who never came.
local function show(result, viewer, id, mark, status, lastSeen, version, detail)
  local n, access = #result, accessOf(viewer, id, mark)
  result[n + 1] = status or (access == NOTHING and 0 or -3)
  result[n + 2], result[n + 3], result[n + 4] = lastSeen, version, detail
  result[n + 5] = access - (isOpen(id, mark) and 0 or 10)
end
