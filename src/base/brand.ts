/**
 * Tells objects of this copy of the module from objects of another copy in the same program, for
 * which `instanceof` is false: two URLs, two versions, or two places in node_modules.
 *
 * A brand only chooses the words of an error. No object is trusted because of a brand.
 *
 * @module
 */

/** The same symbol in every copy. */
const BRAND = Symbol.for("uringnet.brand");

interface Brand {
  readonly kind: string;
  readonly copy: symbol;
}

/** This copy. */
const COPY = Symbol("uringnet");

/** Marks a class; called once, in the static block of the class. Instances do not become larger. */
export function brand(type: { readonly prototype: object }, kind: string): void {
  const value: Brand = Object.freeze({ kind, copy: COPY });
  Object.defineProperty(type.prototype, BRAND, { value });
}

/** The kind of an object of another copy, such as "BufferPool"; null for any other value. */
export function foreignKind(value: unknown): string | null {
  if (value === null || typeof value !== "object") return null;
  const found = (value as { [BRAND]?: Partial<Brand> })[BRAND];
  if (found === null || typeof found !== "object" || found.copy === COPY) return null;
  return typeof found.kind === "string" ? found.kind : null;
}
