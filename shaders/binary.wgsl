// y = a ∘ b with ∘ one of + − × ÷, broadcast as in PyTorch
//
// a, b and y have up to four axes; a stride of 0 repeats an operand along an axis.
// Computes in f32. = torch.add, sub, mul, div.
// Grid: one invocation per element of y, in groups of 64.

struct Params {
  shape: vec4<u32>, // of y, padded in front with ones
  a: vec4<u32>, // strides of a, in elements
  b: vec4<u32>, // strides of b
  total: u32,
}

override OPERATION: u32 = 0u; // 0 add, 1 sub, 2 mul, 3 div

@group(0) @binding(0) var<storage, read> a: array<real>;
@group(0) @binding(1) var<storage, read> b: array<real>;
@group(0) @binding(2) var<storage, read_write> y: array<real>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let i3 = index % p.shape.w;
  let i2 = (index / p.shape.w) % p.shape.z;
  let i1 = (index / (p.shape.w * p.shape.z)) % p.shape.y;
  let i0 = index / (p.shape.w * p.shape.z * p.shape.y);
  let at = vec4<u32>(i0, i1, i2, i3);
  let ia = at * p.a;
  let ib = at * p.b;
  let left = f32(a[ia.x + ia.y + ia.z + ia.w]);
  let right = f32(b[ib.x + ib.y + ib.z + ib.w]);
  var v = left + right;
  if OPERATION == 1u { v = left - right; }
  if OPERATION == 2u { v = left * right; }
  if OPERATION == 3u { v = left / right; }
  y[index] = real(v);
}
