/**
 * An HTTP server over the files of this checkout or of an unpacked package, for programs that
 * import the library by URL.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { PROGRAM, ROOT } from "./program.ts";

export interface ServedCheckout {
  /** "http://127.0.0.1:PORT" */
  origin: string;
  /** "127.0.0.1:PORT" */
  host: string;
  /** The paths that were requested so far. */
  requests: string[];
  close(): void;
}

/**
 * Serves every file below `root`, and `/program.ts`, which imports `/mod.ts`, with one content
 * type; null sends none. JavaScript has its own.
 */
export async function serveCheckout(
  contentType: string | null = "text/typescript",
  root: string = ROOT,
): Promise<ServedCheckout> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://host").pathname).slice(1);
    requests.push(path);
    const type = path.endsWith(".js") ? "text/javascript" : contentType;
    if (type !== null) response.setHeader("content-type", type);
    if (path === "program.ts") {
      response.end(PROGRAM.replace("SPECIFIER", `http://${request.headers.host}/mod.ts`));
    } else if (!path.includes("..") && existsSync(join(root, path))) {
      response.end(readFileSync(join(root, path)));
    } else {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as { port: number }).port}`;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { origin: `http://${host}`, host, requests, close };
}
