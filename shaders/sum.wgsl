// y[o, part, i] = scale · Σ_n x[o, n, i], over the n of one part
//
// x (O, N, I); y (O, P, I): one partial sum for each of P parts of L consecutive n.
// A second launch with the partial sums as x adds these. The order is fixed: the
// same x gives the same bits. Accumulates in f32.
// = torch.sum over an axis, times a number.
// Prepended types: SOURCE and TARGET, the element types of x and y.
// A tensor longer than a binding is read in several launches, each of some partial sums.
// Grid: an invocation per element of y that the launch writes, in groups of 64, i fastest.

struct Params {
  length: u32, // N
  part: u32, // L
  parts: u32, // P
  inner: u32, // I
  first_part: u32, // number of the launch's first partial sum, o · P + part
  first_row: u32, // number of x's first bound row of I elements, o · N + n
  total: u32, // elements of y that the launch writes
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<SOURCE>;
@group(0) @binding(1) var<storage, read_write> y: array<TARGET>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let i = index % p.inner;
  let number = p.first_part + index / p.inner;
  let part = number % p.parts;
  let o = number / p.parts;
  let first = part * p.part;
  let count = min(p.part, p.length - first);
  var at = (o * p.length + first - p.first_row) * p.inner + i;
  var sum = 0.0;
  for (var n = 0u; n < count; n++) {
    sum += f32(x[at]);
    at += p.inner;
  }
  y[number * p.inner + i] = TARGET(p.scale * sum);
}
