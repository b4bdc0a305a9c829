/**
 * Numeric IP addresses to bytes.
 *
 * @module
 */

export interface Ip {
  family: 4 | 6;
  bytes: Uint8Array;
  /** The interface after "%": its number, or its name. 0 when there is none. */
  scope: number | string;
}

/**
 * `if_nametoindex(3)` takes names of up to 15 bytes (IFNAMSIZ of linux/if.h, less the NUL). The
 * kernel's names have no ASCII space, "/" or ":".
 */
const SCOPE = /^([^%]*)%([^%/:\0\t-\r ]{1,15})$/;
const SCOPE_NUMBER_MAX = 0xffff_ffff;

/** A number, or else the name of an interface. */
function parseScope(text: string): number | string {
  return /^\d+$/.test(text) && Number(text) <= SCOPE_NUMBER_MAX ? Number(text) : text;
}

function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    if (!/^(0|[1-9]\d{0,2})$/.test(parts[i]) || Number(parts[i]) > 255) return null;
    bytes[i] = Number(parts[i]);
  }
  return bytes;
}

/** `isLast`: these groups end the address, so an IPv4 address may end them. */
function parseGroups(text: string, isLast: boolean): number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (let i = 0; i < parts.length; i++) {
    if (isLast && i === parts.length - 1 && parts[i].includes(".")) {
      const bytes = parseIpv4(parts[i]);
      if (bytes === null) return null;
      groups.push((bytes[0] << 8) | bytes[1], (bytes[2] << 8) | bytes[3]);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(parts[i])) return null;
      groups.push(parseInt(parts[i], 16));
    }
  }
  return groups;
}

function parseIpv6(text: string): Uint8Array | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const front = parseGroups(halves[0], halves.length === 1);
  const back = halves.length === 2 ? parseGroups(halves[1], true) : [];
  if (front === null || back === null) return null;
  const missing = 8 - front.length - back.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const groups = [...front, ...new Array(missing).fill(0), ...back];
  const bytes = new Uint8Array(16);
  groups.forEach((group, i) => {
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group & 0xff;
  });
  return bytes;
}

/** The bytes of a numeric address, or null when `text` is a name. */
export function parseIp(text: string): Ip | null {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== null) return { family: 4, bytes: ipv4, scope: 0 };
  const [, address, scope] = SCOPE.exec(text) ?? [null, text, "0"];
  if (!address.includes(":")) return null;
  const bytes = parseIpv6(address);
  return bytes === null ? null : { family: 6, bytes, scope: parseScope(scope) };
}
