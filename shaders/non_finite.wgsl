// health[slot] = number, if any value of x is infinite or NaN and the slot is still 0
//
// x (N) as 32-bit words, two f16 values or one f32 each. Values are tested by their
// bits, as a compiler may assume that there are no NaNs and infinities: a value is
// not finite if all bits of its exponent are set. health (S) in place; number (1),
// or 1 without it.
// = not torch.isfinite(x).all()
// Grid: ⌈words / 256⌉ workgroups of 64, four words per invocation.

struct Params {
  words: u32, // of this launch
  low: u32, // exponent bits of a word's first value
  high: u32, // exponent bits of its second value, or of its only one
  half_word: u32, // the last word, if only its first value belongs to x
  slot: u32,
  has_number: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> number: array<u32>;
@group(0) @binding(2) var<storage, read_write> health: array<atomic<u32>>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let first = group_index(group, groups) * 256u + lane;
  var wrong = false;
  for (var i = 0u; i < 4u; i++) {
    let at = first + i * 64u;
    if at >= p.words { break; }
    let word = x[at];
    wrong |= (word & p.low) == p.low;
    wrong |= (word & p.high) == p.high && at != p.half_word;
  }
  if !wrong { return; }
  var value = 1u;
  if p.has_number != 0u { value = number[0]; }
  // Not atomic together, but all invocations of a dispatch write the same value.
  if atomicLoad(&health[p.slot]) == 0u { atomicStore(&health[p.slot], value); }
}
