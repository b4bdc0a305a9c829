/**
 * The socket files of the fake kernel. A path is a name and nothing more: there are no directories
 * to resolve, but each file that is bound has a descriptor of its directory, which must be closed.
 *
 * @module
 */
import { ERRNO } from "../../src/base/errno.ts";
import type { UnixAddress } from "../../src/net/address/address.ts";
import { readSockaddr } from "../../src/net/address/sockaddr.ts";
import { FILE_RECORD } from "../../src/ring/port.ts";
import type { FakeSocket } from "./fake_socket.ts";

/** Where the inode of `struct ur_file` is. */
const INODE_AT = 144;

interface FakeFile {
  readonly inode: number;
  /** Null for a file of another kind. */
  readonly socket: FakeSocket | null;
}

export class FakeFiles {
  readonly #files = new Map<string, FakeFile>();
  readonly #openDirectory: () => number;
  #inode = 1;

  /** `openDirectory` returns a descriptor, or -errno. */
  constructor(openDirectory: () => number) {
    this.#openDirectory = openDirectory;
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  /** A file that is no socket. */
  write(path: string): void {
    this.#files.set(path, { inode: this.#inode++, socket: null });
  }

  /** Takes any file away. */
  unlink(path: string): void {
    this.#files.delete(path);
  }

  bind(socket: FakeSocket, record: Uint8Array): number {
    const path = pathOf(record);
    if (this.has(path)) return -ERRNO.EADDRINUSE;
    const directory = this.#openDirectory();
    if (directory < 0) return directory;
    const inode = this.#inode++;
    this.#files.set(path, { inode, socket });
    socket.local = { path };
    fieldsOf(record).setInt32(FILE_RECORD.directoryAt, directory, true);
    fieldsOf(record).setUint32(INODE_AT, inode, true);
    return 0;
  }

  remove(record: Uint8Array): number {
    const path = pathOf(record);
    if (this.#files.get(path)?.inode !== fieldsOf(record).getUint32(INODE_AT, true)) return 0;
    this.#files.delete(path);
    return 1;
  }

  stale(record: Uint8Array, remove: boolean): number {
    const path = pathOf(record);
    const file = this.#files.get(path);
    if (file === undefined) return -ERRNO.ENOENT;
    if (file.socket === null) return -ERRNO.ENOTSOCK;
    if (file.socket.open) return 0;
    if (remove) this.#files.delete(path);
    return 1;
  }
}

function fieldsOf(record: Uint8Array): DataView {
  return new DataView(record.buffer, record.byteOffset, record.byteLength);
}

function pathOf(record: Uint8Array): string {
  const length = fieldsOf(record).getUint32(FILE_RECORD.lengthAt, true);
  return (readSockaddr(record, length) as UnixAddress).path;
}
