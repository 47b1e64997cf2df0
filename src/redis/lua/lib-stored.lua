-- needs: save
-- What PostgreSQL has of a user for whom Redis has no record, or did not know the choice.

-- The stored user as a script is given it, in one argument that `storedArgument` of presence-scripts.ts writes; what it does not
-- name is not so. '' → nil: PostgreSQL was not asked. 'away': it could not be. Else (JSON)
--   version           of the last change that was recorded
--   lastSeen          ms
--   active            true: that is what it said
--   hiddenMs          appears inactive for so long still, -1: until further notice
--   sources           { source, for how long still (ms; 0: over, -1: further notice), detail (JSON) }, the strongest first
--   sourcesRevision   of these, where any source ever said anything
--   revision          of the privacy, 0: open
--   isNew             true: nobody ever heard of them
local function storedUser(argument)
  if argument == '' then return nil end
  return argument == 'away' and argument or cjson.decode(argument)
end

-- Sources with the moments at which they end in the place of how long that is.
local function dated(sources)
  for _, said in ipairs(sources) do said[2] = said[2] < 0 and -1 or now + said[2] end
  return sources
end

-- Completes the record `u` with what PostgreSQL has of the user (`storedUser`): whatever the record lacks, or has older.
local function applyStored(u, stored)
  local known = fromIso(redis.call('GET', lastSeenKey(u.id)) or '')
  if known and (not u.lastSeen or known > u.lastSeen) then u.lastSeen = known end
  if stored == 'away' then
    u.choiceUnknown = true
    if u.fresh then u.mark = UNMARKED end
    return
  end
  if u.fresh or u.mark == UNMARKED then u.mark = markFor(u.id, stored.revision) end
  u.choiceUnknown = nil
  -- Of somebody who is being erased PostgreSQL may still say what was.
  if privacyFields(u.id, 'x')[1] then stored = { version = stored.version, hiddenMs = stored.hiddenMs } end
  u.version = math.max(u.version, stored.version)
  if stored.lastSeen and (not u.lastSeen or stored.lastSeen > u.lastSeen) then u.lastSeen = stored.lastSeen end
  if stored.active and not u.announced then u.toldBeforeLoss = true end
  -- A logout ends the choice, also one that was not known then.
  if stored.hiddenMs and u.cause ~= 'logout' then
    u.hiddenUntil = stored.hiddenMs < 0 and -1 or now + stored.hiddenMs
    u.hiddenSince = u.hiddenSince or now
  end
  u.detailRevision = stored.sourcesRevision
  if stored.sources then setSources(u, dated(stored.sources)) end
  -- Told or not, and perhaps over by now, or told to be idle: others are told what is true, be it once more. The hidden tell nothing.
  if (stored.sources or stored.active) and not u.hiddenUntil then u.toldDetail = '?' end
  u.before = u.lastSeen
  if u.heardMeanwhile then heard(u, u.heardMeanwhile) end
  if u.lastSeen ~= u.before then u.untold = true end
end
