/**
 * The studio's own API, with an engine that draws: what each operation answers,
 * and the events of a job.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  dataUrl,
  drawnPhoto,
  postJson,
  withStudio,
} from "./support/studio_server.ts";

const references = [dataUrl(drawnPhoto())];

Deno.test("a job makes images that can be fetched", async () => {
  await withStudio({}, async (url) => {
    const response = await postJson(`${url}/api/generate`, {
      references,
      prompt: "a man",
      seed: "18446744073709551615",
      numImages: 2,
      steps: 2,
    });
    assertEquals(response.status, 202);
    const job = await response.json();
    assertEquals(response.headers.get("location"), `/api/jobs/${job.id}`);
    assertEquals(job.settings.seed, "18446744073709551615");
    const events = await (await fetch(`${url}/api/jobs/${job.id}/events`))
      .text();
    assertMatch(events, /event: done\n/);
    const done = await (await fetch(`${url}/api/jobs/${job.id}`)).json();
    assertEquals(done.state, "done");
    assertEquals(done.images.length, 2);
    const image = await fetch(url + done.images[1].url);
    assertEquals(image.headers.get("content-type"), "image/png");
    assert((await image.bytes()).length > 50);
    const face = await fetch(url + done.references[0].url);
    assertEquals(
      (await face.bytes()).slice(1, 4),
      new TextEncoder().encode("PNG"),
    );
  });
});
