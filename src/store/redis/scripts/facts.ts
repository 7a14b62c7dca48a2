/**
 * The `facts` script: one atomic read for one decision.
 *
 * KEYS: state, records, index, endings, and this process's lease if it needs one. ARGV: epoch, sequence of an ending (0 = none), row of the limits that the asker decides by ('' = it does not), number of fields, the fields, and of the time index (absent: not read) the length of
 * the owner's prefix, the bounds of its live rows (upper, lower), how many are read, the bounds of its ended rows, how many, and
 * `1` if each row is to be followed by its end and refs, as they are stored.
 * Answers position, endings, records (`RecordReply`) of fields and refs, live rows, ended rows, instant of the
 * last commit, hash up to the ending asked about ('' = not known), number of the lease.
 */
import { seenByLimitsLua } from './renew.ts';
import { storedLua } from './stored.ts';

/** Lua's stack takes some thousand. */
const AT_ONCE = 1_000;

export const factsLua = `
local state, records, index, endings, lease = unpack(KEYS)
${seenByLimitsLua}
${storedLua}
local function shown(field, r) return {field, r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9]} end
local read, seen = {}, {}
-- Many in one command: that costs less than one for each.
local function bring(fields)
  local new, many = {}, 0
  for i = 1, #fields do
    local field = fields[i]
    if not seen[field] then many, seen[field] = many + 1, true; new[many] = field end
  end
  for from = 1, many, ${AT_ONCE} do
    local found = redis.call('HMGET', records, unpack(new, from, math.min(from + ${AT_ONCE - 1}, many)))
    for i = 1, #found do
      if found[i] then read[#read + 1] = shown(new[from + i - 1], recordOf(found[i])) end
    end
  end
end

local many = tonumber(ARGV[4])
local asked = {}
for i = 1, many do asked[i] = ARGV[4 + i] end
bring(asked)
local live, ended = {}, {}
local prefix, upper, lower, most, endedUpper, endedLower, back, places = unpack(ARGV, 5 + many)
if prefix then
  local fieldAt = tonumber(prefix) + 16
  local function placed(row, field, record)
    local one = shown(field, record)
    if places == '1' then one[10], one[11] = string.sub(row, fieldAt - 15, fieldAt - 1), record[10] end
    return one
  end
  for _, row in ipairs(redis.call('ZREVRANGEBYLEX', index, upper, lower, 'LIMIT', 0, most)) do
    local field = string.sub(row, fieldAt)
    local record = stored(field)
    if not record then error('CURFEW the time index names a record that is not there') end
    live[#live + 1] = placed(row, field, record)
    bring(refsOf(record))
  end
  for _, row in ipairs(redis.call('ZREVRANGEBYLEX', index, endedUpper, endedLower, 'LIMIT', 0, back)) do
    local field = string.sub(row, fieldAt)
    local record = stored(field)
    if record then ended[#ended + 1] = placed(row, field, record) end
  end
end
return {'facts', found[2], found[3], found[4], read, live, ended, found[5], hashThen(), lease and redis.call('GET', lease) or ''}
`;
