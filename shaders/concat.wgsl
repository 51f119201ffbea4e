// y[m, n] = a[m, n] for n < A, else b[m, n − A]
//
// Joins two tensors along an axis: M are the axes before it; A and B are the elements
// of that axis and those after it. a (M, A), b (M, B), y (M, A + B).
// Prepended type: ELEMENT, the widest that divides A and B, as a wide copy costs no
// more than a narrow one.
// = torch.cat.
// Grid: one invocation per element of y, in groups of 64.

struct Params {
  a: u32, // A
  b: u32, // B
  total: u32,
}

@group(0) @binding(0) var<storage, read> a: array<ELEMENT>;
@group(0) @binding(1) var<storage, read> b: array<ELEMENT>;
@group(0) @binding(2) var<storage, read_write> y: array<ELEMENT>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let row = divide(index, p.a + p.b);
  let n = index - row * (p.a + p.b);
  if n < p.a {
    y[index] = a[row * p.a + n];
  } else {
    y[index] = b[row * p.b + n - p.a];
  }
}
