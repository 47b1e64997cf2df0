-- Who may see a user. Stands before lib.lua in every script that begins with it.
--
-- `user:privacy:<id>` is `revision|visibility|lastSeenVisibility`, the two as e (everyone), f (friends) or n (nobody).
-- It is missing where nothing was ever restricted. Beside it `user:friends:<id>`, kept only where one of the two is f,
-- and `user:blocks:<id>`: whom the user blocks and who blocks the user. The rule itself: presence/visibility.ts.

local ALL, STATUS, NOTHING = 2, 1, 0
-- What is open again is remembered for a while, so that an older revision that comes late is refused.
local OPEN_REMEMBERED_MS = 3600000

local function privacyKey(id) return ARGV[1] .. 'user:privacy:' .. ARGV[2] .. id end
local function friendsKey(id) return ARGV[1] .. 'user:friends:' .. ARGV[2] .. id end
local function blocksKey(id) return ARGV[1] .. 'user:blocks:' .. ARGV[2] .. id end

-- revision, visibility, lastSeenVisibility of what stands in the key; revision 0 where nothing does.
local function readPrivacy(text)
  local revision, visibility, lastSeen = string.match(text or '', '^(%d+)|(%a)|(%a)$')
  if not revision then return 0, 'e', 'e' end
  return tonumber(revision), visibility, lastSeen
end

-- What a viewer ('' sees everything) may see of a user whose privacy key holds `text`.
local function sightOf(viewer, id, text)
  if not text or viewer == '' or viewer == id then return ALL end
  if redis.call('SISMEMBER', blocksKey(id), viewer) == 1 then return NOTHING end
  local _, visibility, lastSeen = readPrivacy(text)
  local friend
  local function allows(letter)
    if letter ~= 'f' then return letter == 'e' end
    if friend == nil then friend = redis.call('SISMEMBER', friendsKey(id), viewer) == 1 end
    return friend
  end
  if not allows(visibility) then return NOTHING end
  return allows(lastSeen) and ALL or STATUS
end

-- Makes a set hold exactly these members. Returns who came and who went.
local function replaceSet(key, members)
  local wanted, added, removed = {}, {}, {}
  for _, member in ipairs(members) do wanted[member] = true end
  for _, member in ipairs(redis.call('SMEMBERS', key)) do
    if wanted[member] then wanted[member] = nil
    else
      removed[#removed + 1] = member
      redis.call('SREM', key, member)
    end
  end
  for _, member in ipairs(members) do
    if wanted[member] then
      added[#added + 1] = member
      redis.call('SADD', key, member)
    end
  end
  return added, removed
end

-- For a moment after an erasure: nobody may see what is still on its way. Any revision replaces it.
local function closeToAll(id)
  redis.call('SET', privacyKey(id), '0|n|n', 'PX', 30000)
end

-- Somebody comes back, or begins anew, without ever having restricted anything.
local function openToAll(id)
  local text = redis.call('GET', privacyKey(id))
  if text and string.sub(text, 1, 2) == '0|' then redis.call('DEL', privacyKey(id)) end
end

local letterOf = { everyone = 'e', friends = 'f', nobody = 'n' }

-- Takes over what PostgreSQL says (JSON of presence/visibility.ts), unless something newer stands here.
-- Returns what was before and who came and went, or nil where it is old.
local function writePrivacy(id, json)
  local wanted = cjson.decode(json)
  local revision, visibility, lastSeen = readPrivacy(redis.call('GET', privacyKey(id)))
  if wanted.revision <= revision then return nil end
  local before = { v = visibility, l = lastSeen }
  before.fa, before.fr = replaceSet(friendsKey(id), wanted.friends)
  before.ba, before.br = replaceSet(blocksKey(id), wanted.blocks)
  local v, l = letterOf[wanted.visibility], letterOf[wanted.lastSeenVisibility]
  redis.call('SET', privacyKey(id), string.format('%.0f|%s|%s', wanted.revision, v, l))
  if v == 'e' and l == 'e' and #wanted.blocks == 0 then redis.call('PEXPIRE', privacyKey(id), OPEN_REMEMBERED_MS) end
  before.changed = v ~= visibility or l ~= lastSeen or #before.fa + #before.fr + #before.ba + #before.br > 0
  return before
end
