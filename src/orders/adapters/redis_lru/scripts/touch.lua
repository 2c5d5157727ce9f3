-- ARGV  uids
-- Each that is there becomes the most recently used; returns 1 for it, 0 for the others. No value
-- travels.
local tick = latest_tick()
local kept = {}
for i, uid in ipairs(ARGV) do
  tick = tick + 1
  kept[i] = redis.call('HEXISTS', DOCUMENTS, uid)
  if kept[i] == 1 then
    -- XX CH: 1 if it was there, for its tick is another one now.
    kept[i] = redis.call('ZADD', RECENCY, 'XX', 'CH', tick, uid)
  end
end
return kept
