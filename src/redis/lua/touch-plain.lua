-- needs: plain
-- Heartbeats of many users, gathered by a web process, as far as they change nothing but the time. Whatever else a beat
-- may mean is left to touch-sessions.
-- KEYS  in fours, for a shard each: due, seen, apartDue, apartActive (see lib-record.lua); in a cluster its `never` behind them
-- ARGV  5.. in sixes: which of the shards (from 0), user, session, conn, age of the beat (ms), state said with it (a, i or '')
-- Returns { place of a beat that is left (from 1), its moment (ms), … }
local result = {}
for n = 0, (#ARGV - 4) / 6 - 1 do
  local base = 5 + n * 6
  local age = tonumber(ARGV[base + 4]) + lateness
  if not takePlainly(tonumber(ARGV[base]), ARGV[base + 1], ARGV[base + 2], ARGV[base + 3], age, ARGV[base + 5]) then
    result[#result + 1] = n + 1
    result[#result + 1] = whole(now - age)
  end
end
writeTaken()
for shard = 0, math.floor(#KEYS / 4) - 1 do writePlain(shard, unpack(KEYS, shard * 4 + 1, shard * 4 + 4)) end
return result
