/**
 * The direct way of bytes where the handle of a socket has the form of Node's, as in Deno.
 *
 *   kernel -> one buffer of the thread -> onread()     the bytes are lent for the call
 *   window -> writeBuffer()                            the handle holds what the kernel left
 *
 * An end or an error of reading is passed on to the function that the runtime had in `onread`. The
 * handle keeps the memory of a window by its request until the request completes.
 *
 * @module
 */
import type * as util from "node:util";
import process from "node:process";
import { builtinModule } from "../base/builtin_module.ts";
import type { BytePath, OnBytes } from "./byte_path.ts";
import type { RuntimeSocket } from "./runtime_sockets.ts";

/** The handle beneath a socket. Results are 0 or an error code of libuv. */
interface StreamHandle {
  onread: (memory: ArrayBuffer | undefined, count?: number) => unknown;
  /** Whether the socket has started reading. */
  reading: boolean;
  readStart(): number;
  readStop(): number;
  useUserBuffer(memory: Uint8Array): void;
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
}

interface WriteRequest {
  oncomplete: (status: number) => void;
  buffer: Uint8Array | null;
}

/** The binding that belongs to these handles. */
interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  /** Facts about the last call. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

interface BindingProcess {
  binding?(name: "stream_wrap"): Partial<StreamBinding>;
}

const { binding } = process as unknown as BindingProcess;

const READ_BYTES = 65_536;

let found: StreamBinding | null | undefined;
/** The bytes of the last read, of any socket. */
let lent: Uint8Array;

function streamBinding(): StreamBinding | null {
  if (found !== undefined) return found;
  found = null;
  try {
    const { WriteWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } =
      binding?.("stream_wrap") ?? {};
    if (
      typeof WriteWrap === "function" && streamBaseState instanceof Int32Array &&
      Number.isInteger(kReadBytesOrError) && Number.isInteger(kLastWriteWasAsync)
    ) {
      found = {
        WriteWrap,
        streamBaseState,
        kReadBytesOrError,
        kLastWriteWasAsync,
      } as StreamBinding;
      lent = new Uint8Array(READ_BYTES);
    }
  } catch {
    // A version of the runtime without the binding.
  }
  return found;
}

const METHODS = ["onread", "readStart", "readStop", "useUserBuffer", "writeBuffer"] as const;

/** Null when the handle has another form. */
export function handlePath(socket: RuntimeSocket, onBytes: OnBytes): BytePath | null {
  const { _handle: handle } = socket as unknown as { _handle?: StreamHandle | null };
  if (handle === null || handle === undefined) return null;
  if (METHODS.some((name) => typeof handle[name] !== "function")) return null;
  const bound = streamBinding();
  return bound === null ? null : new HandlePath(socket, handle, bound, onBytes);
}

class HandlePath implements BytePath {
  readonly readsOn = true;
  readonly #socket: RuntimeSocket;
  readonly #handle: StreamHandle;
  readonly #binding: StreamBinding;
  /** A request that no handle holds. */
  #request: WriteRequest | null = null;
  #pending: (() => void) | null = null;
  #flowing = false;

  constructor(
    socket: RuntimeSocket,
    handle: StreamHandle,
    binding: StreamBinding,
    onBytes: OnBytes,
  ) {
    this.#socket = socket;
    this.#handle = handle;
    this.#binding = binding;
    const { streamBaseState, kReadBytesOrError } = binding;
    const { onread } = handle;
    // The handle looks at `onread` when it starts reading.
    if (handle.reading) this.pause();
    handle.useUserBuffer(lent);
    handle.onread = (memory, given) => {
      const count = given ?? streamBaseState[kReadBytesOrError];
      if (count > 0) onBytes(lent.subarray(0, count), true);
      else if (count < 0) Reflect.apply(onread, handle, [memory, given]);
    };
  }

  resume(): void {
    if (this.#flowing) {
      this.#handle.reading = true;
      this.#handle.readStart();
      return;
    }
    // Makes the stream ready for its end as well.
    this.#flowing = true;
    this.#socket.resume();
  }

  pause(): void {
    this.#handle.reading = false;
    this.#handle.readStop();
  }

  /** Nothing, because the handle holds what the kernel leaves. */
  offer(): number {
    return 0;
  }

  send(window: Uint8Array, onWritten: () => void): boolean {
    const request = this.#request ?? this.#makeRequest();
    request.buffer = window;
    const result = this.#handle.writeBuffer(request, window);
    if (result !== 0) {
      this.#fail(result);
      return false;
    }
    const { streamBaseState, kLastWriteWasAsync } = this.#binding;
    if (streamBaseState[kLastWriteWasAsync] === 0) {
      request.buffer = null;
      return true;
    }
    this.#request = null;
    this.#pending = onWritten;
    return false;
  }

  #makeRequest(): WriteRequest {
    const request = this.#request = new this.#binding.WriteWrap();
    request.oncomplete = (status) => {
      request.buffer = null;
      this.#request = request;
      const onWritten = this.#pending;
      this.#pending = null;
      if (status < 0) this.#fail(status);
      else onWritten?.();
    };
    return request;
  }

  /** 'error' and 'close' follow with the reason. */
  #fail(status: number): void {
    const code = builtinModule<typeof util>("node:util").getSystemErrorName(status);
    this.#socket.destroy(Object.assign(new Error(`write ${code}`), { code }));
  }
}
