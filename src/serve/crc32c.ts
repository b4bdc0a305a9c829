/**
 * CRC32c (Castagnoli), which protects PROXY headers of version 2 where the sender adds it.
 *
 * @module
 */

/** The reversed polynomial of RFC 3720, section 12.1. */
const POLYNOMIAL = 0x82f6_3b78;

function newTable(): Uint32Array {
  return new Uint32Array(256).map((_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ ((value & 1) * POLYNOMIAL);
    return value;
  });
}

/** Made when first needed: few programs read such headers, and all would pay for it. */
let made: Uint32Array | null = null;

/** The checksum of `bytes`, from 0 to 2^32 - 1. */
export function crc32c(bytes: Uint8Array): number {
  const table = made ??= newTable();
  let state = 0xffff_ffff;
  for (const byte of bytes) state = (state >>> 8) ^ table[(state ^ byte) & 255];
  return (state ^ 0xffff_ffff) >>> 0;
}
