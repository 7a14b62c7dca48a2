/**
 * The `acknowledge` script: a holder says how far it has applied what happened, or gives its lease back; rows that were watched
 * until their leases were over go, if they are as they were. Answers all rows.
 *
 * KEYS: state, holders. ARGV: epoch, holder ('' = none), position it has applied ('' = it gives its lease back), then holder and
 * count of each row that is over.
 */
export const acknowledgeLua = `
local state, holders = unpack(KEYS)
local epoch = redis.call('HGET', state, 'epoch')
if epoch ~= ARGV[1] then return {'epoch', epoch or ''} end
local function parts(holder)
  return string.match(redis.call('HGET', holders, holder) or '', '^(%d+) (%d+) (%d+) (.*)$')
end
if ARGV[2] ~= '' then
  if ARGV[3] == '' then
    redis.call('HDEL', holders, ARGV[2])
  else
    local count, lease, applied, node = parts(ARGV[2])
    -- A row that went is made again by the next renewal only.
    if count and tonumber(applied) < tonumber(ARGV[3]) then redis.call('HSET', holders, ARGV[2], count .. ' ' .. lease .. ' ' .. ARGV[3] .. ' ' .. node) end
  end
end
for i = 4, #ARGV, 2 do
  if parts(ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', holders, ARGV[i]) end
end
return {'holders', redis.call('HGETALL', holders)}
`;
