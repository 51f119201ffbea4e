/**
 * Calls AUTOMATIC1111's operations of a studio.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { ImageTask } from "../../src/studio/engine/engine.ts";
import type { Settings } from "../../src/options/settings.ts";
import type { RunningStudio } from "../../src/studio/serve.ts";
import { DrawingEngine } from "./drawing_engine.ts";
import {
  postJson,
  testStudio,
  type TestStudioOptions,
} from "./studio_server.ts";

/** Calls operations of a studio. */
export class Client {
  readonly studio: RunningStudio;
  readonly #engine: DrawingEngine | undefined;

  constructor(studio: RunningStudio, engine?: DrawingEngine) {
    this.studio = studio;
    this.#engine = engine;
  }

  /** Sends JSON, and expects a good answer. */
  async post(name: string, body: unknown) {
    const response = await postJson(this.#url(name), body);
    const text = await response.text();
    assertEquals(response.status, 200, text);
    return JSON.parse(text);
  }

  /** Sends JSON, and expects an error. */
  async bad(name: string, body: unknown) {
    const response = await postJson(this.#url(name), body);
    return { status: response.status, ...await response.json() };
  }

  /** Sends JSON, and expects that it is refused; what it says, and where. */
  async refused(name: string, body: unknown): Promise<string> {
    const { status, detail } = await this.bad(name, body);
    assertEquals(status, 422, JSON.stringify(detail));
    return `${detail[0].loc.slice(1).join(".")}: ${detail[0].msg}`;
  }

  async get(name: string) {
    return await (await fetch(this.#url(name))).json();
  }

  /** The settings of the jobs that were taken in, the oldest first. */
  get settings(): Settings[] {
    return [...this.studio.studio.jobs.all()]
      .map(({ request }) => request.settings);
  }

  /** The last images that were asked for, of an engine that draws. */
  get task(): ImageTask {
    return this.#engine!.lastTask!;
  }

  #url(name: string): string {
    const path = name.startsWith("/") ? name : `/sdapi/v1/${name}`;
    return `${this.studio.url}${path}`;
  }
}

/** Does something with a studio's client; the studio draws where no engine is given. */
export async function withClient(
  options: TestStudioOptions,
  use: (client: Client) => Promise<void>,
): Promise<void> {
  const drawing = options.engine ? undefined : new DrawingEngine(options);
  const engine = options.engine ?? drawing;
  await using studio = await testStudio({ ...options, engine });
  await use(new Client(studio, drawing));
}
