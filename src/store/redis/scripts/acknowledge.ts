/**
 * The `acknowledge` script: a holder says how far it has applied what happened; rows go that were watched until their leases were
 * over, or whose holder gives its lease back, if they are as they were. Answers how many endings there are, all rows, and names of the rows of limits.
 *
 * KEYS: state, endings, holders. ARGV: epoch, ending that the holder has applied (0 = none), hash up to it, holder ('' = nobody says
 * anything), position it has applied, then holder and count of each row that goes.
 */
import { limitsLua } from './limits.ts';
import { appliedLua, seenLua } from './renew.ts';

export const acknowledgeLua = `
local state, endings, holders = unpack(KEYS)
${seenLua}
${limitsLua}
${appliedLua}
local function parts(holder)
  return string.match(redis.call('HGET', holders, holder) or '', '^(%d+) (%d+) (%d+) (%d+) (.*)$')
end
if ARGV[4] ~= '' then
  local count, lease, before, _, node = parts(ARGV[4])
  local applied, ended = appliedOf(ARGV[5], ARGV[2], ARGV[3])
  -- A row that went is made again by the next renewal only.
  if count and tonumber(before) < tonumber(applied) then redis.call('HSET', holders, ARGV[4], count .. ' ' .. lease .. ' ' .. applied .. ' ' .. ended .. ' ' .. node) end
end
for i = 6, #ARGV, 2 do
  if parts(ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', holders, ARGV[i]) end
end
return {'holders', found[3], redis.call('HGETALL', holders), limitsOf(state)}
`;
