/** Lua that scripts share: a record as it is stored. Uses the local `records`, the key of the realm's hash. */
import { RECORD_FORMAT } from '../record.ts';

export const storedLua = `
local function stored(field)
  local bytes = redis.call('HGET', records, field)
  if not bytes then return nil end
  local record = cmsgpack.unpack(bytes)
  if record[1] ~= ${RECORD_FORMAT} then error('CURFEW a record of another format') end
  return record
end
`;
