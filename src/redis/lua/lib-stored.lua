-- needs: save
-- What PostgreSQL has of a user for whom Redis has no record, or did not know the choice.

-- What PostgreSQL knows, for a user Redis has no record of.
-- stored = { version, lastSeen or nil, announced 1|0, hidden: nil | -1 | ms left, detail (JSON) or '', ms it has left or nil,
-- revision of the privacy, 0: open }, or 'away'.
local function applyStored(u, stored)
  local known = fromIso(redis.call('GET', lastSeenKey(u.id)) or '')
  if known and (not u.lastSeen or known > u.lastSeen) then u.lastSeen = known end
  if stored == 'away' then
    u.choiceUnknown = true
    if u.fresh then u.mark = UNMARKED end
    return
  end
  if u.fresh or u.mark == UNMARKED then u.mark = markFor(u.id, stored[7]) end
  u.choiceUnknown = nil
  -- Of somebody who is being erased PostgreSQL may still say what was.
  if privacyFields(u.id, 'x')[1] then stored = { stored[1], nil, 0, stored[4], '' } end
  u.version = math.max(u.version, stored[1])
  if stored[2] and (not u.lastSeen or stored[2] > u.lastSeen) then u.lastSeen = stored[2] end
  if stored[3] == 1 and not u.announced then u.lost = true end
  -- A logout ends the choice, also one that was not known then.
  if stored[4] and u.cause ~= 'logout' then
    u.hiddenUntil = stored[4] < 0 and -1 or now + stored[4]
    u.hiddenSince = u.hiddenSince or now
  end
  if stored[5] ~= '' then
    u.detail, u.detailUntil = stored[5], stored[6] and now + stored[6]
    -- Told or not, and perhaps over by now: others are told what is true, be it once more. The hidden tell nothing.
    if not u.hiddenUntil then u.toldDetail = '?' end
  end
  u.before = u.lastSeen
  if u.meanwhile then seen(u, u.meanwhile) end
  if u.lastSeen ~= u.before then u.untold = true end
end

-- What PostgreSQL remembers, seven arguments from position n: version, lastSeen, announced, hidden, detail, ms it has
-- left, revision of the privacy.
local function storedUserAt(n)
  return { tonumber(ARGV[n]), tonumber(ARGV[n + 1]), tonumber(ARGV[n + 2]), tonumber(ARGV[n + 3]), ARGV[n + 4],
    tonumber(ARGV[n + 5]), tonumber(ARGV[n + 6]) }
end

-- Reads what is stored out of ARGV from position n: mode ('' none given, 'away', 'known', 'new') and the stored user.
local function storedAt(n)
  if ARGV[n] == '' then return nil end
  if ARGV[n] == 'away' then return 'away' end
  local memory = storedUserAt(n + 1)
  memory.isNew = ARGV[n] == 'new'
  return memory
end
