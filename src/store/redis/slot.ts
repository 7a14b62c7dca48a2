/** Which of a cluster's 16,384 slots a key is in: CRC16 (XMODEM) of what stands in its first braces, or of the whole key. */
const SLOTS = 16_384;

const tagged = (key: string): string => {
  const from = key.indexOf('{');
  const to = key.indexOf('}', from + 1);
  return from === -1 || to === -1 || to === from + 1 ? key : key.slice(from + 1, to);
};

export const slotOf = (key: string): number => {
  let crc = 0;
  for (const byte of Buffer.from(tagged(key), 'utf8')) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? (crc << 1) & 0xffff : ((crc << 1) ^ 0x1021) & 0xffff;
  }
  return crc % SLOTS;
};
