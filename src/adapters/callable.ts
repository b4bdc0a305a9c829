/**
 * A class that may be called without `new`, as Node's constructors may.
 *
 *   new C(options)          an object
 *   C(options)              the same
 *   C.call(this, options)   in the constructor of a class made before `class` syntax: `this`
 *
 * `instead` may return another object for the first two.
 *
 * @module
 */

// deno-lint-ignore no-explicit-any
type AnyClass = { new (...args: any[]): any; inherit(self: any, ...args: any[]): void };

export function callable<C extends AnyClass>(
  Class: C,
  name: string,
  instead: (...args: unknown[]) => object | null = () => null,
): C {
  const target = function (this: unknown, ...args: unknown[]): unknown {
    if (new.target !== undefined) {
      const own = (new.target as unknown) === target;
      const other = own ? instead(...args) : null;
      if (other !== null) return other;
      return Reflect.construct(Class, args, own ? Class : new.target);
    }
    if (!(this instanceof target)) return instead(...args) ?? new Class(...args);
    Class.inherit(this, ...args);
    return this;
  } as unknown as C;
  Object.defineProperty(target, "name", { value: name, configurable: true });
  // `inherit` has the parameters of the constructor, and the object before them.
  Object.defineProperty(target, "length", { value: Class.inherit.length - 1, configurable: true });
  Object.setPrototypeOf(target, Object.getPrototypeOf(Class));
  Object.defineProperty(target, "prototype", { value: Class.prototype });
  Object.defineProperty(Class.prototype, "constructor", {
    value: target,
    configurable: true,
    writable: true,
  });
  return target;
}
