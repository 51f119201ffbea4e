/**
 * Prompts that change from step to step, as AUTOMATIC1111's web UI reads them:
 * `[from:to:when]`, `[to:when]`, `[from::when]` and `[a|b]`.
 *
 * @module
 */

/** A text and the steps up to which it holds. */
export interface PromptSpan {
  /** The last step with this text, counted from 1. */
  readonly until: number;
  /** The prompt at these steps. */
  readonly text: string;
}

/** Text, or something that depends on the step. */
type Item = string | Scheduled | Alternate | readonly Item[];

/** `[before:after:when]` */
interface Scheduled {
  readonly before: Item;
  readonly after: Item;
  /** The number as it is written: a point makes it a share of the steps. */
  readonly when: string;
}

/** `[a|b|c]`, one after the other, step by step. */
interface Alternate {
  readonly options: readonly Item[];
}

/** What stands between brackets, and the index after the closing one. */
interface Group {
  readonly item: Item;
  readonly end: number;
}

/**
 * The texts of a prompt over its steps.
 *
 * A number with a point is a share of the steps, any other a step; `from` holds up
 * to and with that step. Brackets that do not match are text. A `|` outside of
 * `[a|b]`, or a backslash before nothing, makes all of the prompt text.
 *
 * @param steps that were asked for
 * @returns at least one span; the last one ends at `steps`
 *
 * @example
 * ```ts
 * import { promptSchedule } from "./a1111_schedule.ts";
 *
 * console.log(promptSchedule("a [cat:dog:0.5]", 10));
 * // [ { until: 5, text: "a cat" }, { until: 10, text: "a dog" } ]
 * ```
 */
export function promptSchedule(prompt: string, steps: number): PromptSpan[] {
  const items = new Reader(prompt).read();
  if (!items) return [{ until: steps, text: prompt }];
  const ends = new Set([steps]);
  collectEnds(items, steps, ends);
  return [...ends].sort((a, b) => a - b)
    .map((until) => ({ until, text: textAt(items, until, steps) }));
}

/** The step after which `after` holds. */
function lastStep(when: string, steps: number): number {
  const value = Number(when) * (when.includes(".") ? steps : 1);
  return Math.min(steps, Math.trunc(value));
}

/** Adds the steps after which something changes. */
function collectEnds(item: Item, steps: number, ends: Set<number>): void {
  if (typeof item === "string") return;
  if ("when" in item) {
    const last = lastStep(item.when, steps);
    if (last >= 1) ends.add(last);
    collectEnds(item.before, steps, ends);
    collectEnds(item.after, steps, ends);
  } else if ("options" in item) {
    for (let step = 1; step <= steps; step++) ends.add(step);
    for (const option of item.options) collectEnds(option, steps, ends);
  } else {
    for (const one of item) collectEnds(one, steps, ends);
  }
}

/** The text at a step, counted from 1. */
function textAt(item: Item, step: number, steps: number): string {
  if (typeof item === "string") return item;
  if ("when" in item) {
    const isBefore = step <= lastStep(item.when, steps);
    return textAt(isBefore ? item.before : item.after, step, steps);
  }
  if ("options" in item) {
    return textAt(item.options[(step - 1) % item.options.length], step, steps);
  }
  return item.map((one) => textAt(one, step, steps)).join("");
}

/** As numbers are written in Python's `lark`. */
const NUMBER = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*$/;
/** Text up to a bracket, colon or bar; a backslash takes the next character along. */
const PLAIN = /(?:[^\\[\]():|]|\\[^\n])+/y;
/** Deeper brackets are text, so that no prompt exhausts the stack. */
const MAX_DEPTH = 200;

class Reader {
  readonly #text: string;
  /** What was found at each opening bracket; null where no group starts. */
  readonly #groups = new Map<number, Group | null>();
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The whole prompt; null where it is not of this syntax. */
  read(): Item[] | null {
    const items: Item[] = [];
    for (let at = 0; at < this.#text.length;) {
      const { item, end } = this.#prompt(at);
      items.push(item);
      at = end;
      if (at === this.#text.length) break;
      const next = this.#text[at];
      if (!"[]():".includes(next)) return null;
      items.push(next);
      at++;
    }
    return items;
  }

  /** Text and groups, up to what is neither. */
  #prompt(start: number): Group {
    const items: Item[] = [];
    let end = start;
    for (;;) {
      PLAIN.lastIndex = end;
      const plain = PLAIN.exec(this.#text)?.[0];
      if (plain !== undefined) {
        items.push(plain);
        end += plain.length;
        continue;
      }
      const group = this.#group(end);
      if (!group) return { item: items, end };
      items.push(group.item);
      end = group.end;
    }
  }

  /** What stands in brackets that open at `start`; null where none do, or none close. */
  #group(start: number): Group | null {
    const open = this.#text[start];
    if (open !== "(" && open !== "[") return null;
    const known = this.#groups.get(start);
    if (known !== undefined) return known;
    if (this.#depth === MAX_DEPTH) return null;
    this.#depth++;
    const group = open === "(" ? this.#round(start) : this.#square(start);
    this.#depth--;
    this.#groups.set(start, group);
    return group;
  }

  /** `(a)` and `(a:b)`, whose weights another stage reads. */
  #round(start: number): Group | null {
    const { members, separators, end } = this.#members(start + 1);
    const isWhole = this.#text[end] === ")" &&
      (separators === "" || separators === ":");
    if (!isWhole) return null;
    const [first, second] = members;
    const item = second === undefined
      ? ["(", first.item, ")"]
      : ["(", first.item, ":", second.item, ")"];
    return { item, end: end + 1 };
  }

  /** `[a]`, `[a:when]`, `[a:b:when]` and `[a|b]`. */
  #square(start: number): Group | null {
    const { members, separators, end } = this.#members(start + 1);
    if (this.#text[end] !== "]") return null;
    const items = members.map(({ item }) => item);
    if (separators === "") {
      return { item: ["[", ...items, "]"], end: end + 1 };
    }
    if (/^\|+$/.test(separators)) {
      return { item: { options: items }, end: end + 1 };
    }
    if (separators !== ":" && separators !== "::") return null;
    const last = members.at(-1)!;
    const when = NUMBER.exec(this.#text.slice(last.start, last.end))?.[1];
    if (when === undefined) return null;
    const [before, after] = separators === ":" ? ["", items[0]] : items;
    return { item: { before, after, when }, end: end + 1 };
  }

  /** Prompts with a separator between every two. */
  #members(start: number) {
    const members: (Group & { readonly start: number })[] = [];
    let separators = "";
    for (let at = start;;) {
      const member = { ...this.#prompt(at), start: at };
      members.push(member);
      const next = this.#text[member.end];
      if (next !== ":" && next !== "|") {
        return { members, separators, end: member.end };
      }
      separators += next;
      at = member.end + 1;
    }
  }
}
