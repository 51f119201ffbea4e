/**
 * A restricted unpickler. A pickle is a program for a small stack machine that
 * may name any Python code and have it called; here the names of tensors and
 * containers are recorded as data, objects of training programs as inert
 * descriptions, and names of dangerous code are refused. Nothing is ever
 * executed.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import { badCheckpoint } from "./checkpoint.ts";
import { PickleObjects } from "./pickle_objects.ts";
import { PickleCut, PickleReader } from "./pickle_reader.ts";
import { knownGlobal } from "./pickle_names.ts";
import {
  PickleDict,
  PickleList,
  PickleObject,
  type PickleValue,
} from "./pickle_values.ts";

export { PickleCut };

/**
 * The most instructions a pickle may have and items it may copy: a full-size
 * Stable Diffusion checkpoint needs about 10⁵. Otherwise a short pickle could
 * copy a long list again and again.
 */
const MAX_STEPS = 8_000_000;
/** How many steps a list, dictionary or object counts: it takes as much memory as so many values. */
const CONTAINER_STEPS = 10;

/** `('storage', <class 'torch.FloatStorage'>, '0', 'cpu', 6)`, or with a None. */
const WRITTEN_ID =
  /^\('storage', <class '([\w.]+)\.(\w+)'>, '(\w+)', '[\w:]+', (\d+)(?:, None)?\)$/;

/** A pickle's value, and where the pickle ended. */
export interface Unpickled {
  /** What it describes. */
  readonly value: PickleValue;
  /** Bytes the pickle takes. */
  readonly length: number;
}

/**
 * Reads one pickle (protocols 0 to 5) at the start of some bytes.
 *
 * @param bytes the pickle and whatever follows it
 * @param name what messages call the file
 * @throws {MasterWeaverError} `bad-checkpoint`
 * @throws {PickleCut} where the pickle continues past the bytes
 * @example
 * ```ts
 * import { unpickle } from "./pickle.ts";
 *
 * // The pickle of the number 7: protocol 2, BININT1 7, STOP.
 * console.log(unpickle(new Uint8Array([0x80, 2, 0x4b, 7, 0x2e]), "seven").value);
 * ```
 */
export function unpickle(bytes: Uint8Array, name: string): Unpickled {
  return new Machine(new PickleReader(bytes, name)).run();
}

/** Marks a place on the stack; never part of a pickle's value. */
const MARK = Symbol("mark");
type Slot = PickleValue | typeof MARK;

class Machine {
  readonly #in: PickleReader;
  readonly #stack: Slot[] = [];
  readonly #memo = new Map<number, PickleValue>();
  readonly #objects: PickleObjects;
  #steps = 0;

  constructor(reader: PickleReader) {
    this.#in = reader;
    this.#objects = new PickleObjects(reader.name, (n) => this.#spend(n));
  }

  run(): Unpickled {
    while (true) {
      const at = this.#in.position;
      const opcode = this.#in.u8();
      if (opcode === 0x2e) {
        return { value: this.#pop(), length: this.#in.position };
      }
      this.#spend(1);
      if (
        !this.#literal(opcode) && !this.#container(opcode) &&
        !this.#memory(opcode) && !this.#object(opcode)
      ) {
        throw this.#bad(
          `its instruction 0x${
            opcode.toString(16).padStart(2, "0")
          } at byte ${at} is not allowed`,
        );
      }
    }
  }

  /** Numbers, texts and constants. */
  #literal(opcode: number): boolean {
    const input = this.#in;
    switch (opcode) {
      case 0x4e: // NONE
        return this.#push(null);
      case 0x88: // NEWTRUE
        return this.#push(true);
      case 0x89: // NEWFALSE
        return this.#push(false);
      case 0x4a: // BININT
        return this.#push(input.i32());
      case 0x4b: // BININT1
        return this.#push(input.u8());
      case 0x4d: // BININT2
        return this.#push(input.u16());
      case 0x49: { // INT; protocols 0 and 1 write booleans as 00 and 01
        const start = input.position;
        const value = input.decimal();
        const isBoolean = input.position - start === 3 && value as number < 2 &&
          value as number >= 0;
        return this.#push(isBoolean ? value === 1 : value);
      }
      case 0x4c: // LONG
        return this.#push(input.decimal());
      case 0x8a: // LONG1
        return this.#push(input.integer(input.u8()));
      case 0x8b: // LONG4
        return this.#push(input.integer(input.u32()));
      case 0x46: // FLOAT
        return this.#push(Number(input.line()));
      case 0x47: // BINFLOAT
        return this.#push(input.f64());
      case 0x58: // BINUNICODE
        return this.#push(input.text(input.u32()));
      case 0x8c: // SHORT_BINUNICODE
        return this.#push(input.text(input.u8()));
      case 0x8d: // BINUNICODE8
        return this.#push(input.text(input.length64()));
      case 0x56: // UNICODE
        return this.#push(input.escapedLine());
      case 0x54: // BINSTRING, of Python 2
        return this.#push(input.text(input.u32()));
      case 0x55: // SHORT_BINSTRING, of Python 2
        return this.#push(input.text(input.u8()));
      case 0x42: // BINBYTES
        return this.#push(input.bytes(input.u32()));
      case 0x43: // SHORT_BINBYTES
        return this.#push(input.bytes(input.u8()));
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.#push(input.bytes(input.length64()));
      case 0x53: // STRING, of Python 2: its quotes stay, as nothing uses it
        return this.#push(input.line());
    }
    return false;
  }

  /** Lists, tuples, sets and dictionaries. */
  #container(opcode: number): boolean {
    switch (opcode) {
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
      case 0x8f: // EMPTY_SET
        return this.#make(new PickleList());
      case 0x7d: // EMPTY_DICT
        return this.#make(new PickleDict());
      case 0x6c: // LIST
      case 0x74: // TUPLE
      case 0x91: // FROZENSET
        return this.#make(new PickleList(this.#popToMark()));
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return this.#make(new PickleList(this.#popMany(opcode - 0x84)));
      case 0x64: { // DICT
        const dict = new PickleDict();
        this.#setItems(dict, this.#popToMark());
        return this.#make(dict);
      }
      case 0x61: // APPEND
        return this.#append(this.#popMany(1));
      case 0x65: // APPENDS
      case 0x90: // ADDITEMS, to a set
        return this.#append(this.#popToMark());
      case 0x73: { // SETITEM
        const pair = this.#popMany(2);
        return this.#setItems(this.#top(), pair);
      }
      case 0x75: { // SETITEMS
        const pairs = this.#popToMark();
        return this.#setItems(this.#top(), pairs);
      }
    }
    return false;
  }

  /** The stack itself, the memo, and framing. */
  #memory(opcode: number): boolean {
    const input = this.#in;
    switch (opcode) {
      case 0x80: { // PROTO
        const version = input.u8();
        if (version > 5) throw this.#bad(`its protocol is ${version}, over 5`);
        return true;
      }
      case 0x95: // FRAME: says only how much to read at once
        input.length64();
        return true;
      case 0x28: // MARK
        this.#stack.push(MARK);
        return true;
      case 0x30: // POP
        if (this.#stack.pop() === undefined) throw this.#empty();
        return true;
      case 0x31: // POP_MARK
        this.#popToMark();
        return true;
      case 0x32: // DUP
        return this.#push(this.#top());
      case 0x70: // PUT
        return this.#remember(input.decimal());
      case 0x71: // BINPUT
        return this.#remember(input.u8());
      case 0x72: // LONG_BINPUT
        return this.#remember(input.u32());
      case 0x94: // MEMOIZE
        return this.#remember(this.#memo.size);
      case 0x67: // GET
        return this.#recall(input.decimal());
      case 0x68: // BINGET
        return this.#recall(input.u8());
      case 0x6a: // LONG_BINGET
        return this.#recall(input.u32());
    }
    return false;
  }

  /** Names of code, and the objects made with them. */
  #object(opcode: number): boolean {
    switch (opcode) {
      case 0x63: { // GLOBAL
        const module = this.#in.line();
        return this.#push(this.#named(module, this.#in.line()));
      }
      case 0x93: { // STACK_GLOBAL
        const [module, name] = this.#popMany(2);
        if (typeof module !== "string" || typeof name !== "string") {
          throw this.#bad("a global's name is not text");
        }
        return this.#push(this.#named(module, name));
      }
      case 0x52: // REDUCE
      case 0x81: { // NEWOBJ
        const [callee, parameters] = this.#popMany(2);
        return this.#make(this.#objects.call(callee, parameters));
      }
      case 0x92: { // NEWOBJ_EX: with parameters by name
        const [callee, parameters, named] = this.#popMany(3);
        const made = this.#objects.call(callee, parameters);
        if (made instanceof PickleObject) made.contents.push(named);
        return this.#make(made);
      }
      case 0x69: { // INST
        const module = this.#in.line();
        const callee = this.#named(module, this.#in.line());
        const parameters = new PickleList(this.#popToMark());
        return this.#make(this.#objects.call(callee, parameters));
      }
      case 0x6f: { // OBJ
        const [callee, ...parameters] = this.#popToMark();
        return this.#make(
          this.#objects.call(callee ?? null, new PickleList(parameters)),
        );
      }
      case 0x62: { // BUILD
        const [state] = this.#popMany(1);
        this.#objects.setState(this.#top(), state);
        return true;
      }
      case 0x50: // PERSID, of protocol 0
        return this.#make(this.#objects.storage(this.#writtenId()));
      case 0x51: { // BINPERSID
        const [id] = this.#popMany(1);
        return this.#make(this.#objects.storage(id));
      }
    }
    return false;
  }

  /** A persistent id of protocol 0: a tuple as Python prints it. */
  #writtenId(): PickleValue {
    const line = this.#in.line();
    const [, module, name, key, count] = WRITTEN_ID.exec(line) ?? [];
    if (module === undefined) {
      throw this.#bad(`it refers to ${brief(line)}, expected a storage`);
    }
    const type = this.#named(module, name);
    return new PickleList(["storage", type, key, "cpu", Number(count)]);
  }

  #named(module: string, name: string): PickleValue {
    const known = knownGlobal(module, name);
    if (!known) {
      throw this.#bad(
        `it asks for ${brief(`${module}.${name}`)}, and only tensors, ` +
          "dictionaries, lists, numbers and texts are allowed; save the " +
          "state dict alone, or as safetensors",
      );
    }
    return known;
  }

  #spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) {
      throw this.#bad(`its pickle takes more than ${MAX_STEPS} steps`);
    }
  }

  #setItems(target: PickleValue, items: readonly PickleValue[]): boolean {
    this.#objects.setItems(target, items);
    return true;
  }

  #append(items: readonly PickleValue[]): boolean {
    this.#objects.append(this.#top(), items);
    return true;
  }

  #remember(index: number | bigint): boolean {
    this.#memo.set(Number(index), this.#top());
    return true;
  }

  #recall(index: number | bigint): boolean {
    const value = this.#memo.get(Number(index));
    if (value === undefined) throw this.#bad(`it recalls ${index}, never put`);
    return this.#push(value);
  }

  /** Pushes a new container or object. */
  #make(value: PickleValue): boolean {
    this.#spend(CONTAINER_STEPS);
    return this.#push(value);
  }

  #push(value: PickleValue): boolean {
    this.#stack.push(value);
    return true;
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) throw this.#empty();
    return value as PickleValue;
  }

  #pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMany(count: number): PickleValue[] {
    const values: PickleValue[] = [];
    for (let i = 0; i < count; i++) values.push(this.#pop());
    return values.reverse();
  }

  #popToMark(): PickleValue[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) throw this.#empty();
    const values = this.#stack.splice(mark) as PickleValue[];
    values.shift();
    return values;
  }

  #empty(): Error {
    return this.#bad(`its stack is empty before byte ${this.#in.position}`);
  }

  #bad(what: string): Error {
    return badCheckpoint(this.#in.name, what);
  }
}
