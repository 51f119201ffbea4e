// y[i] = the sum of ten chains a ← a · m + c, each 8 · turns long
//
// What an adapter reaches at most: multiply and add in f32, in registers, ten
// chains an invocation so that none waits for another. One value an invocation
// is written, so that nothing can be left out.
// CONTRACT: whether fma() is called, or a multiplication and an addition are
// written; the faster of the two is the adapter's ceiling.
// Counts 2 · 10 · 8 · turns operations an invocation.
// Bindings: 0 y, 1 the uniform. Grid: one invocation an element of y, in
// groups of 64.

struct Params {
  turns: u32,
  m: f32, // below 1: nothing overflows, nothing gets denormal
  c: f32,
}

struct Chains {
  a: f32,
  b: f32,
  c: f32,
  d: f32,
  e: f32,
  f: f32,
  g: f32,
  h: f32,
  i: f32,
  j: f32,
}

override CONTRACT: bool;

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> p: Params;

fn link(a: f32) -> f32 {
  if CONTRACT { return fma(a, p.m, p.c); }
  return a * p.m + p.c;
}

fn turn(x: Chains) -> Chains {
  return Chains(
    link(x.a),
    link(x.b),
    link(x.c),
    link(x.d),
    link(x.e),
    link(x.f),
    link(x.g),
    link(x.h),
    link(x.i),
    link(x.j),
  );
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let s = f32(id.x % 64u);
  var x = Chains(
    s,
    s + 1.0,
    s + 2.0,
    s + 3.0,
    s + 4.0,
    s + 5.0,
    s + 6.0,
    s + 7.0,
    s + 8.0,
    s + 9.0,
  );
  for (var t = 0u; t < p.turns; t++) {
    x = turn(turn(turn(turn(x))));
    x = turn(turn(turn(turn(x))));
  }
  y[id.x] = x.a + x.b + x.c + x.d + x.e + x.f + x.g + x.h + x.i + x.j;
}
