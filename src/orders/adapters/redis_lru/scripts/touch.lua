-- ARGV  uids
-- Makes each that exists the most recently used; returns 1 for these and 0 for the others.
local tick = latest_tick()
local found = {}
for i, uid in ipairs(ARGV) do
  tick = tick + 1
  found[i] = redis.call('HEXISTS', DOCUMENTS, uid)
  if found[i] == 1 then
    -- XX CH: 1 if it exists, since its tick changes.
    found[i] = redis.call('ZADD', RECENCY, 'XX', 'CH', tick, uid)
  end
end
return found
