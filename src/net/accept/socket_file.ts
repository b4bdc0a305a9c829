/**
 * The file of a listening unix socket. `bind` makes the file, and the end of the listener removes
 * it.
 *
 *   bind --EADDRINUSE--> the path names a folder ----------------------> refused, with advice
 *    | ^                 look: a socket is bound to the file ----------> refused
 *    | |                       the file is not a socket ---------------> refused
 *    | |                       stale, and `unlinkStale` is not set ----> refused, with advice
 *    | +--- stale: removed ----+
 *    | +--- gone meanwhile ----+
 *    +--> listening --> remove, while the socket is open --> close the directory
 *
 * Invariants
 * - Only the file that `bind` made is removed, identified by device and inode, in the directory
 *   that the path named at that time. The open socket keeps the inode, so no other file can have
 *   its number.
 * - A file is stale when no socket of the system is bound to it and no `bind` is making it. Such a
 *   file stays stale.
 *
 * @module
 */
import { ERRNO, errnoText } from "../../base/errno.ts";
import { LIMITS } from "../../base/limits.ts";
import { FILE_RECORD, MODE_DEFAULT, type RingPort } from "../../ring/port.ts";
import type { UnixAddress } from "../address/address.ts";
import { writeSockaddr } from "../address/sockaddr.ts";
import type { CheckedBindOptions } from "./bind_options.ts";

/** The reason why a path cannot be bound. */
export interface FileRefusal {
  readonly errno: number;
  /** The state of the file behind EADDRINUSE, and the remedy; empty for other errnos. */
  readonly advice: string;
}

export class SocketFile {
  readonly #port: RingPort;
  readonly #record = new Uint8Array(FILE_RECORD.bytes);
  readonly #namesFolder: boolean;

  constructor(port: RingPort, address: UnixAddress) {
    this.#port = port;
    this.#namesFolder = address.path.endsWith("/");
    const { length } = writeSockaddr(this.#record, address);
    this.#fields.setUint32(FILE_RECORD.lengthAt, length, true);
  }

  /** Whether a socket is bound to the file at this path. */
  get taken(): boolean {
    return this.#port.staleFile(this.#record, false) === 0;
  }

  /** Binds the socket and makes the file. Null, or the refusal. */
  bind(fd: number, options: CheckedBindOptions): FileRefusal | null {
    const { unlinkStale, mode } = options;
    for (let attempt = 1;; attempt++) {
      const result = this.#port.bindFile(fd, this.#record, mode ?? MODE_DEFAULT);
      if (result >= 0) return null;
      if (result !== -ERRNO.EADDRINUSE) return { errno: -result, advice: "" };
      if (this.#namesFolder) return { errno: ERRNO.EADDRINUSE, advice: FOLDER_ADVICE };
      const found = this.#port.staleFile(this.#record, unlinkStale);
      const free = found === -ERRNO.ENOENT || (found === 1 && unlinkStale);
      if (!free || attempt === LIMITS.bindFileCountMax) {
        return { errno: ERRNO.EADDRINUSE, advice: adviceOn(found) };
      }
    }
  }

  /** Removes the file, unless the name belongs to another file by now. The socket must be open. */
  remove(): void {
    this.#port.removeFile(this.#record);
    this.#port.closeDescriptor(this.#fields.getInt32(FILE_RECORD.directoryAt, true));
  }

  get #fields(): DataView {
    return new DataView(this.#record.buffer);
  }
}

const FOLDER_ADVICE = "the path ends with a slash, so it names a folder; add the name of a file";

function adviceOn(found: number): string {
  switch (found) {
    case 0:
      return "a socket is bound to the file";
    case 1:
      return "no socket listens there, the file was left behind; pass unlinkStale: true to " +
        "replace it, or remove it";
    case -ERRNO.ENOTSOCK:
      return "the file is not a socket";
    case -ERRNO.ENOENT:
      return "other processes keep replacing the file";
    default:
      return `whether a socket listens there is unknown: ${errnoText(-found)}`;
  }
}
