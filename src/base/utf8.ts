/**
 * Text from bytes that are UTF-8, or should be. U+FEFF at the beginning is a character like any
 * other: these bytes are names, kernel text or a slice of a stream, not the beginning of a
 * document, so that no byte order mark is taken off. What was encoded comes back as it was.
 *
 * @module
 */

const OPTIONS: TextDecoderOptions = Object.freeze({ ignoreBOM: true });

const decoder = utf8Decoder();

/** A decoder of its own, for bytes that come in parts. */
export function utf8Decoder(): TextDecoder {
  return new TextDecoder("utf-8", OPTIONS);
}

/** Malformed input becomes U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}
