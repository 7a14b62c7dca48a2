/**
 * Scripts of a copy. A source reads records page by page while commits go on: these note the fields that they change, which are read
 * again until none is left; the last reading and where the realm stands then are one script call, so that the whole is of one instant.
 */
import { SHORT_EVENT, WHOLE_EVENT } from '../stored-event.ts';
import { givenLua, storedLua } from './stored.ts';

/** A record with its refs and its row as they read. */
const wholeLua = `
${storedLua}
local function whole(field)
  local record = stored(field)
  if record then record[10], record[11] = refsOf(record), rowOf(field, record) end
  return record
end
`;

/**
 * KEYS: state, copying, copied. ARGV: epoch, token. From now on commits note what they change; one by a version that doesn't is
 * found by the sequence that it leaves behind.
 */
export const copyBeginLua = `
local state, copying, copied = unpack(KEYS)
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return {'epoch'} end
redis.call('SET', copying, ARGV[2], 'PX', 600000)
redis.call('ZREM', copied, '!')
redis.call('HSET', state, 'own', redis.call('HGET', state, 'sequence'))
return {'begun'}
`;

/** KEYS: state, records, copying, copied. ARGV: epoch, token, fields. Answers the records, as packed; one that is gone is ''. */
export const copyPageLua = `
local state, records, copying, copied = unpack(KEYS)
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return {'epoch'} end
if redis.call('GET', copying) ~= ARGV[2] then return {'ended'} end
redis.call('SET', copying, ARGV[2], 'PX', 600000)
${wholeLua}
local found = {}
for i = 3, #ARGV do found[i - 2] = whole(ARGV[i]) or '' end
return {'page', found}
`;

/**
 * KEYS: state, records, copying, copied. ARGV: epoch, token, how many. Answers fields and records that were changed meanwhile; when these were
 * the last ones also where the realm stands, and the copy has ended.
 */
export const copyRestLua = `
local state, records, copying, copied = unpack(KEYS)
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return {'epoch'} end
if redis.call('GET', copying) ~= ARGV[2] then return {'ended'} end
${wholeLua}
local own = redis.call('HMGET', state, 'own', 'sequence')
if own[1] ~= own[2] or redis.call('ZRANGEBYLEX', copied, '[!', '[!')[1] then return {'older'} end
local fields = redis.call('ZRANGEBYLEX', copied, '-', '+', 'LIMIT', 0, tonumber(ARGV[3]))
local found = {}
for i, field in ipairs(fields) do
  found[i] = whole(field) or ''
  redis.call('ZREM', copied, field)
end
if #fields == tonumber(ARGV[3]) then return {'more', fields, found} end
redis.call('SET', copying, '', 'PX', 1)
return {'last', fields, found, redis.call('HMGET', state, 'sequence', 'at', 'endings', 'hash')}
`;

/** KEYS: state, replays. ARGV: epoch, fields. Answers what was kept under them, as packed; '' = nothing. */
export const copyReplaysLua = `
local state, replays = unpack(KEYS)
if redis.call('HGET', state, 'epoch') ~= ARGV[1] then return {'epoch'} end
local found = {}
for i = 2, #ARGV do
  local kept = redis.call('HGET', replays, ARGV[i])
  found[i - 1] = kept and cmsgpack.unpack(kept) or ''
end
return {'replays', found}
`;

/**
 * Writes entries into a realm that is being filled; any of them may have been written before. KEYS: those of `realmKeys`. ARGV: what the realm's
 * epoch must be, records {field, head as JSON, row, its owner packed, body, refs (-2 = packed) {field}}, dropped {field}, events {sequence,
 * bytes, whether shortened, endings' sequence or '', hash, about {row}}, replays {field, digest, sequence, instant, end, reply}.
 */
export const loadLua = `
local state, records, kinds, index, events, endings, history, replays, replayEnds = unpack(KEYS)
local taken = 0
local function take() taken = taken + 1 return ARGV[taken] end
local function count() return tonumber(take()) end
if redis.call('HGET', state, 'epoch') ~= take() then return {'epoch'} end
${storedLua}
${givenLua}
-- One that is there already came with an earlier attempt: the same again.
local function append(stream, id, ...)
  if #redis.call('XRANGE', stream, id, id) == 0 then redis.call('XADD', stream, id, ...) end
end
for i = 1, count() do
  local field, packed, row, owner = take(), cjson.decode(take()), take(), take()
  packed[9], packed[10], packed[11] = take(), takeRefs(), placedRow(field, row, owner)
  store(field, packed)
  redis.call('ZADD', kinds, 0, field)
  if row ~= '' then redis.call('ZADD', index, 0, row) end
end
for i = 1, count() do
  local field = take()
  local record = stored(field)
  local row = record and rowOf(field, record) or ''
  redis.call('HDEL', records, field)
  redis.call('ZREM', kinds, field)
  if row ~= '' then redis.call('ZREM', index, row) end
end
for i = 1, count() do
  local sequence, bytes, short, ending, hash = take(), take(), take() == '1', take(), take()
  append(events, sequence .. '-0', short and '${SHORT_EVENT}' or '${WHOLE_EVENT}', bytes)
  if ending ~= '' then append(endings, ending .. '-0', 's', sequence, 'h', hash) end
  for each = 1, count() do redis.call('ZADD', history, 0, take()) end
end
for i = 1, count() do
  local field, digest, sequence, at, ends, reply = take(), take(), count(), count(), count(), take()
  redis.call('HSET', replays, field, cmsgpack.pack({digest, sequence, at, ends, reply}))
  redis.call('ZADD', replayEnds, ends, field)
end
return {'loaded'}
`;

/** Gives a realm that was filled, or retired, its place: KEYS: state. ARGV: epoch as it must be, then fields and values; the epoch last. */
export const placeLua = `
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return {'epoch', redis.call('HGET', KEYS[1], 'epoch') or ''} end
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return {'placed'}
`;
