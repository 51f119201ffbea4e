/**
 * Reads server-sent events from the body of an answer.
 *
 * @module
 */

/** One event as it was sent. */
export interface ServerEvent {
  /** Its `id:`; empty where it has none. */
  readonly id: string;
  /** Its `event:`; `message` where it has none. */
  readonly type: string;
  /** Its `data:` lines. */
  readonly data: string;
}

/** The most characters of an event that does not end: several images' previews fit. */
const LONGEST_EVENT = 8 * 2 ** 20;

/** Events as they arrive; what is cut off at the end is dropped. */
export async function* readEvents(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<ServerEvent> {
  let text = "";
  for await (const part of chunks(body.pipeThrough(new TextDecoderStream()))) {
    text += part;
    const blocks = text.split(/\r?\n\r?\n/);
    text = blocks.pop()!;
    if (text.length > LONGEST_EVENT) return;
    for (const block of blocks) {
      const event = parseEvent(block);
      if (event) yield event;
    }
  }
}

/** Not every browser lets a stream be iterated. */
async function* chunks<T>(stream: ReadableStream<T>): AsyncGenerator<T> {
  const reader = stream.getReader();
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // Whoever stops listening closes the connection.
    reader.cancel().catch(() => {});
  }
}

function parseEvent(block: string): ServerEvent | null {
  let id = "", type = "message";
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
    if (field === "id") id = value ?? "";
    else if (field === "event") type = value ?? "";
    else if (field === "data") data.push(value ?? "");
  }
  return data.length > 0 ? { id, type, data: data.join("\n") } : null;
}
