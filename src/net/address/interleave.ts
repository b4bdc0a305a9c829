/**
 * The order in which the addresses of a name are tried.
 *
 *   6a 6b 6c 4a 4b -> 6a 4a 6b 4b 6c
 *
 * @module
 */

/**
 * Orders addresses so that families alternate, beginning with that of the first address (RFC 8305,
 * section 4). So a family that does not work costs one delay, not one for each of its addresses.
 * Each family keeps its order.
 */
export function interleave<T>(found: readonly T[], familyOf: (one: T) => 4 | 6): T[] {
  if (found.length < 3) return [...found];
  const family = familyOf(found[0]);
  const first = found.filter((one) => familyOf(one) === family);
  const second = found.filter((one) => familyOf(one) !== family);
  const ordered: T[] = [];
  for (let i = 0; i < Math.max(first.length, second.length); i++) {
    if (i < first.length) ordered.push(first[i]);
    if (i < second.length) ordered.push(second[i]);
  }
  return ordered;
}
