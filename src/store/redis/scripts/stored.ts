/**
 * Lua that scripts share: a record as it is stored. Uses the local `records`, the key of the realm's hash.
 *
 * A record is `{format, created sequence and instant, modified ..., marked ..., counter, body, refs, row}`. In format 1 refs are names and the
 * row is a text. In format 2 both may be that, or packed (`packed-names.ts`): refs one text, the row `{owner, end}`; and a record that was
 * never modified says 0 for when.
 */
import { BASE, BEGINNINGS, LITERAL, ZERO } from '../packed-names.ts';
import { PLAIN_FORMAT, SHORT_FORMAT } from '../record.ts';

export const storedLua = `
local BEGINNINGS = {${BEGINNINGS.map((beginning) => `'${beginning}'`).join(', ')}}
local function recordOf(bytes)
  if not bytes then return nil end
  local record = cmsgpack.unpack(bytes)
  if record[1] == ${SHORT_FORMAT} then
    if record[4] == 0 then record[4], record[5] = record[2], record[3] end
  elseif record[1] ~= ${PLAIN_FORMAT} then error('CURFEW a record of another format') end
  return record
end
local function stored(field) return recordOf(redis.call('HGET', records, field)) end
local byte, sub = string.byte, string.sub
local function unpackNames(packed, body)
  local names, at, many, size = {}, 1, 0, #packed
  while at <= size do
    local code, high, low, length = byte(packed, at, at + 3)
    local place = (high - ${ZERO}) * ${BASE} + low - ${ZERO}
    if place < 0 then error('CURFEW a record of another format') end
    many = many + 1
    if code == ${LITERAL.charCodeAt(0)} then
      names[many] = sub(packed, at + 3, at + 2 + place)
      at = at + 3 + place
    else
      local beginning = BEGINNINGS[code - ${ZERO - 1}]
      if not beginning then error('CURFEW a record of another format') end
      names[many] = beginning .. sub(body, place + 1, place + length - ${ZERO})
      at = at + 4
    end
  end
  return names
end
local function refsOf(record)
  if type(record[10]) == 'string' then return unpackNames(record[10], record[9]) end
  return record[10]
end
local function rowOf(field, record)
  local row = record[11]
  if type(row) == 'string' then return row end
  local owner = unpackNames(row[1], record[9])[1]
  return #owner + 1 .. ':.' .. owner .. string.format('%015.0f', row[2]) .. field
end
local function store(field, record)
  if record[1] == ${SHORT_FORMAT} and record[4] == record[2] and record[5] == record[3] then record[4], record[5] = 0, 0 end
  redis.call('HSET', records, field, cmsgpack.pack(record))
end
`;

/** After `storedLua`, and `take` and `count` of the arguments: refs and rows as they are given. */
export const givenLua = `
local function takeRefs()
  local many = count()
  if many == -2 then return take() end
  if many < 0 then return nil end
  local refs = {}
  for each = 1, many do refs[each] = take() end
  return refs
end
local function placedRow(field, row, owner)
  if owner == '' then return row end
  return {owner, tonumber(string.sub(row, #row - #field - 14, #row - #field))}
end
`;
