-- ARGV  uid and value in turns
-- Drops each entry that still holds this value: somebody may have put a good one meanwhile.
for i = 1, #ARGV, 2 do
  if redis.call('HGET', DOCUMENTS, ARGV[i]) == ARGV[i + 1] then
    drop(ARGV[i])
  end
end
