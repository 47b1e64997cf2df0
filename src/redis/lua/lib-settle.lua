-- needs: outbox
-- Settle first: what is overdue is dropped, and what is true is told where it differs from what was announced last.

-- Tells that other people may see the user from now on; `before` says who could until now. The detail is told to those
-- who get to see it, and taken from those who no longer do. Where the user changes that again and again it is gathered. What
-- somebody else did is little, and no doing of this user's.
local function tellPrivacy(u, before, own)
  local _, visibility, lastSeen = readPrivacy(u.id)
  local takes = takesAccess(before, visibility, lastSeen)
  if u.gathered then before = mergeBefore(cjson.decode(u.gathered), before) end
  u.gathered = cjson.encode(before)
  if own and not mayTell(u, takes) then return end
  u.gathered = nil
  if detailOf(u) ~= '' then u.toldDetail = '?' end
  local spent = u.spent
  announce(u, 'privacy', '', cjson.encode(before))
  if not own then u.spent = spent end
end

-- Tells the webs to close connections that are no longer welcome.
local function tellClosed(u, conns, reason)
  if #conns > 0 then append('close', u, 'conns', table.concat(conns, ' '), 'reason', reason) end
end

-- Something only PostgreSQL has to hear of: a user's first visit out of sight, a choice that ended, or a sign of life
-- that others may know of since a choice is over or known, where that changed nothing else.
local function tellRecord(u, clearsHidden)
  appendChange('note', u, u.version, clearsHidden and 'logout' or '', '', u.claims and withMore(nil, 'claims', u.claims))
  u.claims, u.untold = nil, nil
end

-- Whether others would hear that the user is idle, or no more or since another time, and of nothing else.
local function isIdleNews(u)
  local detail = detailOf(u)
  return detail ~= u.toldDetail and u.announced == isVisible(u) and withoutIdle(detail) == withoutIdle(u.toldDetail)
end

-- Tells a detail that is another than the one told last. Whoever is idle now and then is told so at most once in a while, the
-- newest in the end; that takes nothing from what they choose.
local tellDetail
do
  local SAID_ANEW_WITHIN = 5000

  -- Of whom Redis has no session, and nobody knows what was told, it may be that it lost their coming a moment ago, and that
  -- PostgreSQL has not heard of it either: whoever has their connection says so first. Hiding waits for nobody. Returns until when that is waited for (ms), or nil.
  local function waitsForSessions(u)
    if u.toldDetail ~= '?' or u.announced or u.hiddenUntil or next(u.sessions) then return nil end
    local epochKey = string.gsub(pulseKey, 'presence:pulse', 'presence:epoch', 1)
    local since = tonumber(string.match(redis.call('GET', epochKey) or '', '^%d+') or '') or now
    local till = math.min(since, now) + SAID_ANEW_WITHIN
    return till > now and till or nil
  end

  function tellDetail(u)
    u.owed = waitsForSessions(u)
    if u.owed then return end
    if u.toldDetail == '?' or not isIdleNews(u) then
      if u.toldDetail == '?' or mayTell(u) then announce(u, 'detail') end
    elseif now - (u.idleTold or 0) >= IDLE_APART then
      local spent = u.spent
      announce(u, 'detail')
      u.spent, u.idleTold = spent, now
    end
  end
end

-- Has a user appear inactive until then (ms, -1: until further notice). What others know of them ends with this moment.
local function beginHiding(u, untilMs)
  u.choiceUnknown = nil
  if not u.hiddenUntil then
    if next(u.sessions) then heard(u, now) end
    u.hiddenSince = now
  end
  u.hiddenUntil = untilMs
end

-- Shows a user again who appeared inactive. What they did meanwhile is nobody's business: it is no more than not idle until now.
local function endHiding(u)
  if u.idleSince and u.hiddenSince and u.idleSince > u.hiddenSince then u.idleSince = now end
  u.hiddenUntil, u.hiddenSince = nil, nil
end

-- Tells what is true now where it differs from what was announced last.
local function tell(u, cause, sid)
  local visible = isVisible(u)
  u.owed = nil
  if visible and not u.announced then
    -- Whoever shows and hides themselves again and again is shown a little later; hiding never waits.
    if u.showing then cause = 'manual' end
    if u.toldBeforeLoss or cause ~= 'manual' or mayTell(u) then announceStatus(u, true, u.toldBeforeLoss and 'restored' or cause, sid) end
  elseif not visible and (u.announced or (u.toldBeforeLoss and not u.choiceUnknown)) then
    announceStatus(u, false, u.hiddenUntil and 'manual' or cause, sid)
  elseif not u.choiceUnknown and detailOf(u) ~= u.toldDetail then tellDetail(u)
  end
  if u.gathered and not u.choiceUnknown and mayTell(u) then tellPrivacy(u, nothingChanged(u), true) end
  if not u.choiceUnknown and isIdleNews(u) then u.owed = math.min(u.owed or math.huge, u.idleTold + IDLE_APART) end
  u.showing = isVisible(u) and not u.announced
  if not u.choiceUnknown then u.toldBeforeLoss = nil end
end

local causeOf = { l = 'timeout', p = 'timeout', e = 'timeout', g = 'disconnect', h = 'handover' }

-- Settle first: drops what is overdue and tells what follows from it, before anything else is done.
local function settle(u)
  if held() then return end
  local hiddenUntil = u.hiddenUntil
  if hiddenUntil and hiddenUntil >= 0 and hiddenUntil <= now then
    endHiding(u)
  else
    hiddenUntil = nil
  end
  endSources(u)
  local latest, known = -1, u.lastSeen
  for sid, s in pairs(u.sessions) do
    local deadline = deadlineOf(s)
    -- Who left while appearing inactive was last seen when that began.
    if not hiddenUntil or deadline > hiddenUntil then heard(u, s.beat) end
    if deadline <= now and not mayBeat(s) then
      dropSession(u, sid)
      if deadline > latest then latest, u.endedCause, u.endedSession = deadline, causeOf[s.standing], sid end
      u.endedAt = latest
    end
  end
  if hiddenUntil and u.lastSeen ~= known then u.untold = true end
  -- What has just been read from PostgreSQL is told with what happens now.
  local isOwed = u.owed and u.owed <= now
  if u.toldBeforeLoss or (u.toldDetail == '?' and isVisible(u) == u.announced and not u.gathered and not isOwed) then return end
  tell(u, isVisible(u) and (hiddenUntil and 'manual' or 'connect') or u.endedCause or 'timeout')
end
