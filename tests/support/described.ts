/**
 * Holds answers of a server against its own OpenAPI document.
 *
 * @module
 */
// deno-lint-ignore no-import-prefix
import { Ajv2020 } from "npm:ajv@8.20.0/dist/2020.js";

interface Schema {
  readonly [key: string]: unknown;
}

interface DescribedAnswer {
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
}

/** An operation of a document. */
export interface DescribedOperation {
  readonly operationId: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
  }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: Schema }>>;
  };
  readonly responses: Readonly<Record<string, DescribedAnswer>>;
}

/** An OpenAPI document, as far as tests read it. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, DescribedOperation>>>
  >;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** An answer, read to its end. */
export interface ReadAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed where it is JSON. */
  // deno-lint-ignore no-explicit-any
  readonly json: any;
}

/** Asks a server, and checks each answer. */
export class DescribedServer {
  readonly document: OpenApiDocument;
  /** Operations that gave a good answer, as `get /path`. */
  readonly done = new Set<string>();
  readonly #url: string;
  readonly #ajv = new Ajv2020({
    strict: false,
    formats: {
      photo: true,
      "date-time": (text: string) => !isNaN(+new Date(text)),
    },
  });

  private constructor(url: string, document: OpenApiDocument) {
    this.#url = url;
    this.document = document;
    this.#ajv.addSchema({ $id: "document", ...document });
  }

  /** Reads the document of a server. */
  static async at(url: string): Promise<DescribedServer> {
    return new DescribedServer(
      url,
      await (await fetch(`${url}/openapi.json`)).json(),
    );
  }

  /** All operations, as `get /path`. */
  get operations(): string[] {
    return Object.entries(this.document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`)
    );
  }

  /**
   * Sends a request and checks that its answer is as described.
   *
   * @param operation as `get /path/{parameter}`
   * @param given values of the path's parameters; a body: a form, or what becomes JSON
   */
  async ask(
    operation: string,
    given: {
      readonly params?: Readonly<Record<string, string>>;
      readonly query?: string;
      readonly body?: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<ReadAnswer> {
    const [method, path] = operation.split(" ");
    const { params = {}, query = "", body, headers } = given;
    const filled = path.replace(
      /\{(\w+)\}/g,
      (_, name) => encodeURIComponent(params[name]),
    );
    const isJson = body !== undefined && !(body instanceof FormData);
    const response = await fetch(this.#url + filled + query, {
      method: method.toUpperCase(),
      headers: {
        ...isJson && { "content-type": "application/json" },
        ...headers,
      },
      body: isJson ? JSON.stringify(body) : body as FormData | undefined,
    });
    const text = await response.text();
    const fault = this.fault(operation, response, text);
    if (fault !== undefined) throw new Error(`${operation}: ${fault}`);
    if (response.ok) this.done.add(operation);
    const isParsed = /json/.test(response.headers.get("content-type") ?? "");
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isParsed ? JSON.parse(text) : undefined,
    };
  }

  /** What is not described of an answer. */
  fault(
    operation: string,
    { status, headers }: Response,
    text: string,
  ): string | undefined {
    const [method, path] = operation.split(" ");
    const answer = this.document.paths[path]?.[method]?.responses[status];
    if (!answer) {
      return `status ${status} is not described: ${text.slice(0, 200)}`;
    }
    const type = (headers.get("content-type") ?? "").split(";")[0];
    if (!answer.content) return undefined;
    const known = Object.keys(answer.content).find((known) =>
      new RegExp(`^${known.replace("*", ".*")}$`).test(type)
    );
    if (known === undefined) return `${status}: type ${type} is not described`;
    if (type !== "application/json") return undefined;
    const at = [
      "paths",
      path,
      method,
      "responses",
      String(status),
      "content",
      known,
      "schema",
    ];
    const pointer = at.map((part) =>
      encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"))
    ).join("/");
    const isRight = this.#ajv.validate(
      { $ref: `document#/${pointer}` },
      JSON.parse(text),
    );
    return isRight ? undefined : `${status}: ${this.#ajv.errorsText()}`;
  }
}
