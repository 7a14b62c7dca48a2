/**
 * By which limits it may be decided in a realm: fields of its state, one for each pair of limits, not one for each process. `0 <token>`: whoever
 * ends access waits by them. `1 <token>`: besides, facts are told to those who decide by them.
 */

export const LIMITS_PREFIX = 'limits:';
export const OPEN = '1';

/** Gives `limitsOf`, the names of all rows of the realm with this `state`. */
export const limitsLua = `
local function limitsOf(state)
  local names, fields = {}, redis.call('HGETALL', state)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, ${LIMITS_PREFIX.length}) == '${LIMITS_PREFIX}' then names[#names + 1] = fields[i] end
  end
  return names
end
`;

/** Changes a row that is as it was thought to be. KEYS: state. ARGV: epoch, row, before, after ('' = it is not there). Answers what it is now. */
export const limitsRowLua = `
local state = KEYS[1]
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return {'epoch'} end
local now = redis.call('HGET', state, ARGV[2]) or ''
if now == ARGV[3] then
  now = ARGV[4]
  if now == '' then redis.call('HDEL', state, ARGV[2]) else redis.call('HSET', state, ARGV[2], now) end
end
return {'row', now}
`;
