// health[slot] = number, where some value of x is infinite or NaN and nothing was there
//
// x (N) as its words, two values of f16 or one of f32 each; values are tested by
// their bits, for a compiler may assume that there are no NaNs and infinities: one
// is not finite where all bits of its exponent are set. health in place; number (1)
// is 1 where there is none.
// = torch.isfinite(x).all()
// Grid: ⌈words / 256⌉, workgroups of 64, four words an invocation.

struct Params {
  words: u32, // of this launch
  low: u32, // exponent bits of a word's first value
  high: u32, // and of its second; of the only one
  half_word: u32, // the last word, where its second value is none of x's
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
  // All that write in one dispatch write the same.
  if atomicLoad(&health[p.slot]) == 0u { atomicStore(&health[p.slot], value); }
}
