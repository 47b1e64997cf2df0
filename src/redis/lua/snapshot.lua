-- needs: save status
-- What others may know of some users, with their versions. Settles first, so that no state is shown whose event
-- is not on its way.
-- ARGV  5 viewer, '' for one who sees everything  6 1: for a watcher, who is shown what was announced last and told of
--         whatever is still to be announced; 0: for one who only asks  7.. users
-- Returns { wake, last id in the outbox, status, lastSeen, version, detail, access, … } five per user as in lib-status.lua
local result = { 0, '0-0' }
local watches = ARGV[6] == '1'
for n = 7, #ARGV do
  local id = ARGV[n]
  local status, told, version, detail, mark = readStatus(id)
  if not status then
    local u = load(id)
    settle(u)
    save(u)
    -- While nothing may expire, what was announced last still stands.
    local active = u.announced or (not watches and u.showing)
    status, version = active and 1 or u.choiceUnknown and -2 or 0, whole(u.version)
    told = u.lastSeen and whole(u.lastSeen) or ''
    detail = u.toldDetail == '?' and detailShown(u) or u.toldDetail
  end
  show(result, ARGV[5], id, mark, status, told, version, detail)
end
result[2] = lastIdOf(outbox)
return wake(result)
