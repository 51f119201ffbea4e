/**
 * Clients of all kinds at once, good and bad, for the load test of the studio.
 *
 * @module
 */
import { begin, readAnswer } from "./raw_http.ts";
import { dataUrl, drawnPhoto, references } from "./studio_server.ts";

/** What clients saw. */
export class Seen {
  /** Requests that were sent. */
  requests = 0;
  /** Answers by kind of client and status; 0 where the connection broke. */
  readonly answers = new Map<string, number>();
  /** Jobs that were followed to their end, by how they ended. */
  readonly ends = new Map<string, number>();
  /** What must not be. */
  readonly faults: string[] = [];

  /** Counts an answer, and what it should not have been. */
  answer(kind: string, status: number, expected: readonly number[]): void {
    count(this.answers, `${kind} ${status}`);
    if (!expected.includes(status)) this.faults.push(`${kind}: ${status}`);
  }
}

/** One client's doing. */
type Client = (url: string, seen: Seen, turn: number) => Promise<void>;

/** The prompt that a drawing engine is told to fail for. */
export const FAILING = "fail";

const photo = drawnPhoto();
/** What a request may be told when too much is asked for. */
const FULL = 503;

const clients: Readonly<Record<string, Client>> = {
  async images(url, seen, turn) {
    const body = { references, prompt: "a man", steps: 2, seed: turn };
    const job = await generate("images", url, seen, body);
    if (!job) return;
    const events = await follow(url, seen, job);
    if (!events.includes("event: done")) return;
    const answer = await send(seen, `${url}/api/jobs/${job}/images/0`);
    // It may have been forgotten for newer ones.
    seen.answer("image", answer.status, [200, 404]);
    await answer.body?.cancel();
  },
  async forms(url, seen) {
    const form = new FormData();
    form.set("prompt", "a man");
    form.set("steps", "1");
    form.append("references[]", new File([photo], "a.png"));
    const answer = await send(seen, `${url}/api/generate`, {
      method: "POST",
      body: form,
    });
    const { id } = await answer.json();
    seen.answer("forms", answer.status, [202, FULL]);
    if (id) await follow(url, seen, id);
  },
  async failures(url, seen) {
    const body = { references, prompt: FAILING, steps: 1 };
    const job = await generate("failures", url, seen, body);
    if (job) await follow(url, seen, job);
  },
  async stops(url, seen) {
    const body = { references, prompt: "a man", steps: 50 };
    const job = await generate("stops", url, seen, body);
    if (!job) return;
    const answer = await send(seen, `${url}/api/jobs/${job}`, {
      method: "DELETE",
    });
    seen.answer("stops", answer.status, [200]);
    await answer.body?.cancel();
    await follow(url, seen, job);
  },
  async people(url, seen, turn) {
    const photo = dataUrl(drawnPhoto(turn % 32));
    const made = await post(seen, `${url}/api/identities`, {
      references: [photo],
    });
    const { id } = await made.json();
    seen.answer("people", made.status, [201, FULL]);
    if (!id) return;
    const body = { identity: id, prompt: "a man", steps: 1 };
    const job = await generate("people", url, seen, body);
    if (job) await follow(url, seen, job);
  },
  async faces(url, seen) {
    const answer = await post(seen, `${url}/api/faces`, {
      photo: references[0],
    });
    await answer.body?.cancel();
    seen.answer("faces", answer.status, [200]);
  },
  async openai(url, seen) {
    const answer = await post(seen, `${url}/v1/images/generations`, {
      prompt: "a man",
      response_format: "b64_json",
    });
    await answer.body?.cancel();
    seen.answer("openai", answer.status, [200, FULL]);
  },
  async a1111(url, seen) {
    const answer = await post(seen, `${url}/sdapi/v1/txt2img`, {
      prompt: "a man",
      steps: 2,
    });
    await answer.body?.cancel();
    seen.answer("a1111", answer.status, [200, FULL]);
  },
  async looks(url, seen, turn) {
    const paths = ["/api/model", "/openapi.json", "/api/jobs", "/v1/models"];
    const answer = await send(seen, url + paths[turn % paths.length]);
    await answer.body?.cancel();
    seen.answer("looks", answer.status, [200]);
  },
  async mistakes(url, seen, turn) {
    const bodies = ["{", '{"prompt": 1}', '{"promt": "a"}', "[".repeat(1e5)];
    const answer = await send(seen, `${url}/api/generate`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: bodies[turn % bodies.length],
    });
    await answer.body?.cancel();
    seen.answer("mistakes", answer.status, [400]);
  },
  async wrongForms(url, seen, turn) {
    const head = '--x\r\nContent-Disposition: form-data; name="prompt"';
    const bodies = [
      "x",
      "--x",
      `${head}\r\n\r\ncut`,
      "--x\r\n\r\nno name\r\n--x--",
    ];
    const answer = await send(seen, `${url}/api/generate`, {
      method: "POST",
      headers: { "content-type": "multipart/form-data; boundary=x" },
      body: bodies[turn % bodies.length],
    });
    await answer.body?.cancel();
    seen.answer("wrongForms", answer.status, [400]);
  },
  async slowUploads(url, seen) {
    const body = new TextEncoder().encode(
      JSON.stringify({ references, prompt: "a man", steps: 1 }),
    );
    using connection = await begin(url, headOf(body.length));
    seen.requests++;
    const size = Math.ceil(body.length / 5);
    for (let at = 0; at < body.length; at += size) {
      await connection.write(body.subarray(at, at + size));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { status } = await readAnswer(connection);
    seen.answer("slowUploads", status, [202, FULL]);
  },
  async droppedUploads(url, seen) {
    using connection = await begin(url, headOf(100_000));
    seen.requests++;
    await connection.write(new Uint8Array(20_000).fill(32));
  },
  async droppedAnswers(url, seen) {
    const body = '{"prompt":"a man","steps":20}';
    const head = headOf(body.length, "/sdapi/v1/txt2img");
    using _ = await begin(url, head, body);
    seen.requests++;
    await new Promise((resolve) => setTimeout(resolve, 10));
  },
  async halfOpenEvents(url, seen) {
    const body = { references, prompt: "a man", steps: 5, preview: true };
    const job = await generate("halfOpenEvents", url, seen, body);
    if (!job) return;
    const path = `/api/jobs/${job}/events`;
    using connection = await begin(url, [`GET ${path} HTTP/1.1`]);
    seen.requests++;
    await connection.read(new Uint8Array(100));
  },
};

/**
 * Sends requests of all kinds until there were enough.
 *
 * @param most requests
 * @param together how many clients there are at a time
 */
export async function load(
  url: string,
  most: number,
  together: number,
): Promise<Seen> {
  const seen = new Seen();
  const kinds = Object.entries(clients);
  let turn = 0;
  const work = async () => {
    while (seen.requests < most) {
      const own = turn++;
      const [name, client] = kinds[own % kinds.length];
      await client(url, seen, own).catch((error) => {
        seen.faults.push(`${name}: ${error.message}`);
      });
    }
  };
  await Promise.all(Array.from({ length: together }, work));
  return seen;
}

function headOf(length: number, path = "/api/generate"): string[] {
  return [
    `POST ${path} HTTP/1.1`,
    "Content-Type: application/json",
    `Content-Length: ${length}`,
    "Connection: close",
  ];
}

/** Sends a request, for at most a minute. */
function send(seen: Seen, url: string, init?: RequestInit): Promise<Response> {
  seen.requests++;
  return fetch(url, { ...init, signal: AbortSignal.timeout(60_000) });
}

function post(seen: Seen, url: string, body: unknown): Promise<Response> {
  return send(seen, url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** Asks for images; returns the job's id, or undefined where the queue is full. */
async function generate(
  kind: string,
  url: string,
  seen: Seen,
  body: unknown,
): Promise<string | undefined> {
  const answer = await post(seen, `${url}/api/generate`, body);
  const { id } = await answer.json();
  seen.answer(kind, answer.status, [202, FULL]);
  if (answer.status === FULL && !answer.headers.has("retry-after")) {
    seen.faults.push(`${kind}: 503 without Retry-After`);
  }
  return id;
}

/** Follows a job to its end; checks that it has images or a reason. */
async function follow(url: string, seen: Seen, job: string): Promise<string> {
  const answer = await send(seen, `${url}/api/jobs/${job}/events`);
  const text = await answer.text();
  if (answer.status === 404) return text;
  const [, end, data] =
    /event: (done|error|cancelled)\ndata: (.*)\n\n$/.exec(text) ?? [];
  count(seen.ends, end ?? "none");
  const isDone = end === "done" && text.includes("event: image\n");
  if (!isDone && !JSON.parse(data ?? "{}").message) {
    seen.faults.push(`Job without images or a reason: ${text.slice(-200)}`);
  }
  return text;
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
