-- ARGV  0, uid, value, uid, value, ...
-- Drops each entry that still has this value: another process may have replaced it by now.
for i = 2, #ARGV, 2 do
  if redis.call('HGET', DOCUMENTS, ARGV[i]) == ARGV[i + 1] then
    drop(ARGV[i])
  end
end
