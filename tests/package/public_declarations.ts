/**
 * The public declarations of mod.ts, as `deno doc --json` reads them from the sources.
 *
 * @module
 */
import { join } from "node:path";
import { ROOT } from "./program.ts";
import { run, tool } from "./tools.ts";

export interface Tag {
  kind: string;
  name?: string;
  doc?: string;
  /** Of "default". */
  value?: string;
  tsType?: { repr: string };
}

interface JsDoc {
  doc?: string;
  tags?: Tag[];
}

interface Param {
  kind: string;
  name?: string;
  optional?: boolean;
  left?: { name: string };
  arg?: { name: string };
}

interface RawMember {
  name: string;
  kind?: string;
  jsDoc?: JsDoc;
  optional?: boolean;
  isOptional?: boolean;
  accessibility?: string;
  computed?: boolean;
  params?: Param[];
  functionDef?: { params: Param[]; returnType?: { repr: string; value?: unknown } };
  returnType?: { repr: string; value?: unknown };
}

interface RawDeclaration {
  kind: string;
  jsDoc?: JsDoc;
  def: {
    constructors?: RawMember[];
    methods?: RawMember[];
    properties?: RawMember[];
    params?: Param[];
    returnType?: { repr: string; value?: unknown };
  };
}

/** A member of a public class or interface, or a public function. */
export interface Member {
  /** "Sink.send", or "probe". */
  name: string;
  kind: "constructor" | "method" | "getter" | "property" | "function";
  doc: string;
  tags: Tag[];
  optional: boolean;
  /** "data" or "options?", for what can be called. */
  params: string[];
  /** Whether it returns a value, or resolves with one. */
  returns: boolean;
}

export interface PublicSymbol {
  name: string;
  kind: string;
  doc: string;
  tags: Tag[];
  members: Member[];
}

function paramOf(param: Param): string {
  switch (param.kind) {
    case "assign":
      return `${param.left?.name}?`;
    case "rest":
      return `...${param.arg?.name}`;
    default:
      return `${param.name}${param.optional ? "?" : ""}`;
  }
}

/** Whether a call gives a value: neither `void` nor `Promise<void>`. */
function gives(type: { repr: string; value?: unknown } | undefined): boolean {
  if (type === undefined || type.repr === "void") return false;
  return !(type.repr === "Promise" && JSON.stringify(type.value).includes('"repr":"void"'));
}

function memberOf(owner: string, raw: RawMember, kind: Member["kind"]): Member {
  const call = raw.functionDef ?? raw;
  return {
    name: kind === "constructor" ? owner : `${owner}.${raw.name}`,
    kind,
    doc: raw.jsDoc?.doc ?? "",
    tags: raw.jsDoc?.tags ?? [],
    optional: raw.optional ?? raw.isOptional ?? false,
    params: (call.params ?? []).map(paramOf),
    returns: kind !== "constructor" && gives(call.returnType),
  };
}

function kindOf(raw: RawMember): Member["kind"] {
  return raw.kind === "getter" ? "getter" : "method";
}

function symbolOf(name: string, { kind, jsDoc, def }: RawDeclaration): PublicSymbol {
  const visible = (raw: RawMember) =>
    raw.accessibility !== "private" && raw.accessibility !== "protected";
  const members = [
    ...(def.constructors ?? []).filter(visible).map((raw) => memberOf(name, raw, "constructor")),
    ...(def.methods ?? []).filter(visible).map((raw) => memberOf(name, raw, kindOf(raw))),
    ...(def.properties ?? []).filter(visible).map((raw) => memberOf(name, raw, "property")),
  ];
  const raw: RawMember = { name, params: def.params ?? [] };
  if (jsDoc !== undefined) raw.jsDoc = jsDoc;
  if (def.returnType !== undefined) raw.returnType = def.returnType;
  if (kind === "function") members.push({ ...memberOf("", raw, "function"), name });
  return { name, kind, doc: jsDoc?.doc ?? "", tags: jsDoc?.tags ?? [], members };
}

/** Every symbol that mod.ts exports, and the description of the module itself. */
export async function publicDeclarations(): Promise<
  { symbols: PublicSymbol[]; moduleTags: Tag[] }
> {
  const ran = await run([tool("deno"), "doc", "--json", "mod.ts"], { cwd: ROOT });
  if (ran.code !== 0) throw new Error(ran.errors);
  const [module] = Object.values(JSON.parse(ran.output).nodes) as {
    module_doc?: JsDoc;
    symbols: { name: string; declarations: RawDeclaration[] }[];
  }[];
  const symbols = module.symbols.flatMap(({ name, declarations }) =>
    declarations.map((declaration) => symbolOf(name, declaration))
  );
  return { symbols, moduleTags: module.module_doc?.tags ?? [] };
}

/** The sources of the examples, each with the name of its symbol. */
export function examplesOf(
  symbols: readonly PublicSymbol[],
  moduleTags: Tag[],
): [string, string][] {
  const found: [string, string][] = [];
  const add = (name: string, tags: Tag[]) => {
    for (const { kind, doc = "" } of tags) {
      if (kind !== "example") continue;
      const code = /```ts\n([\s\S]*?)```/.exec(doc)?.[1];
      if (code === undefined) throw new Error(`The example of ${name} has no ts block: ${doc}`);
      found.push([name, code]);
    }
  };
  add("mod", moduleTags);
  for (const symbol of symbols) {
    if (symbol.kind !== "function") add(symbol.name, symbol.tags);
    for (const member of symbol.members) add(member.name, member.tags);
  }
  return found;
}

export const API = join(ROOT, "docs", "API.md");
