-- ARGV  0, uids
-- Makes each that exists the most recently used; returns 1 for these and 0 for the others.
local tick = latest_tick()
local found = {}
for i = 2, #ARGV do
  tick = tick + 1
  local is_found = redis.call('HEXISTS', DOCUMENTS, ARGV[i])
  if is_found == 1 then
    -- XX CH: 1 if it exists, since its tick changes.
    is_found = redis.call('ZADD', RECENCY, 'XX', 'CH', tick, ARGV[i])
  end
  found[i - 1] = is_found
end
return found
