/**
 * The OpenAPI document: it is one, it has every route, and every answer in a
 * walk over all operations is as it says.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
// deno-lint-ignore no-import-prefix
import { Ajv2020 } from "npm:ajv@8.20.0/dist/2020.js";
import { DescribedServer, type OpenApiDocument } from "./support/described.ts";
import { repositoryPath } from "./support/paths.ts";
import {
  drawnPhoto,
  good,
  references,
  withStudio,
} from "./support/studio_server.ts";

const photo = drawnPhoto();

async function fixture(name: string): Promise<Record<string, unknown>> {
  const path = repositoryPath(`tests/fixtures/${name}`);
  return JSON.parse(await Deno.readTextFile(path));
}

async function documentOf(url: string): Promise<OpenApiDocument> {
  return await (await fetch(`${url}/openapi.json`)).json();
}

Deno.test("openapi: the document is valid by OpenAPI 3.1's own schema", async () => {
  await withStudio({}, async (url) => {
    const document = await documentOf(url);
    // As published by the OpenAPI Initiative, without its descriptions.
    const schema = await fixture("openapi-3.1.json");
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    assert(ajv.validate(schema, document), ajv.errorsText());
    // It does find faults.
    const wrong = { ...document, paths: { nothing: {} } };
    assert(!ajv.validate(schema, wrong));
    assertEquals(document.openapi.slice(0, 3), "3.1");
  });
});

Deno.test("openapi: operations have names of their own, and all parameters", async () => {
  await withStudio({}, async (url) => {
    const { paths } = await documentOf(url);
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.values(methods).map((operation) => ({ path, ...operation }))
    );
    const ids = operations.map(({ operationId }) => operationId);
    assertEquals(new Set(ids).size, ids.length);
    for (const { path, parameters = [] } of operations) {
      const inPath = parameters.filter((one) => one.in === "path");
      assertEquals(
        inPath.map(({ name }) => `{${name}}`),
        path.match(/\{\w+\}/g) ?? [],
        path,
      );
    }
  });
});

Deno.test("openapi: a token is in the document where one is needed", async () => {
  await withStudio({ token: "correct-horse" }, async (url) => {
    const response = await fetch(`${url}/openapi.json`, {
      headers: { authorization: "Bearer correct-horse" },
    });
    const { paths, components, security } = await response.json();
    assertEquals(Object.keys(components.securitySchemes), ["token", "cookie"]);
    assertEquals(security, [{ token: [] }, { cookie: [] }]);
    assertEquals(paths["/api/health"].get.security, []);
    assert("401" in paths["/api/generate"].post.responses);
    assert(!("401" in paths["/api/health"].get.responses));
  });
});

/** Our own operations, from photos to images; good answers and errors. */
async function walkOwn(server: DescribedServer): Promise<void> {
  await server.ask("get /api/health");
  await server.ask("get /api/model");
  await server.ask("get /api/metrics");
  await server.ask("get /openapi.json");
  await server.ask("get /docs");
  for (const name of ["start.js", "swagger-ui.css", "swagger-ui-bundle.js"]) {
    await server.ask(`get /docs/${name}`);
  }
  await server.ask("post /api/faces", { body: { photo: references[0] } });
  const wrong = await server.ask("post /api/faces", { body: { photo: "?" } });
  assertEquals(wrong.status, 400);
  const { json: person } = await server.ask("post /api/identities", {
    body: { references },
  });
  const params = { id: person.id, index: "0" };
  await server.ask("get /api/identities/{id}", { params });
  await server.ask("get /api/identities/{id}/faces/{index}", { params });
  const form = new FormData();
  form.set("prompt", "a man");
  form.set("steps", "1");
  form.set("identity", person.id);
  const made = await server.ask("post /api/generate", { body: form });
  assertEquals(made.status, 202);
  const larger = await server.ask("post /api/upscale", {
    body: { image: references[0], upscaleBy: 3 },
  });
  assertEquals(larger.json.settings, { upscale: "lanczos", upscaleBy: 3 });
  await walkJob(
    server,
    (await server.ask("post /api/generate", { body: good })).json.id,
  );
  for (const path of ["jobs", "identities"]) {
    const none = await server.ask(`get /api/${path}/{id}`, {
      params: { id: "none" },
    });
    assertEquals(none.status, 404);
  }
}

async function walkJob(server: DescribedServer, id: string): Promise<void> {
  const params = { id, index: "0" };
  await server.ask("get /api/jobs");
  const events = await server.ask("get /api/jobs/{id}/events", { params });
  assertMatch(events.text, /event: done\n/);
  const { json: job } = await server.ask("get /api/jobs/{id}", { params });
  assertEquals(job.state, "done");
  await server.ask("get /api/jobs/{id}/images/{index}", { params });
  await server.ask("get /api/jobs/{id}/references/{index}", { params });
  const far = { id, index: "7" };
  const none = await server.ask("get /api/jobs/{id}/images/{index}", {
    params: far,
  });
  assertEquals(none.status, 404);
  await server.ask("delete /api/jobs/{id}", { params });
}

/** The operations of other programs' APIs. */
async function walkCompatible(server: DescribedServer): Promise<void> {
  const fields = { prompt: "a man", response_format: "b64_json" };
  await server.ask("post /v1/images/generations", { body: fields });
  await server.ask("post /v1/images/generations", { body: { prompt: 1 } });
  await server.ask("post /v1/images/edits", {
    body: { prompt: "a man", image: references },
  });
  const { json: models } = await server.ask("get /v1/models");
  const [{ id }] = models.data;
  await server.ask("get /v1/models/{id}", { params: { id } });
  await server.ask("get /v1/models/{id}", { params: { id: "none" } });
  await server.ask("post /sdapi/v1/txt2img", {
    body: { prompt: "a man", steps: 1 },
  });
  await server.ask("post /sdapi/v1/txt2img", { body: { steps: "many" } });
  await server.ask("post /sdapi/v1/img2img", {
    body: { init_images: [photo.toBase64()], steps: 2 },
  });
  await server.ask("post /sdapi/v1/extra-single-image", {
    body: { image: photo.toBase64(), upscaler_1: "Lanczos" },
  });
  await server.ask("post /sdapi/v1/extra-batch-images", {
    body: {
      imageList: [{ data: photo.toBase64(), name: "a.png" }],
      upscaler_1: "sharp",
    },
  });
  await server.ask("post /sdapi/v1/png-info", {
    body: { image: photo.toBase64() },
  });
  await server.ask("post /sdapi/v1/options", { body: {} });
  const lists = server.operations.filter((operation) =>
    /^get \/(sdapi|controlnet)\//.test(operation)
  );
  for (const operation of lists) await server.ask(operation);
}

Deno.test("openapi: every operation answers as described", async () => {
  await withStudio({}, async (url) => {
    const server = await DescribedServer.at(url);
    await walkOwn(server);
    await walkCompatible(server);
    // What is left takes nothing, or says that it is not there yet.
    for (const operation of server.operations) {
      if (server.done.has(operation)) continue;
      const { status } = await server.ask(operation);
      assert(status === 200 || status === 404, `${operation} ${status}`);
    }
  });
});

Deno.test("openapi: errors of every kind are as described", async () => {
  const limits = { bytes: 100_000 };
  await withStudio({ maxWaiting: 1, stepTime: 50, limits }, async (url) => {
    const server = await DescribedServer.at(url);
    for (const operation of server.operations) {
      const path = operation.split(" ")[1].replace(/\{\w+\}/g, "x");
      const response = await fetch(url + path, { method: "PUT" });
      assertEquals(response.status, 405, path);
      const fault = server.fault(operation, response, await response.text());
      assertEquals(fault, undefined, operation);
      assert(response.headers.has("allow"));
      const foreign = await server.ask(operation, {
        params: { id: "x", index: "0" },
        headers: { origin: "http://evil.example" },
      });
      assertEquals(foreign.status, 403, operation);
    }
    const withBody = server.operations.filter((operation) => {
      const [method, path] = operation.split(" ");
      return server.document.paths[path][method].requestBody;
    });
    for (const operation of withBody) {
      const text = await server.ask(operation, {
        body: {},
        headers: { "content-type": "text/plain" },
      });
      assert(
        [400, 415, 422].includes(text.status),
        `${operation} ${text.status}`,
      );
      const large = await server.ask(operation, {
        body: { prompt: " ".repeat(100_000) },
      });
      // AUTOMATIC1111's clients know no other status for what is wrong.
      const isTold = large.status === (/sdapi/.test(operation) ? 422 : 413);
      assert(isTold, `${operation} ${large.status}`);
      await server.ask(operation, { body: [] });
    }
    const jobs = await Promise.all(
      Array.from(
        { length: 4 },
        () => server.ask("post /api/generate", { body: good }),
      ),
    );
    const full = jobs.find(({ status }) => status === 503);
    assertMatch(full?.headers.get("retry-after") ?? "", /^\d+$/);
    assertEquals(full?.json.error.code, "queue-full");
  });
});

Deno.test("openapi: what the document does not name is refused by name", async () => {
  await withStudio({}, async (url) => {
    const server = await DescribedServer.at(url);
    const bodies: [operation: string, body: object][] = [
      ["post /api/generate", { ...good, promt: "a" }],
      ["post /api/identities", { references, promt: "a" }],
      ["post /api/faces", { photo: references[0], promt: "a" }],
    ];
    for (const [operation, body] of bodies) {
      const { status, json } = await server.ask(operation, { body });
      assertEquals(status, 400);
      assertEquals(json.error.field, "promt");
      assertMatch(json.error.message, /^Field promt is unknown/);
    }
    const near = await server.ask("post /api/generate", {
      body: { ...good, promt: "a" },
    });
    assertMatch(near.json.error.message, /did you mean prompt\?/);
    const query = await server.ask("get /api/jobs", { query: "?limit=3" });
    assertEquals(query.status, 400);
    assertEquals(query.json.error.field, "limit");
  });
});
