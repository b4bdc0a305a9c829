/**
 * CRC32c (Castagnoli), which protects PROXY headers of version 2 where the sender adds it.
 *
 * @module
 */

/** The reversed polynomial of RFC 3720, section 12.1. */
const POLYNOMIAL = 0x82f6_3b78;

const TABLE = new Uint32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ ((value & 1) * POLYNOMIAL);
  return value;
});

/** The checksum of `bytes`, from 0 to 2^32 - 1. */
export function crc32c(bytes: Uint8Array): number {
  let state = 0xffff_ffff;
  for (const byte of bytes) state = (state >>> 8) ^ TABLE[(state ^ byte) & 255];
  return (state ^ 0xffff_ffff) >>> 0;
}
