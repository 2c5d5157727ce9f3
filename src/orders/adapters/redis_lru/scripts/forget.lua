-- ARGV  a position, most tombstones to remember, uid, position, uid, position, ...
-- Drops the entries of forgotten orders; these are all tombstones after the first position.
empty_unless_applied()

local function raise(member, position)
  if position_of(member) < tonumber(position) then
    redis.call('ZADD', FORGOTTEN, position, member)
  end
end

for i = 3, #ARGV, 2 do
  drop(ARGV[i])
  raise(':' .. ARGV[i], ARGV[i + 1])
  raise(APPLIED, ARGV[i + 1])
end
local excess = redis.call('ZCARD', FORGOTTEN) - tonumber(ARGV[2]) - 2
if excess > 0 then
  local last = redis.call('ZRANGE', FORGOTTEN, excess - 1, excess - 1, 'WITHSCORES')[2]
  redis.call('ZREMRANGEBYSCORE', FORGOTTEN, '-inf', last)
  redis.call('ZADD', FORGOTTEN, last, FLOOR)
end
