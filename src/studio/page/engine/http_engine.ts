/**
 * The engine that asks the server that the page came from.
 *
 * @module
 */
import { finalEvents, type JobEvent } from "../../wire/events.ts";
import type {
  ErrorBody,
  ExtrasResource,
  FacesResource,
  IdentityResource,
  JobResource,
  ModelResource,
} from "../../wire/resources.ts";
import {
  EngineError,
  type ImageRequest,
  type ImageRun,
  type PageEngine,
  type PhotoChoices,
  type RequestSources,
  type RunEvent,
} from "./engine.ts";
import { readEvents } from "./event_stream.ts";
import { Glance, untilShown } from "./glance.ts";
import { wait } from "./wait.ts";

/** Milliseconds between two attempts to connect: the first, and the longest. */
const FIRST_PAUSE = 500, LONGEST_PAUSE = 5000;

/** Silence of an event stream after which it counts as broken; the server sends something every 15 s. */
const LONGEST_SILENCE = 45_000;

/** Asks the server of the page. */
export class HttpEngine implements PageEngine {
  model(): Promise<ModelResource> {
    return askJson("GET", "/api/model");
  }

  extras(): Promise<ExtrasResource> {
    return askJson("GET", "/api/extras");
  }

  async faces(photo: Blob): Promise<FacesResource> {
    const body = { photo: await dataUrl(photo) };
    return await askJson("POST", "/api/faces", { body });
  }

  async identity(
    photos: readonly Blob[],
    choices: PhotoChoices,
    signal: AbortSignal,
  ): Promise<IdentityResource> {
    const references = await Promise.all(photos.map(dataUrl));
    const body = { ...choices, references };
    return await askJson("POST", "/api/identities", { body, signal });
  }

  async generate(request: ImageRequest): Promise<void> {
    try {
      await this.#start(request);
    } catch (error) {
      const isForgotten = request.identity !== null &&
        error instanceof EngineError && error.code === "not-found";
      if (!isForgotten) throw error;
      await this.#start({ ...request, identity: null });
    }
  }

  resume(id: string): ImageRun {
    return new HttpRun(id);
  }

  async file(url: string): Promise<Blob> {
    const response = await ask("GET", url);
    try {
      return await response.blob();
    } catch {
      throw offline();
    }
  }

  async workers(): Promise<number> {
    return (await askJson<{ workers: number }>("GET", "/api/health")).workers;
  }

  async signIn(token: string): Promise<void> {
    await ask("GET", `/login?token=${encodeURIComponent(token)}`);
  }

  async #start(
    { id, settings, photos, choices, identity, sources }: ImageRequest,
  ): Promise<void> {
    const person = photos.length === 0
      ? {}
      : identity === null
      ? { ...choices, references: await Promise.all(photos.map(dataUrl)) }
      : { identity };
    await ask("POST", "/api/generate", {
      headers: { "idempotency-key": id },
      body: {
        ...settings,
        ...person,
        ...await sourceFields(sources, photos),
        preview: true,
      },
    });
  }
}

/** What an image is made from besides a person, as the fields of a request. */
async function sourceFields(
  { initImage, mask, controls }: RequestSources,
  [reference]: readonly Blob[],
): Promise<object> {
  const images = controls.map(({ image }) => image ?? reference)
    .filter((image) => image !== undefined);
  return {
    ...initImage && { initImage: await dataUrl(initImage) },
    ...mask && { mask: await dataUrl(mask) },
    ...controls.length > 0 && {
      controlnet: controls.map(({ name }) => name),
      controlImage: await Promise.all(images.map(dataUrl)),
      controlScale: controls.map(({ scale }) => scale),
      controlRange: controls.map(({ range }) => range),
      controlPreprocess: controls.map(({ preprocess }) => preprocess),
    },
  };
}

/** A job of the server. */
class HttpRun implements ImageRun {
  constructor(readonly id: string) {}

  async *events(): AsyncGenerator<RunEvent> {
    let lastId = "", pause = FIRST_PAUSE;
    while (true) {
      const glance = new Glance();
      try {
        for await (const event of this.#connection(lastId, glance.over)) {
          if (event.type === "connected") {
            pause = FIRST_PAUSE;
            continue;
          }
          lastId = event.id;
          yield event.event;
          if (finalEvents.some((final) => final === event.event.type)) return;
        }
      } catch (error) {
        if (!(error instanceof EngineError) || !isPassing(error)) throw error;
      } finally {
        glance.end();
      }
      if (glance.over.aborted) {
        await untilShown();
        continue;
      }
      yield { type: "disconnected" };
      await wait(pause);
      pause = Math.min(pause * 1.6, LONGEST_PAUSE);
    }
  }

  summary(): Promise<JobResource> {
    return askJson("GET", `/api/jobs/${this.id}`);
  }

  async cancel(): Promise<void> {
    // Even where the tab is closed meanwhile.
    await ask("DELETE", `/api/jobs/${this.id}`, { keepalive: true });
  }

  /** One connection, from the event after one to wherever it breaks. */
  async *#connection(after: string, signal: AbortSignal): AsyncGenerator<
    { type: "connected" } | { type: "event"; id: string; event: JobEvent }
  > {
    const silent = new AbortController();
    let timer = setTimeout(() => silent.abort(), LONGEST_SILENCE);
    try {
      const { body } = await ask("GET", `/api/jobs/${this.id}/events`, {
        headers: after === "" ? {} : { "last-event-id": after },
        signal: AbortSignal.any([signal, silent.signal]),
      });
      yield { type: "connected" };
      const heard = new TransformStream<
        Uint8Array<ArrayBuffer>,
        Uint8Array<ArrayBuffer>
      >({
        transform(chunk, controller) {
          clearTimeout(timer);
          timer = setTimeout(() => silent.abort(), LONGEST_SILENCE);
          controller.enqueue(chunk);
        },
      });
      for await (
        const { id, type, data } of readEvents(body!.pipeThrough(heard))
      ) {
        const event = { type, ...JSON.parse(data) } as JobEvent;
        yield { type: "event", id, event };
      }
    } catch (error) {
      throw error instanceof EngineError ? error : offline();
    } finally {
      clearTimeout(timer);
      silent.abort();
    }
  }
}

/** What a request carries. */
interface Asked {
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly keepalive?: boolean;
}

async function askJson<T>(
  method: string,
  path: string,
  asked: Asked = {},
): Promise<T> {
  const response = await ask(method, path, asked);
  try {
    return await response.json();
  } catch (error) {
    if (asked.signal?.aborted) throw error;
    throw offline();
  }
}

/** Sends a request; an answer that is an error is thrown as one. */
async function ask(
  method: string,
  path: string,
  { body, headers = {}, signal, keepalive = false }: Asked = {},
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined
        ? headers
        : { ...headers, "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
      keepalive,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw offline();
  }
  if (response.ok) return response;
  throw await errorOf(response);
}

async function errorOf(response: Response): Promise<EngineError> {
  const seconds = Number(response.headers.get("retry-after"));
  const retryAfter = seconds > 0 ? { retryAfter: seconds } : {};
  try {
    const { error }: ErrorBody = await response.json();
    const field = error.field === undefined ? {} : { field: error.field };
    return new EngineError(error.code, error.message, {
      ...field,
      ...retryAfter,
    });
  } catch {
    const message = `The server answered ${response.status}`;
    return new EngineError("internal", message, retryAfter);
  }
}

function offline(): EngineError {
  return new EngineError("offline", "The server does not answer");
}

/** Whether it may be gone at the next attempt. */
function isPassing({ code, more }: EngineError): boolean {
  return code === "offline" || more.retryAfter !== undefined;
}

function dataUrl(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () =>
      reject(new EngineError("bad-image", "The file cannot be read"));
    reader.readAsDataURL(file);
  });
}
