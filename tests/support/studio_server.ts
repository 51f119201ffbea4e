/**
 * Studios for tests: on a free port of this machine, with an engine that draws.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import type { PhotoReader } from "../../src/studio/api/studio.ts";
import type { StudioEngine } from "../../src/studio/engine/engine.ts";
import {
  LocalQueue,
  type LocalQueueOptions,
} from "../../src/studio/jobs/local_queue.ts";
import {
  type RunningStudio,
  startStudio,
  type StudioOptions,
} from "../../src/studio/serve.ts";
import { encodePng } from "../../src/host/codecs/codec.ts";
import type { FacesResource } from "../../src/studio/wire/resources.ts";
import { DrawingEngine, type DrawingOptions } from "./drawing_engine.ts";

/** How a test's studio differs from the usual one. */
export interface TestStudioOptions
  extends Partial<StudioOptions>, Partial<LocalQueueOptions>, DrawingOptions {
  /** In place of one that draws. */
  readonly engine?: StudioEngine;
}

/** Starts a studio; the caller disposes of it. */
export function testStudio(
  options: TestStudioOptions = {},
): Promise<RunningStudio> {
  const { maxWaiting = 1000, jobTimeout = 10_000, onBug } = options;
  const { engine = new DrawingEngine(options) } = options;
  return startStudio({
    port: 0,
    queue: new LocalQueue(engine, { maxWaiting, jobTimeout, onBug }),
    photos: new OneFace(),
    ...options,
  });
}

/** Does something with a studio that runs. */
export async function withStudio(
  options: TestStudioOptions,
  use: (url: string, studio: RunningStudio) => Promise<void>,
): Promise<void> {
  await using studio = await testStudio(options);
  await use(studio.url, studio);
}

/** Finds the same face in every photo. */
export class OneFace implements PhotoReader {
  faces(): Promise<FacesResource> {
    const rect = { left: 1, top: 2, right: 11, bottom: 12 };
    return Promise.resolve({
      width: 16,
      height: 16,
      faces: [{ rect, score: 0.9 }],
      aligns: false,
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** A small photo of one colour, PNG. */
export function drawnPhoto(colour = 0): Uint8Array<ArrayBuffer> {
  const data = new Uint8ClampedArray(16 * 16 * 4).fill(colour);
  return new Uint8Array(encodePng({ width: 16, height: 16, data }, {}));
}

/** A photo as JSON carries it. */
export function dataUrl(photo: Uint8Array): string {
  return `data:image/png;base64,${photo.toBase64()}`;
}

/** Photos of a person, as JSON carries them. */
export const references: readonly string[] = [dataUrl(drawnPhoto())];

/** A request that is taken in. */
export const good = { references, prompt: "a man", steps: 1 };

/** Sends JSON. */
export function postJson(url: string, body: unknown): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** Sends JSON and checks that it is refused as expected. */
export async function refused(
  url: string,
  body: unknown,
  status: number,
  message: RegExp,
): Promise<void> {
  const response = await postJson(url, body);
  const { error } = await response.json();
  assertEquals(response.status, status);
  assertMatch(error.message, message);
}
