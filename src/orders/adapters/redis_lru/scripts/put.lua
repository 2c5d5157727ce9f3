-- ARGV  position from before the values were read, capacity, uid, value, uid, value, ...
-- Skips orders that were forgotten after that position.
local capacity = tonumber(ARGV[2])
if POSITION < position_of(FLOOR) then
  return
end

local function drop_halves()
  if redis.call('HLEN', DOCUMENTS) == redis.call('ZCARD', RECENCY) then
    return
  end
  for _, uid in ipairs(redis.call('HKEYS', DOCUMENTS)) do
    if not redis.call('ZSCORE', RECENCY, uid) then
      redis.call('HDEL', DOCUMENTS, uid)
    end
  end
  for _, uid in ipairs(redis.call('ZRANGE', RECENCY, 0, -1)) do
    if redis.call('HEXISTS', DOCUMENTS, uid) == 0 then
      redis.call('ZREM', RECENCY, uid)
    end
  end
end

local tick = latest_tick()
local any_forgotten = redis.call('ZCARD', FORGOTTEN) > 0
for i = 3, #ARGV, 2 do
  if not any_forgotten or position_of(':' .. ARGV[i]) <= POSITION then
    tick = tick + 1
    redis.call('HSET', DOCUMENTS, ARGV[i], ARGV[i + 1])
    redis.call('ZADD', RECENCY, tick, ARGV[i])
  end
end

drop_halves()
local excess = redis.call('ZCARD', RECENCY) - capacity
if excess > 0 then
  for _, uid in ipairs(redis.call('ZRANGE', RECENCY, 0, excess - 1)) do
    drop(uid)
  end
  -- As many halves in one key as in the other are noticed only once one of them is evicted.
  drop_halves()
end
