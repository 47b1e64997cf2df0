-- needs: stored
-- Who may see the user, as PostgreSQL has it. Where it is news it is told like a change, with a version of its own, so that
-- every watcher who loses or regains sight is told so.
-- ARGV  5 userId  6 wantedText: what PostgreSQL has (JSON): revision, v, l (letters), open (nothing is restricted), previous (revision of
--         which the lists below are the differences, 0: not known), wasOpen, change (somebody made it just now, and it may be
--         told), own (the user did), fa, fr, ba, br (friends and blocks, added and removed)
--       7 stagedKey: where the whole lists are gathered, or '' for the differences  8 stagedCount: how many entries there have to be
--       9 storedText: the stored user (lib-stored.lua)
-- Returns { wake, code, revision that stands here }
--   code: ok | stored (ask PostgreSQL first; nothing has been done) | whole (the whole lists are needed) | old (what stands
--         here is newer)
local userId, wantedText, stagedKey, stagedCount, storedText = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9]
local wanted, stored = cjson.decode(wantedText), storedUser(storedText)
local u = load(userId)
-- What was gathered for this attempt is of no use to the next one.
local function reject(code, revision)
  if stagedKey ~= '' then redis.call('UNLINK', stagedKey) end
  return { 0, code, whole(revision) }
end
if not u and not stored then return reject('stored', 0) end

local key = privacyKey(userId)
local standing, visibility, lastSeen = readPrivacy(userId)
local mark = u and u.mark or standing > 0 and whole(standing) or NO_RECORD
local newMark = wanted.open and '0' or whole(wanted.revision)
if wanted.revision < standing then return reject('old', standing) end

-- Somebody who was erased and came back begins anew: what the hash still has is of before.
local isOfBefore = privacyFields(userId, 'x')[1]
if mark == '0' then visibility, lastSeen = 'e', 'e' end

-- Of whom Redis knows that everybody may see them, and PostgreSQL says the same, there is nothing to keep.
local nothing = wanted.open and standing == 0 and (mark == '0' or mark == NO_RECORD)
-- The moment of an erasure is nobody's revision, though one may be the same.
local stands = standing > 0 and not isOfBefore
local isKnown = (stands and standing == wanted.previous) or (wanted.wasOpen and (mark == '0' or (not u and standing == 0)))
local isSame = stands and standing == wanted.revision
local wasFound = privacyFields(userId, 'q')[1]
local overtaken, recent = overtakenBy(userId, isKnown and visibility or 'e', wanted)
if nothing then
  if stagedKey ~= '' then redis.call('UNLINK', stagedKey) end
  redis.call('SREM', restrictedKey, userId)
  -- A hash that says nothing would have PostgreSQL asked again and again.
  redis.call('UNLINK', key)
else
  if stagedKey ~= '' then
    -- What was gathered may have gone meanwhile.
    if redis.call('HLEN', stagedKey) ~= stagedCount then return reject('whole', standing) end
    redis.call('UNLINK', key)
    if stagedCount > 0 then
      redis.call('RENAME', stagedKey, key)
      redis.call('PERSIST', key)
    end
  elseif isSame then
    -- Friends who count no more are let go of once everybody has heard of it.
    if not wanted.change and privacyFields(userId, 's')[1] then return reject('whole', standing) end
    if not wanted.change then redis.call('HDEL', key, 'd') end
  else
    if not isKnown then return reject('whole', standing) end
    if standing == 0 or isOfBefore then redis.call('UNLINK', key) end
  end
  local fields = { 'r', whole(wanted.revision), 'v', wanted.v, 'l', wanted.l }
  local function add(prefix, list)
    for _, other in ipairs(list) do
      fields[#fields + 1] = prefix .. other
      fields[#fields + 1] = '1'
    end
  end
  if stagedKey == '' and not isSame then
    add('f:', wanted.fa)
    add('b:', wanted.ba)
    for _, other in ipairs(wanted.fr) do redis.call('HDEL', key, 'f:' .. other) end
    for _, other in ipairs(wanted.br) do redis.call('HDEL', key, 'b:' .. other) end
    -- Who were friends is needed for a while, to tell those who lose sight.
    local counted = visibility == 'f' or string.lower(lastSeen) == 'f'
    local counts = wanted.v == 'f' or string.lower(wanted.l) == 'f'
    if counted and not counts then fields[#fields + 1], fields[#fields + 2] = 's', '1' end
  end
  if not isSame then fields[#fields + 1], fields[#fields + 2] = 'd', recent end
  if wanted.open then fields[#fields + 1], fields[#fields + 2] = 'o', '1' end
  redis.call('HDEL', key, 'x', 'o')
  redis.call('HSET', key, unpack(fields))
  if wanted.open then
    redis.call('PEXPIRE', key, OPEN_REMEMBERED_MS)
    redis.call('SREM', restrictedKey, userId)
  else
    redis.call('PERSIST', key)
    redis.call('SADD', restrictedKey, userId)
  end
end

local news = not isSame and mark ~= newMark and (wanted.change or (mark ~= UNMARKED and mark ~= NO_RECORD))
-- What was found, of whom Redis did not know who may see them, nobody is told. Whoever made it may be about to say so.
if wasFound and isSame and wanted.change then news = true end
if news then redis.call('HDEL', key, 'q')
elseif not nothing and (wasFound or not (isSame or wanted.change)) then redis.call('HSET', key, 'q', '1')
end
if not u then
  -- Of somebody nobody has heard of, or who was erased, nothing is shown to anybody; the hash is read when they come.
  -- Ids can be made up: of what was said of one and taken back it is remembered for only as long as it may be on its way.
  if stored.isNew and not nothing then
    redis.call('PEXPIRE', key, wanted.open and ERASED_MS or OPEN_REMEMBERED_MS)
  end
  if not news or stored.isNew or isOfBefore then return { 0, 'ok', whole(wanted.revision) } end
  u = newUser(userId)
  applyStored(u, stored)
end
u.mark = newMark
settle(u)
tell(u, next(u.sessions) and 'connect' or u.endedCause or 'timeout')
-- Of whom PostgreSQL could not tell whether they appear inactive nobody was told anything.
if news and not u.choiceUnknown then
  local before = { u = true }
  if isKnown and not wasFound then
    before = { v = visibility, l = lastSeen, fa = wanted.fa, fr = wanted.fr, ba = wanted.ba, br = wanted.br,
      s = visibility == wanted.v and lastSeen == wanted.l, q = overtaken }
  end
  tellPrivacy(u, before, wanted.own)
end
save(u)
return wake({ 0, 'ok', whole(wanted.revision) })
