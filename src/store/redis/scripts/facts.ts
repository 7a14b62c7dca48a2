/**
 * The `facts` script: one atomic read for one decision.
 *
 * KEYS: state, records, index, endings, and this process's lease if it needs one. ARGV: epoch, sequence of an ending (0 = none), number of fields, the fields, and of the time index (absent: not read) the length of
 * the owner's prefix, the bounds of its live rows (upper, lower), how many are read, the bounds of its ended rows, how many.
 * Answers position, endings, records (`RecordReply`) of fields and refs, live rows, ended rows, instant of the
 * last commit, hash up to the ending asked about ('' = not known), number of the lease.
 */
import { storedLua } from './stored.ts';

export const factsLua = `
local state, records, index, endings, lease = unpack(KEYS)
local found = redis.call('HMGET', state, 'epoch', 'sequence', 'endings', 'hash', 'at')
if found[1] ~= ARGV[1] then return {'epoch', found[1] or ''} end

${storedLua}
local function shown(field, r) return {field, r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9]} end
local read, seen = {}, {}
local function bring(field)
  if seen[field] then return end
  seen[field] = true
  local record = stored(field)
  if record then read[#read + 1] = shown(field, record) end
end

local many = tonumber(ARGV[3])
for i = 4, 3 + many do bring(ARGV[i]) end
local live, ended = {}, {}
local prefix, upper, lower, most, endedUpper, endedLower, back = unpack(ARGV, 4 + many)
if prefix then
  local fieldAt = tonumber(prefix) + 16
  for _, row in ipairs(redis.call('ZREVRANGEBYLEX', index, upper, lower, 'LIMIT', 0, most)) do
    local field = string.sub(row, fieldAt)
    local record = stored(field)
    if not record then error('CURFEW the time index names a record that is not there') end
    live[#live + 1] = shown(field, record)
    for _, ref in ipairs(record[10]) do bring(ref) end
  end
  for _, row in ipairs(redis.call('ZREVRANGEBYLEX', index, endedUpper, endedLower, 'LIMIT', 0, back)) do
    local field = string.sub(row, fieldAt)
    local record = stored(field)
    if record then ended[#ended + 1] = shown(field, record) end
  end
end
local hash = ''
if ARGV[2] == found[3] then
  hash = found[4]
elseif ARGV[2] ~= '0' then
  local entry = redis.call('XRANGE', endings, ARGV[2] .. '-0', ARGV[2] .. '-0')[1]
  hash = entry and entry[2][4] or ''
end
return {'facts', found[2], found[3], found[4], read, live, ended, found[5], hash, lease and redis.call('GET', lease) or ''}
`;
