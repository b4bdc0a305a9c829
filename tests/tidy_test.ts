/**
 * Tests about the code itself: layers, names, sizes, links. Each rule is a function from files to
 * complaints. It must have none about this project, and must find each planted fault below.
 *
 * Not a plugin of `deno lint`: it would see only TypeScript, one file at a time, and not run in
 * Bun; C would need the tokenizer all the same.
 *
 * @module
 */
import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, suite } from "./harness.ts";

/** Path from the root of the project, with slashes, to text. */
type Files = ReadonlyMap<string, string>;
type Rule = (files: Files) => string[];

const SOURCE_LINES_MAX = 300;
/**
 * Files of src that may be longer: a ratchet. A figure may fall, and rise only with a better reason
 * than that the limit was reached, as pieces moved out for that alone make a worse house.
 */
const LONGER_SOURCES: Readonly<Record<string, readonly [linesMax: number, reason: string]>> = {
  "src/buf/io_bufs.ts": [370, "a public class with the documentation of its members"],
  "src/buf/buffer_pool.ts": [310, "a public class with the documentation of its members"],
  "src/net/accept/accept_queue.ts": [325, "the accepting half is one state machine"],
  "src/net/config/config.ts": [390, "the configuration with the documentation of its fields"],
  "src/net/recv/recv_half.ts": [400, "the receiving half is one state machine"],
  "src/net/recv/stream.ts": [440, "a public class with the documentation of its members"],
  "src/net/send/send_half.ts": [340, "the sending half is one state machine"],
  "src/ring/pump.ts": [310, "when to take a turn and when to sleep is one state machine"],
  "src/ring/ring.ts": [340, "staging, delivery, containment and the end of one ring are one story"],
};
const FUNCTION_LINES_MAX = 70;
const COLUMNS_MAX = 100;

/** A room may import from itself and from the rooms of a lower layer. */
const LAYERS: Readonly<Record<string, number>> = {
  base: 0,
  buf: 1,
  ring: 2,
  net: 3,
  serve: 4,
  metrics: 4,
  adapters: 4,
  // The port over node:net and plain memory. Beside the rooms above `net`, as it reads addresses;
  // the core knows it by the interface of `ring` alone.
  portable: 4,
};

/**
 * The doctor examines what mod.ts would choose. It is a program of its own, which nothing imports,
 * and stands above all rooms.
 */
const DOCTOR = /^src\/doctor(?:\.ts$|\/)/;

/** Files beside mod.ts that know src/ and ffi/, and may not know mod.ts. */
const CHOOSERS = ["backends.ts"];

/**
 * The rooms of src/net, in the order of their imports. Rooms of one level do not know each other.
 */
const NET_LEVELS: readonly (readonly string[])[] = [
  ["address"],
  ["config"],
  ["call"],
  ["socket"],
  ["send", "recv"],
  ["connection"],
  ["accept", "dial"],
  ["lifecycle"],
];

/** The parts of src/ that ffi/ may import: the interfaces that it implements. */
const FFI_MAY_IMPORT = /^(?:src\/ring\/port\.ts|src\/buf\/slab\.ts|src\/base\/[^/]+\.ts)$/;

/** Files that may print, and why. */
const CONSOLE_ALLOWED: Readonly<Record<string, string>> = {
  "ffi/native.ts": "warns once about a buffer that was dropped without release",
  "ffi/host.ts": "tells of failed handlers where the server has no onError",
};

const BANNED_OUTSIDE_FFI = ["Deno.", "Bun.", "bun:ffi", "Pointer", "dlopen", "BigInt("];
const SKIPPED_FOLDERS = new Set([".git", "node_modules", "ffi/build", "bench/build", "types"]);

// ---------------------------------------------------------------------------------- reading text

interface Blanking {
  comments: boolean;
  strings: boolean;
}

/** Overwrites comments and, if asked, the insides of strings with spaces; keeps lines. */
function blank(text: string, { comments, strings }: Blanking, language: "ts" | "c" = "ts"): string {
  const output = text.split("");
  const erase = (from: number, to: number, wanted: boolean) => {
    for (let at = from; wanted && at < to; at++) if (output[at] !== "\n") output[at] = " ";
  };
  // For each open template expression, the depth of braces inside it.
  const templates: number[] = [];
  let last = "";
  let at = 0;
  while (at < text.length) {
    const char = text[at];
    const two = text.slice(at, at + 2);
    let end = at + 1;
    if (two === "//" || two === "/*") {
      const close = two === "//" ? text.indexOf("\n", at) : text.indexOf("*/", at + 2);
      end = close < 0 ? text.length : close + (two === "//" ? 0 : 2);
      erase(at, end, comments);
      at = end;
      continue;
    }
    if (char === '"' || char === "'") {
      end = endOfString(text, at);
      erase(at + 1, end - 1, strings);
    } else if (language === "ts" && (char === "`" || (char === "}" && templates.at(-1) === 0))) {
      if (char === "}") templates.pop();
      end = endOfTemplate(text, at + 1);
      const opensExpression = text[end - 1] === "{";
      if (opensExpression) templates.push(0);
      erase(at + 1, opensExpression ? end - 2 : end - 1, strings);
    } else if (language === "ts" && char === "/" && startsRegExp(last)) {
      end = endOfRegExp(text, at);
      erase(at + 1, end - 1, strings);
    } else if (templates.length > 0 && char === "{") {
      templates[templates.length - 1]++;
    } else if (templates.length > 0 && char === "}") {
      templates[templates.length - 1]--;
    }
    if (!/\s/.test(char)) last = (last + text.slice(at, end)).slice(-12);
    else if (!last.endsWith(" ")) last += " ";
    at = end;
  }
  return output.join("");
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== text[start] && text[at] !== "\n") {
    at += text[at] === "\\" ? 2 : 1;
  }
  return Math.min(at + 1, text.length);
}

/** After the closing backtick, or after the `${` of an expression. */
function endOfTemplate(text: string, start: number): number {
  let at = start;
  while (at < text.length && text[at] !== "`") {
    if (text[at] === "$" && text[at + 1] === "{") return at + 2;
    at += text[at] === "\\" ? 2 : 1;
  }
  return Math.min(at + 1, text.length);
}

function endOfRegExp(text: string, start: number): number {
  let at = start + 1;
  let inClass = false;
  while (at < text.length && text[at] !== "\n" && (inClass || text[at] !== "/")) {
    if (text[at] === "[") inClass = true;
    if (text[at] === "]") inClass = false;
    at += text[at] === "\\" ? 2 : 1;
  }
  return Math.min(at + 1, text.length);
}

/** A slash after an operator or a keyword starts a regular expression; elsewhere it divides. */
function startsRegExp(before: string): boolean {
  const trimmed = before.trimEnd();
  return trimmed === "" ||
    /(?:[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of))$/.test(trimmed);
}

const code = (text: string) => blank(text, { comments: true, strings: false });

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

/** All matches of a pattern as "path:line: message". */
function complain(
  path: string,
  text: string,
  pattern: RegExp,
  message: (found: RegExpMatchArray) => string | null,
): string[] {
  const complaints: string[] = [];
  for (const found of text.matchAll(pattern)) {
    const said = message(found);
    if (said !== null) complaints.push(`${path}:${lineOf(text, found.index)}: ${said}`);
  }
  return complaints;
}

function each(files: Files, pattern: RegExp, check: (path: string, text: string) => string[]) {
  return [...files].filter(([path]) => pattern.test(path)).flatMap(([path, text]) =>
    check(path, text)
  );
}

// ----------------------------------------------------------------------------------------- rules

const SOURCE = /^src\/.*\.ts$/;
const LIBRARY = /^(?:mod\.ts|backends\.ts|(?:src|ffi)\/.*\.ts)$/;
const SPECIFIER = /(?:\bfrom\s*|\bimport\s*\(\s*|^\s*import\s*)(["'])([^"'\n]+)\1/gm;

/** The same for two files of src/net. */
function netFault(from: string, target: string): string | null {
  const [room, targetRoom] = [from, target].map((path) => path.split("/")[2]);
  if (room === targetRoom) return null;
  const levelOf = (name: string) => NET_LEVELS.findIndex((rooms) => rooms.includes(name));
  const stranger = [room, targetRoom].find((name) => levelOf(name) < 0);
  if (stranger !== undefined) return `"${stranger}" is not one of the rooms of src/net`;
  return levelOf(targetRoom) < levelOf(room) ? null : `"${room}" is not above "${targetRoom}"`;
}

/** Why one file may not import another, or null. Both are paths from the root. */
function importFault(from: string, target: string, typeOnly: boolean): string | null {
  if (from === "mod.ts") return target === "deps.ts" ? "would make every user load packages" : null;
  if (target === "deps.ts") return "only users import packages, by name";
  if (DOCTOR.test(from)) return null;
  if (DOCTOR.test(target)) return "the doctor is a program of its own";
  if (CHOOSERS.includes(from)) return target === "mod.ts" ? "mod.ts is the top" : null;
  const [area, room] = from.split("/");
  // Adapters that open a network of their own stand beside the users of the package.
  if (target === "mod.ts" && room === "adapters") return null;
  if (target === "mod.ts") return "mod.ts is the top";
  const [targetArea, targetRoom] = target.split("/");
  if (area === "ffi") {
    if (targetArea === "ffi") return null;
    if (!FFI_MAY_IMPORT.test(target)) return "ffi may import only the port, the slab and base";
    const isPort = target === "src/ring/port.ts";
    return isPort && !typeOnly ? "the port is imported by `import type`" : null;
  }
  if (targetArea !== "src") return "src knows nothing outside of src";
  if (!(room in LAYERS)) return `"${room}" is not one of the rooms ${Object.keys(LAYERS).join()}`;
  if (room === "net" && targetRoom === "net") return netFault(from, target);
  if (room === targetRoom) return null;
  return LAYERS[targetRoom] < LAYERS[room] ? null : `"${room}" is not above "${targetRoom}"`;
}

const layers: Rule = (files) =>
  each(files, LIBRARY, (path, text) =>
    complain(path, code(text), SPECIFIER, (found) => {
      const specifier = found[2];
      if (!specifier.startsWith(".")) return null;
      const target = posix.join(posix.dirname(path), specifier);
      const statement = code(text).slice(0, found.index).split(";").at(-1) ?? "";
      const typeOnly = /\b(?:import|export)\s+type\b[^;]*$/.test(statement);
      const fault = importFault(path, target, typeOnly);
      return fault && `imports ${target}: ${fault}`;
    }));

/** The files of src that each file of src imports; type imports count. */
function importGraph(files: Files): Map<string, string[]> {
  const graph = new Map<string, string[]>();
  for (const [path, text] of files) {
    if (!SOURCE.test(path)) continue;
    const targets = [...code(text).matchAll(SPECIFIER)].map((found) => found[2])
      .filter((specifier) => specifier.startsWith("."))
      .map((specifier) => posix.join(posix.dirname(path), specifier));
    graph.set(path, targets.filter((target) => SOURCE.test(target) && files.has(target)));
  }
  return graph;
}

/** The cycles of a graph, each as all nodes that reach each other (Tarjan). */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const order = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[][] = [];
  const visit = (node: string): number => {
    let low = order.size;
    order.set(node, low);
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!order.has(next)) low = Math.min(low, visit(next));
      else if (stack.includes(next)) low = Math.min(low, order.get(next) as number);
    }
    if (low !== order.get(node)) return low;
    const members = stack.splice(stack.indexOf(node));
    if (members.length > 1 || graph.get(node)?.includes(node)) cycles.push(members.sort());
    return low;
  };
  for (const node of graph.keys()) if (!order.has(node)) visit(node);
  return cycles;
}

const cycles: Rule = (files) =>
  cyclesOf(importGraph(files)).map((members) => `import cycle: ${members.join(" ")}`);

const packages: Rule = (files) =>
  each(files, LIBRARY, (path, text) => [
    ...complain(path, code(text), SPECIFIER, ([, , specifier]) => {
      if (/^(?:\.|node:)/.test(specifier)) return null;
      if (specifier === "bun:ffi" && path.startsWith("ffi/")) return null;
      return `imports "${specifier}": packages are named in deps.ts only`;
    }),
    ...complain(path, code(text), /npm:|prom-client/g, ([name]) => `names ${name} outside deps.ts`),
  ]);

const bannedNames: Rule = (files) =>
  each(
    files,
    /^(?:mod\.ts|backends\.ts|src\/.*\.ts)$/,
    (path, text) =>
      BANNED_OUTSIDE_FFI.flatMap((name) => {
        // Adapters may ask which runtime they run in, and for what that runtime offers.
        if (path.startsWith("src/adapters/") && /^(?:Deno|Bun)\.$/.test(name)) return [];
        const start = /^\w/.test(name) ? "\\b" : "";
        const escaped = name.replace(/[.(]/g, "\\$&");
        return complain(
          path,
          code(text),
          new RegExp(start + escaped, "g"),
          () => `"${name}" belongs in ffi/`,
        );
      }),
  );

const fileSizes: Rule = (files) =>
  each(files, SOURCE, (path, text) => {
    const lines = text.split("\n").length - 1;
    const [limit] = LONGER_SOURCES[path] ?? [SOURCE_LINES_MAX];
    return lines > limit ? [`${path}: ${lines} lines, limit ${limit}`] : [];
  });

const CONTROL = new Set(["if", "for", "while", "switch", "catch", "with"]);

/** Whether the brace at this index opens the body of a function. */
function opensFunction(text: string, brace: number): boolean {
  const before = text.slice(0, brace).trimEnd();
  if (before.endsWith("=>")) return true;
  // Without the type that it returns, a signature ends with its parameters.
  const fragment = before.slice(Math.max(...[";", "{", "}"].map((c) => before.lastIndexOf(c))) + 1);
  const head = fragment.replace(/\)\s*:(?:[^?=]|=>)*$/, ")");
  if (!head.endsWith(")")) return false;
  let depth = 0;
  for (let at = head.length - 1; at >= 0; at--) {
    if (head[at] === ")") depth++;
    if (head[at] === "(" && --depth === 0) {
      const word = /([\w$]+)\s*(?:<[^()]*>)?\s*$/.exec(head.slice(0, at))?.[1];
      return word === undefined || !CONTROL.has(word);
    }
  }
  return true;
}

/** The functions of a file that are longer than the limit, with their length. */
function longFunctions(text: string, language: "ts" | "c"): { line: number; lines: number }[] {
  const plain = blank(text, { comments: true, strings: true }, language);
  const open: { start: number; isFunction: boolean }[] = [];
  const found: { line: number; lines: number }[] = [];
  let statement = 0;
  for (let at = 0; at < plain.length; at++) {
    const char = plain[at];
    if (char === "{") {
      const start = statement + plain.slice(statement).search(/\S/);
      const isFunction = language === "c" ? open.length === 0 : true;
      open.push({ start, isFunction: isFunction && opensFunction(plain, at) });
    } else if (char === "}") {
      const closed = open.pop();
      if (closed?.isFunction) {
        const line = lineOf(plain, closed.start);
        const lines = lineOf(plain, at) - line + 1;
        if (lines > FUNCTION_LINES_MAX) found.push({ line, lines });
      }
    }
    if (char === ";" || char === "{" || char === "}") statement = at + 1;
  }
  return found;
}

const functionSizes: Rule = (files) =>
  each(
    files,
    /^(?:(?:src|ffi)\/.*\.(?:ts|c|h)|tests\/.*\.[ch]|mod\.ts)$/,
    (path, text) =>
      longFunctions(text, path.endsWith(".ts") ? "ts" : "c").map(({ line, lines }) =>
        `${path}:${line}: a function of ${lines} lines, limit ${FUNCTION_LINES_MAX}`
      ),
  );

const columns: Rule = (files) =>
  each(
    files,
    /\.(?:ts|c|h|sh)$/,
    (path, text) =>
      text.split("\n").flatMap((line, index) =>
        line.length > COLUMNS_MAX && !line.includes("://")
          ? [`${path}:${index + 1}: ${line.length} columns, limit ${COLUMNS_MAX}`]
          : []
      ),
  );

const headers: Rule = (files) =>
  each(files, /^(?:mod\.ts|src\/.*\.ts)$/, (path, text) => {
    const header = /^\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? "";
    return /@module\b/.test(header) ? [] : [`${path}: starts with no header that has @module`];
  });

const EXPORTED =
  /^export\s+(?:abstract\s+|async\s+)*(class|function|const|let|enum|interface|type)\s+([\w$]+)/gm;

const mainExports: Rule = (files) =>
  each(files, SOURCE, (path, text) => {
    const name = posix.basename(path, ".ts");
    const plain = (symbol: string) => symbol.replaceAll("_", "").toLowerCase();
    const symbols = [...code(text).matchAll(EXPORTED)];
    const reexported = [...code(text).matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}/gm)]
      .flatMap(([, list]) => list.split(",").map((item) => item.trim().split(/\s+/).at(-1) ?? ""));
    const all = [...symbols.map((found) => found[2]), ...reexported].filter(Boolean);
    const classes = symbols.filter((found) => found[1] === "class").map((found) => found[2]);
    // Without a class, a file is named after what its exports share: port.ts has RingPort.
    const named = all.some((symbol) => plain(symbol) === plain(name)) ||
      (classes.length === 0 && all.some((symbol) => plain(symbol).includes(plain(name))));
    return [
      ...named
        ? []
        : [`${path}: exports nothing called "${name}", but ${all.join(", ") || "nothing"}`],
      ...classes.length > 1
        ? [`${path}: exports the classes ${classes.join(", ")}, wants one`]
        : [],
    ];
  });

const leftovers: Rule = (files) =>
  each(
    files,
    /\.(?:ts|c|h|sh|json|md|toml)$|Makefile$/,
    (path, text) =>
      complain(path, text, new RegExp("\\b(?:TO" + "DO|FIX" + "ME)\\b", "g"), ([word]) =>
        `has a ${word}`),
  );

const printing: Rule = (files) =>
  each(
    files,
    LIBRARY,
    (path, text) =>
      path in CONSOLE_ALLOWED
        ? []
        : complain(path, code(text), /\bconsole\s*\./g, () => "a library does not print"),
  );

/** The fragment that GitHub gives to a heading. */
function slug(heading: string): string {
  return heading.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-");
}

function prose(markdown: string): string {
  const hide = (text: string) => text.replace(/[^\n]/g, " ");
  return markdown.replace(/^(```|~~~)[\s\S]*?^\1/gm, hide).replace(/`[^`\n]*`/g, hide);
}

function fragments(markdown: string): Set<string> {
  const visible = markdown.replace(/^(```|~~~)[\s\S]*?^\1/gm, "");
  const seen = new Map<string, number>();
  const all = new Set<string>();
  for (const [, heading] of visible.matchAll(/^#{1,6}\s+(.*?)\s*#*$/gm)) {
    const base = slug(heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1"));
    const count = seen.get(base) ?? 0;
    seen.set(base, count + 1);
    all.add(count === 0 ? base : `${base}-${count}`);
  }
  for (const [, id] of visible.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) all.add(id);
  return all;
}

const LINK =
  /\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|^\[[^\]]+\]:\s*(\S+)|\b(?:src|href)="([^"]+)"/gm;

const links: Rule = (files) =>
  each(
    files,
    /^(?:[^/]+|docs\/.*|examples\/.*|bench\/.*)\.md$/,
    (path, text) =>
      complain(path, prose(text), LINK, (found) => {
        const link = found[1] ?? found[2] ?? found[3];
        if (/^(?:[a-z][a-z0-9+.-]*:|\/\/)/i.test(link)) return null;
        const [file, fragment] = decodeURI(link).split("#");
        const target = file === ""
          ? path
          : posix.join(posix.dirname(path), file).replace(/\/$/, "");
        const isFolder = [...files.keys()].some((known) => known.startsWith(`${target}/`));
        if (
          !files.has(target) && !isFolder && target !== "."
        ) return `links to ${link}: no such file`;
        if (!fragment || !target.endsWith(".md")) return null;
        return fragments(files.get(target) ?? "").has(fragment)
          ? null
          : `links to ${link}: no heading`;
      }),
  );

/** The comments of a source file in their places; code is overwritten with spaces. */
function commentsOf(text: string): string {
  const plain = code(text);
  const comments = text.replace(/[^\n]/g, (char, at) => plain[at] === char ? " " : char);
  return comments.replace(/`[^`\n]*`/g, (quoted) => " ".repeat(quoted.length));
}

/** A question may begin with these words. */
const UNNAMED_SUBJECT = /\b(?:Who|What)\b(?![^.|]*\?)|\b(?:[Ss]ome|[Nn]o|[Aa]ny)body\b/g;

const subjects: Rule = (files) =>
  each(
    files,
    /^(?:[^/]+|(?:src|ffi|docs|tests|examples|scripts|bench)\/.*)\.(?:ts|c|h|md)$/,
    (path, text) => {
      const words = path.endsWith(".md") ? prose(text) : commentsOf(text);
      return complain(
        path,
        words,
        UNNAMED_SUBJECT,
        ([said]) => `the subject of a sentence is a noun, not "${said}"`,
      );
    },
  );

const suitesRun: Rule = (files) =>
  each(files, /^tests\/.*_test\.ts$/, (path, text) => {
    const plain = blank(text, { comments: true, strings: true });
    return [
      ...(/\.run\(\)/.test(plain) ? [] : [`${path}: never calls run(), so none of its tests run`]),
      ...complain(path, plain, /^\s*\w+\.only\(/gm, () => "only() leaves the other tests out"),
      ...complain(
        path,
        code(text),
        /^import\b.*\bfrom\s+"uvu/gm,
        () => "uses uvu without the harness",
      ),
    ];
  });

const machinePaths: Rule = (files) => {
  const roots = ["home", "work", "root", "Users"].join("|");
  const pattern = new RegExp(`(?<![\\w.~/*)}\\]-])/(?:${roots})/[\\w.-]+`, "g");
  return each(
    files,
    /./,
    (path, text) =>
      complain(path, text, pattern, ([found]) => `names ${found}, which exists on one machine`),
  );
};

const lockFile: Rule = (files) =>
  each(
    files,
    /(?:^|\/)package-lock\.json$/,
    (path, text) =>
      complain(path, text, /"resolved":\s*"https?:/g, () => "names the address of a registry"),
  );

// ------------------------------------------------------------------------------------- the tests

/** Every text file that could be committed. */
function projectFiles(root: string): Files {
  const files = new Map<string, string>();
  const visit = (folder: string) => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const key = relative(root, path).replaceAll("\\", "/");
      const status = lstatSync(path);
      if (SKIPPED_FOLDERS.has(key) || /^node_modules$|\.(?:log|tgz)$/.test(name)) continue;
      if (status.isDirectory()) visit(path);
      if (!status.isFile()) continue;
      const text = readFileSync(path, "utf8");
      files.set(key, text.includes("\0") ? "" : text);
    }
  };
  if (existsSync(root)) visit(root);
  return files;
}

const RULES: Readonly<Record<string, Rule>> = {
  "imports go down the layers": layers,
  "imports make no cycle": cycles,
  "packages are named in deps.ts only": packages,
  "runtimes and addresses are named in ffi only": bannedNames,
  "files of src are short": fileSizes,
  "functions are short": functionSizes,
  "lines are short": columns,
  "files of src start with their story": headers,
  "a file is named after its main export": mainExports,
  "nothing is left to do": leftovers,
  "the library does not print": printing,
  "links in the documentation resolve": links,
  "sentences have nouns for subjects": subjects,
  "every test file runs its suite": suitesRun,
  "no file names a folder of one machine": machinePaths,
  "the lock file names no registry": lockFile,
};

const project = projectFiles(dirname(dirname(fileURLToPath(import.meta.url))));
const test = suite("tidy");

for (const [claim, rule] of Object.entries(RULES)) {
  test(claim, () => {
    const complaints = rule(project);
    assert.ok(complaints.length === 0, `\n  ${complaints.join("\n  ")}`);
  });
  test(`${claim}: nothing to say about an empty project`, () => {
    assert.equal(rule(new Map()), []);
  });
}

const header = "/**\n * A story.\n *\n * @module\n */\n";
const long = (head: string) => `${header}${head}\n${"  step();\n".repeat(FUNCTION_LINES_MAX)}}\n`;
/** Each text breaks one rule; `null` stands for a text that the rule must accept. */
const SAMPLES: readonly [rule: Rule, path: string, text: string, complaint: string | null][] = [
  [layers, "src/buf/a.ts", 'import { b } from "../ring/b.ts";', '"buf" is not above "ring"'],
  [layers, "src/metrics/a.ts", 'import "../adapters/b.ts";', '"metrics" is not above "adapters"'],
  [layers, "src/net/a.ts", 'export * from "../../ffi/load.ts";', "src knows nothing outside"],
  [layers, "src/net/a.ts", 'const b = await import("../../mod.ts");', "mod.ts is the top"],
  [layers, "src/adapters/a.ts", 'import { Network } from "../../mod.ts";', null],
  [layers, "src/adapters/a.ts", 'import { deps } from "../../deps.ts";', "only users import"],
  [
    layers,
    "src/other/a.ts",
    'import { b } from "../base/b.ts";',
    '"other" is not one of the rooms',
  ],
  [layers, "ffi/a.ts", 'import type { B } from "../src/net/b.ts";', "ffi may import only"],
  [layers, "ffi/a.ts", 'import { B } from "../src/ring/port.ts";', "by `import type`"],
  [layers, "ffi/a.ts", 'import type { B } from "../src/ring/port.ts";', null],
  [layers, "ffi/a.ts", 'import { B } from "../src/base/b.ts";', null],
  [layers, "mod.ts", 'export { a } from "./deps.ts";', "every user load packages"],
  [layers, "mod.ts", 'import { a } from "./ffi/a.ts"; import { b } from "./src/net/b.ts";', null],
  [layers, "src/net/a.ts", '// import { b } from "../adapters/b.ts";', null],
  [
    layers,
    "src/net/call/a.ts",
    'import type { B } from "../socket/b.ts";',
    '"call" is not above "socket"',
  ],
  [layers, "src/net/send/a.ts", 'import { b } from "../recv/b.ts";', '"send" is not above "recv"'],
  [layers, "src/net/dial/a.ts", 'import { b } from "../call/b.ts";', null],
  [layers, "src/net/call/a.ts", 'import { b } from "./b.ts";', null],
  [layers, "src/net/other/a.ts", 'import { b } from "../call/b.ts";', "of the rooms of src/net"],
  [layers, "src/net/a.ts", 'import { b } from "./call/b.ts";', "of the rooms of src/net"],
  [cycles, "src/base/a.ts", 'import type { A } from "./a.ts";', "import cycle: src/base/a.ts"],
  [cycles, "src/base/a.ts", '// import type { A } from "./a.ts";', null],
  [packages, "src/net/a.ts", 'import { Registry } from "prom-client";', "packages are named"],
  [packages, "ffi/a.ts", 'const name = "npm:uvu";', "names npm: outside"],
  [packages, "src/adapters/a.ts", 'import { Duplex } from "node:stream";', null],
  [bannedNames, "src/net/a.ts", "const a = Deno.env;", '"Deno." belongs in ffi/'],
  [bannedNames, "mod.ts", 'const a = load("bun:ffi");', '"bun:ffi" belongs in ffi/'],
  [bannedNames, "src/net/a.ts", "const a = BigInt(1); // Deno.", '"BigInt(" belongs in ffi/'],
  [bannedNames, "src/net/a.ts", "/* Bun.listen */ const a = `/* ${1} */`; // dlopen", null],
  [fileSizes, "src/net/a.ts", "a\n".repeat(SOURCE_LINES_MAX + 1), "301 lines, limit 300"],
  [fileSizes, "src/net/a.ts", "a\n".repeat(SOURCE_LINES_MAX), null],
  [functionSizes, "src/net/a.ts", long("function a() {"), "a.ts:6: a function of 72 lines"],
  [functionSizes, "src/net/a.ts", long("const a = async (b: B): Promise<C> => {"), "of 72 lines"],
  [functionSizes, "src/net/a.ts", long("class A {\n a<T>(b: T): Map<T, B> {") + "}", "of 72 lines"],
  [functionSizes, "ffi/a.c", long("int a(int b) {"), "of 72 lines"],
  [functionSizes, "src/net/a.ts", long("class A {"), null],
  [functionSizes, "src/net/a.ts", long("const a = /[/{]/.test(`{${b({})}`) ? { b: 1 } : {"), null],
  [functionSizes, "src/net/a.ts", long("for (const a of b(c)) {"), null],
  [columns, "src/net/a.ts", "a".repeat(101), "101 columns"],
  [columns, "src/net/a.ts", "a".repeat(100), null],
  [headers, "src/net/a.ts", "// A story.\n", "no header"],
  [headers, "src/net/a.ts", "/** A story. */\n/** @module */", "no header"],
  [headers, "src/net/a.ts", header, null],
  [
    mainExports,
    "src/net/unix_address.ts",
    "export class Other {}",
    'nothing called "unix_address"',
  ],
  [mainExports, "src/net/a.ts", "export class A {}\nexport class B {}", "the classes A, B"],
  [
    mainExports,
    "src/net/unix_address.ts",
    "export interface A {}\nexport class UnixAddress {}",
    null,
  ],
  [mainExports, "src/net/config/config.ts", "export interface NetworkConfig {}", null],
  [
    mainExports,
    "src/net/config/config.ts",
    "export class NetworkConfig {}",
    'nothing called "config"',
  ],
  [mainExports, "src/net/errno_table.ts", "export const ERRNO_TABLE = 1;", null],
  [
    mainExports,
    "src/net/dial/dial.ts",
    "export async function dial() {}\nexport const MAX = 1;",
    null,
  ],
  [leftovers, "src/net/a.ts", "// TO" + "DO: more", "has a TO"],
  [printing, "ffi/a.ts", "console.log(1);", "does not print"],
  [printing, "ffi/a.ts", "// console.log(1);", null],
  [links, "README.md", "# A\n[b](docs/b.md)", "links to docs/b.md: no such file"],
  [links, "README.md", "# A\n[b](#c)", "links to #c: no heading"],
  [links, "README.md", "# A `b`, c\n[d](#a-b-c) [e](https://e) `[f](g)`\n```\n[h](i)\n```", null],
  [subjects, "src/base/a.ts", "/** Who closes has it. */", 'not "Who"'],
  [
    subjects,
    "src/base/a.ts",
    "/**\n * It ends. What is left\n * goes.\n */",
    "a.ts:2: the subject",
  ],
  [subjects, "src/base/a.ts", "const a = 1; // What a call says.", 'not "What"'],
  [subjects, "src/base/a.ts", "/**\n * A call ends.\n * What is left goes.\n */", 'not "What"'],
  [subjects, "src/base/a.ts", "/** A port where nobody listens. */", 'not "nobody"'],
  [subjects, "docs/b/a.md", "# What bounds a wait", 'not "What"'],
  [subjects, "docs/b/a.md", "- Who waits: a call", 'not "Who"'],
  [subjects, "src/base/a.ts", "// What can fail? Nothing.", null],
  [subjects, "src/base/a.ts", 'const a = "What it says"; const What = 1; // b', null],
  [subjects, "docs/b/a.md", "```\nWhat it says\n```\n`nobody` knows", null],
  [suitesRun, "tests/a_test.ts", 'test("a", () => {}); // test.run()', "never calls run()"],
  [suitesRun, "tests/a_test.ts", 'test.only("a", b);\ntest.run();', "only() leaves"],
  [
    suitesRun,
    "tests/a_test.ts",
    'import { suite } from "uvu";\nsuite().run();',
    "without the harness",
  ],
  [machinePaths, "docs/a.md", "see /" + "home/me/notes", "which exists on one machine"],
  [machinePaths, "docs/a.md", "see https://host/" + "home/me and ./" + "work/a", null],
  [lockFile, "tests/a/package-lock.json", '{"resolved": "http://a/b"}', "address of a registry"],
  [lockFile, "package-lock.json", '{"resolved": "https://host/a.tgz"}', "address of a registry"],
];

for (const [index, [rule, path, text, complaint]] of SAMPLES.entries()) {
  const name = Object.entries(RULES).find(([, known]) => known === rule)?.[0];
  test(`${name}: sample ${index} is ${complaint === null ? "accepted" : "caught"}`, () => {
    const complaints = rule(new Map([[path, text]]));
    if (complaint === null) assert.equal(complaints, []);
    else assert.match(complaints.join("\n"), complaint);
  });
}

const imports = (...targets: string[]) =>
  targets.map((name) => `import "./${name}.ts";`).join("\n");

test("imports make no cycle: a cycle of three files is caught, its neighbours are not", () => {
  const files = new Map([
    ["src/base/a.ts", imports("b")],
    ["src/base/b.ts", imports("c", "e")],
    ["src/base/c.ts", imports("a")],
    ["src/base/d.ts", imports("a", "e")],
    ["src/base/e.ts", ""],
  ]);
  assert.equal(cycles(files), ["import cycle: src/base/a.ts src/base/b.ts src/base/c.ts"]);
});

test.run();
