/**
 * The `commit` script: every check comes before the first write, so a commit happens whole or not at all. It knows versions,
 * counters, stamps and sequences, and no rule of the domain.
 *
 * KEYS: those of `realmKeys`, in its order. ARGV, read in order (a number before a list is its length):
 *   epoch, number of an ending (0 = none), format of the records, now ('' = the server's), before ('' = ever), replay field ('' = none), digest, reply, keep ms,
 *   number of events,
 *   expect {field, version}, puts {field, body, count, row, its owner packed, mark, refs (-1 = as they are, -2 = packed) {field}},
 *   increments {field, max, body}, drops {field}, events {head, middle, tail, form (1 = an ending, 2 = shortened), about {prefix}}, channel
 *
 * Answers `committed`, sequence, instant, nothing, number of endings, rows of the holders (of a commit that ends something, and of a replay), how far the realm is, its hash,
 * its hash up to that ending before this commit ('' = not known), and names of the rows of limits (as those of holders); `replayed`, with the reply in place of nothing; or why not.
 */
import { SEQUENCE_CODE } from '../short-text.ts';
import { SHORT_EVENT, WHOLE_EVENT } from '../stored-event.ts';
import { limitsLua } from './limits.ts';
import { CHANGES_KEPT, seenLuaWith } from './renew.ts';
import { sha256Lua } from './sha256.ts';
import { givenLua, storedLua } from './stored.ts';

export const commitLua = `
${sha256Lua}
${limitsLua}
local state, records, kinds, index, events, endings, history, replays, replayEnds, changes, holders = unpack(KEYS)
${seenLuaWith(`, 'own'`)}
local taken = 2
local function take() taken = taken + 1 return ARGV[taken] end
local function count() return tonumber(take()) end
local function text(number) return string.format('%.0f', number) end

local format, now, before = count(), tonumber(take()), tonumber(take())
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local sequence, at, ended, hash = tonumber(found[2]), math.max(now, tonumber(found[5])), tonumber(found[3]), found[4]
local previous, endedBefore = found[2], ended

local replay, digest, reply, keep = take(), take(), take(), count()
if replay ~= '' then
  local kept = redis.call('HGET', replays, replay)
  kept = kept and cmsgpack.unpack(kept)
  if kept and now < kept[4] then
    if kept[1] ~= digest then return {'key-reused'} end
    return {'replayed', text(kept[2]), text(kept[3]), kept[5], text(ended), redis.call('HGETALL', holders), found[2], hash, hashThen(), limitsOf(state)}
  end
end
if before and not (now < before) then return {'late'} end

local changed, created, fields = {}, {}, {}
${storedLua}
${givenLua}
local function load(field)
  return changed[field] or stored(field)
end
local stamp = sequence + count()
local function change(field, previous, counter, body, refs, row, mark)
  local p = previous or {}
  if not changed[field] then fields[#fields + 1] = field end
  changed[field] = {format, p[2] or stamp, p[3] or at, stamp, at, mark and stamp or p[6] or 0, mark and at or p[7] or 0, counter, body, refs or p[10] or {}, row}
  created[field] = created[field] or not previous
end

for i = 1, count() do
  local field, version = take(), count()
  local record = load(field)
  if (record and record[4] or 0) ~= version then return {'conflict', text(i)} end
end
for i = 1, count() do
  local field, body, counter, row, owner, mark = take(), take(), tonumber(take()) or -1, take(), take(), take() == '1'
  local refs = takeRefs()
  local previous = load(field)
  local was = previous and rowOf(field, previous)
  if row ~= '' and previous and was ~= row then return {'index', text(i)} end
  -- What is packed is packed by the body that it came with.
  change(field, previous, counter, body, refs or previous and refsOf(previous), row ~= '' and placedRow(field, row, owner) or was or '', mark)
end
for i = 1, count() do
  local field, max, body = take(), count(), take()
  local previous = load(field)
  local counter = math.max(previous and previous[8] or 0, 0) + 1
  if not (counter <= max) then return {'exhausted', text(i)} end
  change(field, previous, counter, previous and previous[9] or body, nil, previous and previous[11] or '', false)
end
local drops = {}
for i = 1, count() do
  local field = take()
  drops[i] = {field, load(field)}
end

-- From here on it happens. The stream goes first: it refuses a sequence that it has already.
for i = 1, count() do
  local head, middle, tail, form = take(), take(), take(), take()
  local ending, short = form == '1', form == '2'
  sequence = sequence + 1
  local bytes = head .. text(at) .. middle
  if ending then
    ended = ended + 1
    bytes = bytes .. ',"endingSequence":' .. text(ended)
  end
  bytes = bytes .. (short and '\\${SEQUENCE_CODE.charCodeAt(0)}' or ',"sequence":') .. text(sequence) .. tail
  redis.call('XADD', events, text(sequence) .. '-0', short and '${SHORT_EVENT}' or '${WHOLE_EVENT}', bytes)
  if ending then
    hash = sha256(hash .. bytes)
    redis.call('XADD', endings, text(ended) .. '-0', 's', text(sequence), 'h', hash)
  end
  for each = 1, count() do redis.call('ZADD', history, 0, take() .. string.format('%015.0f', sequence)) end
end
local owners = {}
local function place(field, row) owners[#owners + 1] = string.sub(row, 1, #row - #field - 15) end
for _, field in ipairs(fields) do
  local record = changed[field]
  if created[field] then
    redis.call('ZADD', kinds, 0, field)
    local row = rowOf(field, record)
    if row ~= '' then
      redis.call('ZADD', index, 0, row)
      place(field, row)
    end
  end
  store(field, record)
end
for _, drop in ipairs(drops) do
  redis.call('HDEL', records, drop[1])
  redis.call('ZREM', kinds, drop[1])
  fields[#fields + 1] = drop[1]
  local row = drop[2] and rowOf(drop[1], drop[2]) or ''
  if row ~= '' then
    redis.call('ZREM', index, row)
    place(drop[1], row)
  end
end
-- One that is refused leaves a gap, and whoever follows reads anew.
redis.pcall('XADD', changes, 'MAXLEN', '~', ${CHANGES_KEPT}, text(sequence) .. '-0', 'p', previous, 'n', cmsgpack.pack({fields, owners}))
local copying, copied = KEYS[#KEYS - 1], KEYS[#KEYS]
if redis.call('EXISTS', copying) == 1 then
  -- The commit before was made by a version that notes nothing.
  if found[6] ~= found[2] then redis.call('ZADD', copied, 0, '!') end
  for _, field in ipairs(fields) do redis.call('ZADD', copied, 0, field) end
end
redis.call('HSET', state, 'sequence', text(sequence), 'at', text(at), 'endings', text(ended), 'hash', hash, 'own', text(sequence))
if replay ~= '' then
  for _, field in ipairs(redis.call('ZRANGEBYSCORE', replayEnds, '-inf', now, 'LIMIT', 0, 4)) do
    redis.call('ZREM', replayEnds, field)
    redis.call('HDEL', replays, field)
  end
  redis.call('HSET', replays, replay, cmsgpack.pack({digest, sequence, at, now + keep, reply}))
  redis.call('ZADD', replayEnds, now + keep, replay)
end
-- A hint to who follows; whoever misses it looks by itself.
redis.pcall('PUBLISH', take(), ended > endedBefore and '1' or '0')
local ends = ended > endedBefore
return {'committed', text(sequence), text(at), '', text(ended), ends and redis.call('HGETALL', holders) or {}, text(sequence), hash, hashThen(), ends and limitsOf(state) or {}}
`;
