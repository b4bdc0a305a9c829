/**
 * The ways to `node:net` in Deno, and how each one is redirected:
 *
 *   import, in any module     -> module.registerHooks: a module made of the replaced exports
 *   require                   -> Module._load
 *   process.getBuiltinModule  -> a function in its place
 *
 * The runtime's own `node:net` is left unchanged, because its `node:http` and `node:tls` use it.
 * `node:tls` and `node:http2` are changed in place. Only an `import` needs the hook for them,
 * because their named exports have been read before.
 *
 * @module
 */
import process from "node:process";
import { type Exports, nodeModules, replace } from "./node_modules.ts";
import { registerLog } from "./register_log.ts";

type Resolve = (specifier: string, context: ResolveContext, next: NextResolve) => unknown;
type NextResolve = (specifier: string, context: ResolveContext) => unknown;

interface ResolveContext {
  conditions?: readonly string[];
  parentURL?: string;
}

/** The key under which a generated module finds its exports. */
const KEY = "uringnet.register.exports";

/** Modules by their name without "node:". */
export type Replaced = Readonly<Record<string, Exports>>;

function nameOf(specifier: string): string {
  return specifier.startsWith("node:") ? specifier.slice(5) : specifier;
}

/** The URL of a generated module whose exports are the properties of the object. */
function moduleUrl(name: string, exports: Exports): string {
  const names = Object.keys(exports).filter((key) =>
    /^[A-Za-z_$][\w$]*$/.test(key) && key !== "default"
  );
  const source = `const exports = globalThis[Symbol.for(${JSON.stringify(KEY)})].${name};
export default exports;
export const { ${names.join(", ")} } = exports;
`;
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

interface Hook {
  deregister(): void;
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** The hook for imports. It is removed while `require` loads, and back while its modules run. */
class ImportHook {
  readonly #module: Exports;
  readonly #resolve: Resolve;
  #hook: Hook | null = null;

  constructor(module: Exports, resolve: Resolve) {
    this.#module = module;
    this.#resolve = resolve;
    this.#set(true);
    const { prototype } = module.Module;
    const { _compile: compile } = prototype;
    const running = this.#during(true, compile);
    replace(prototype, "_compile", function (this: unknown, ...args: unknown[]) {
      return Reflect.apply(args[2] === "module" ? compile : running, this, args);
    });
    replace(module, "_load", this.#during(false, module._load));
  }

  #set(present: boolean): void {
    if (present === (this.#hook !== null)) return;
    this.#hook?.deregister();
    this.#hook = present ? this.#module.registerHooks({ resolve: this.#resolve }) as Hook : null;
  }

  /** The method, with or without the hook while it runs. */
  #during(present: boolean, method: Method): Method {
    const set = (value: boolean): void => this.#set(value);
    const isSet = (): boolean => this.#hook !== null;
    return function (...args) {
      const before = isSet();
      set(present);
      try {
        return Reflect.apply(method, this, args);
      } finally {
        set(before);
      }
    };
  }
}

/** Replaces the modules for everything that is loaded from now on. */
export function denoHooks(replaced: Replaced, realNet: Exports): void {
  Object.defineProperty(globalThis, Symbol.for(KEY), { value: replaced });
  const urls = new Map(
    Object.entries(replaced).map(([name, exports]) => [name, moduleUrl(name, exports)]),
  );
  const logged = registerLog.wanted();
  const module = nodeModules("module");
  const resolve: Resolve = (specifier, context, next) => {
    const url = urls.get(nameOf(specifier));
    const { conditions = [], parentURL = "the program" } = context;
    // A required module comes from Module._load.
    if (url === undefined || conditions.includes("require")) return next(specifier, context);
    if (logged) registerLog.tell(specifier, parentURL);
    return { url, format: "module", shortCircuit: true };
  };
  new ImportHook(module, resolve);
  const load = module._load;
  replace(module, "_load", function (this: unknown, ...args: unknown[]) {
    const [request, parent] = args as [unknown, { filename?: string } | undefined];
    const name = typeof request === "string" ? nameOf(request) : "";
    if (!Object.hasOwn(replaced, name)) return Reflect.apply(load, this, args);
    if (logged) registerLog.tell(String(request), parent?.filename ?? "the program");
    return replaced[name];
  });
  const target = process as unknown as { getBuiltinModule(name: string): unknown };
  const getBuiltinModule = target.getBuiltinModule;
  replace(target, "getBuiltinModule", function (this: unknown, name: string) {
    const found = Reflect.apply(getBuiltinModule, process, [name]);
    return found === realNet ? replaced.net : found;
  });
}
