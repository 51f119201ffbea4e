/**
 * HTTP as text over TCP, for requests that `fetch` would never send.
 *
 * @module
 */

/** An answer. */
export interface RawAnswer {
  /** HTTP's status; 0 where the connection ended without one. */
  readonly status: number;
  /** All of its head. */
  readonly head: string;
  /** The rest. */
  readonly body: string;
}

/** Opens a connection to a server. */
export function connect(url: string): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(url);
  return Deno.connect({ hostname, port: Number(port) });
}

/**
 * Opens a connection and sends text; the answer is left to the caller.
 *
 * @param lines of the head; `Host` is added where there is none
 */
export async function begin(
  url: string,
  lines: readonly string[],
  body = "",
): Promise<Deno.TcpConn> {
  const connection = await connect(url);
  const hasHost = lines.some((line) => /^host:/i.test(line));
  const head = [...lines, ...hasHost ? [] : [`Host: ${new URL(url).host}`]];
  const text = `${head.join("\r\n")}\r\n\r\n${body}`;
  await connection.write(new TextEncoder().encode(text)).catch(() => {});
  return connection;
}

/** Sends text as {@linkcode begin} does, and reads the answer. */
export async function rawRequest(
  url: string,
  lines: readonly string[],
  body = "",
): Promise<RawAnswer> {
  const head = [...lines, "Connection: close"];
  using connection = await begin(url, head, body);
  return await readAnswer(connection);
}

/** Reads an answer to the end of its connection. */
export async function readAnswer(
  connection: Deno.TcpConn,
): Promise<RawAnswer> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const buffer = new Uint8Array(65536);
  for (let i = 0; i < 1000; i++) {
    const count = await connection.read(buffer).catch(() => null);
    if (count === null) break;
    chunks.push(buffer.slice(0, count));
  }
  const text = await new Blob(chunks).text();
  const [head, ...rest] = text.split("\r\n\r\n");
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0),
    head,
    body: rest.join("\r\n\r\n"),
  };
}
