/**
 * `GET /docs`: the API's document as a page, by Swagger UI from the cache of
 * packages.
 *
 * @module
 */
import type { JsonSchema } from "../../options/types.ts";
import { type DocumentOptions, openapiDocument } from "./openapi.ts";
import type { Operation } from "./operation.ts";

const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MasterWeaver Studio: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<script src="/docs/swagger-ui-bundle.js" defer></script>
<script src="/docs/start.js" defer></script>
<div id="api"></div>
</html>
`;

const script = `SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  validatorUrl: null,
  deepLinking: false,
});
`;

/** Swagger UI sets styles in attributes; scripts are files only, and nothing comes from elsewhere. */
const policy = "default-src 'none'; script-src 'self'; " +
  "style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** The document, and the page that shows it. */
export function documentOperations(
  operations: readonly Operation[],
  options: DocumentOptions,
): Operation[] {
  let document: string | undefined;
  const own: Operation = {
    method: "get",
    path: "/openapi.json",
    tag: "Server",
    summary: "This document",
    answers: {
      200: { description: "OpenAPI 3.1", schema: anyObject },
    },
    handle: () => {
      document ??= JSON.stringify(
        openapiDocument([...operations, ...all], options),
      );
      return new Response(document, {
        headers: { "content-type": "application/json" },
      });
    },
  };
  const all = [
    own,
    page("/docs", "text/html; charset=utf-8", () => html),
    page("/docs/start.js", "text/javascript; charset=utf-8", () => script),
    packageFile("swagger-ui.css", "text/css; charset=utf-8"),
    packageFile("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
  ];
  return all;
}

const anyObject: JsonSchema = { type: "object" };

function packageFile(name: string, type: string): Operation {
  return page(
    `/docs/${name}`,
    type,
    async () => {
      // Not before it is asked for: it is large, and only people need it.
      const { default: folder } = await import(
        // No import map: it would not apply where mod.ts is imported from elsewhere.
        // deno-lint-ignore no-import-prefix
        "npm:swagger-ui-dist@5.35.0/absolute-path.js"
      );
      return await Deno.readFile(`${folder()}/${name}`);
    },
  );
}

function page(
  path: string,
  mediaType: string,
  read: () => string | Promise<Uint8Array<ArrayBuffer>>,
): Operation {
  return {
    method: "get",
    path,
    tag: "Server",
    summary: "A page that shows this document",
    answers: { 200: { description: "A file", mediaType } },
    handle: async () =>
      new Response(await read(), {
        headers: {
          "content-type": mediaType,
          "content-security-policy": policy,
          "cache-control": "private, max-age=3600",
        },
      }),
  };
}
