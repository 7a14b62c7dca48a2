/**
 * The `renew` script: what happened since a position and, for who asks under a holder's name, a lease: the right to answer from
 * what was read, once all of that is applied.
 *
 * KEYS: state, endings, changes, holders, and this process's lease of the primary if it needs one. ARGV: epoch, sequence of an
 * ending (0 = none), row of the limits that the asker decides by ('' = it does not), position ('' = nothing is remembered), most changes; for a renewal also holder, count, lease ms, node, most holders, hash up to that ending ('' = none is known).
 * Answers position, endings, hash, instant of the last commit, hash up to the ending asked about, whether the changes are whole
 * (1 or 0), the changes (sequence, and the fields and owners that it touched), and the number of that lease.
 */
import { OPEN } from './limits.ts';

/** Commits of a realm whose changes are kept, more or less. Whoever is further behind reads everything anew. */
export const CHANGES_KEPT = 4_096;

/** `more`: further names of fields of the state, in Lua. */
export const seenLuaWith = (more: string): string => `
local found = redis.call('HMGET', state, 'epoch', 'sequence', 'endings', 'hash', 'at'${more})
if found[1] ~= ARGV[1] then return {'epoch', found[1] or ''} end
local function hashThen()
  if ARGV[2] == found[3] then return found[4] end
  if ARGV[2] == '0' then return '' end
  local entry = redis.call('XRANGE', endings, ARGV[2] .. '-0', ARGV[2] .. '-0')[1]
  return entry and entry[2][4] or ''
end
`;

/** Gives `found` of the realm's state, and `hashThen`, the hash up to the ending in `ARGV[2]`. Uses the local keys `state` and `endings`. */
export const seenLua = seenLuaWith('');

/** The same for who decides by limits whose row is named by `ARGV[3]`: nothing is told unless they are open. */
export const seenByLimitsLua = `${seenLuaWith(', ARGV[3]')}
if ARGV[3] ~= '' and string.sub(found[6] or '', 1, 1) ~= '${OPEN}' then return {'limits', found[6] or ''} end
`;

/** After \`seenLua\`: what a holder has applied, as its row tells it; nothing, if it is of a history that this server does not have. */
export const appliedLua = `
local function appliedOf(position, ended, hash)
  local same = ended == '0' or (tonumber(ended) <= tonumber(found[3]) and hashThen() == hash)
  if same and tonumber(position) <= tonumber(found[2]) then return position, ended end
  return '0', '0'
end
`;

export const renewLua = `
local state, endings, changes, holders, fence = unpack(KEYS)
${seenByLimitsLua}
${appliedLua}
local touched, whole = {}, '1'
local reached = ARGV[4]
if reached ~= '' and reached ~= found[2] then
  for _, entry in ipairs(redis.call('XRANGE', changes, '(' .. reached .. '-0', '+', 'COUNT', ARGV[5])) do
    if entry[2][2] ~= reached then break end
    reached = string.sub(entry[1], 1, -3)
    local names = cmsgpack.unpack(entry[2][4])
    touched[#touched + 1] = {reached, names[1], names[2]}
  end
  if reached ~= found[2] then touched, whole = {}, '0' end
end
local holder, count, lease, node, most, hash = unpack(ARGV, 6)
if holder then
  if not redis.call('HGET', holders, holder) and redis.call('HLEN', holders) >= tonumber(most) then return {'full'} end
  local applied, ended = found[2], found[3]
  if ARGV[4] ~= '' then applied, ended = appliedOf(ARGV[4], ARGV[2], hash) end
  redis.call('HSET', holders, holder, count .. ' ' .. lease .. ' ' .. applied .. ' ' .. ended .. ' ' .. node)
end
return {'renewed', found[2], found[3], found[4], found[5], hashThen(), whole, touched, fence and redis.call('GET', fence) or ''}
`;
