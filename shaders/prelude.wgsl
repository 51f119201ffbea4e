// Prepended to every shader, after `alias real = f16 | f32;`, the storage type.
// Arithmetic is always f32.

alias real4 = vec4<real>;

// Activations by number; see src/ops/activation.ts.
const ACT_NONE = 0u;
const ACT_SILU = 1u;
const ACT_GELU = 2u; // exact: x/2 (1 + erf(x/√2))
const ACT_QUICK_GELU = 3u; // x σ(1.702 x)
const ACT_RELU = 4u; // keeps NaNs, as PyTorch does; max() would hide them
const ACT_SIGMOID = 5u;
const ACT_LEAKY_RELU = 6u; // of slope 0.2 below 0

// e^−x, but no more than e^80: WGSL lets an implementation assume that nothing
// overflows, and promises no division by more than 2^126. NaNs are kept.
fn exp_neg(x: f32) -> f32 {
  return exp(select(-x, 80.0, x < -80.0));
}

fn exp_neg4(x: vec4<f32>) -> vec4<f32> {
  return exp(select(-x, vec4<f32>(80.0), x < vec4<f32>(-80.0)));
}

fn sigmoid(x: f32) -> f32 {
  return 1.0 / (1.0 + exp_neg(x));
}

// erf by Abramowitz & Stegun 7.1.26; |error| < 1.5e-7, f32's own resolution.
fn erf(x: f32) -> f32 {
  let t = 1.0 / (1.0 + 0.3275911 * abs(x));
  let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 +
    t * (-1.453152027 + t * 1.061405429))));
  return sign(x) * (1.0 - p * exp(-x * x));
}

fn activate(kind: u32, x: f32) -> f32 {
  switch kind {
    case ACT_SILU: { return x * sigmoid(x); }
    case ACT_GELU: { return 0.5 * x * (1.0 + erf(x * 0.7071067811865476)); }
    case ACT_QUICK_GELU: { return x * sigmoid(1.702 * x); }
    case ACT_RELU: { return select(0.0, x, !(x <= 0.0)); }
    case ACT_SIGMOID: { return sigmoid(x); }
    case ACT_LEAKY_RELU: { return select(x, 0.2 * x, x < 0.0); }
    default: { return x; }
  }
}

fn activate4(kind: u32, x: vec4<f32>) -> vec4<f32> {
  switch kind {
    case ACT_SILU: { return x / (1.0 + exp_neg4(x)); }
    case ACT_GELU: {
      let z = abs(x) * 0.7071067811865476;
      let t = 1.0 / (1.0 + 0.3275911 * z);
      let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 +
        t * (-1.453152027 + t * 1.061405429))));
      return 0.5 * x * (1.0 + sign(x) * (1.0 - p * exp(-z * z)));
    }
    case ACT_QUICK_GELU: { return x / (1.0 + exp_neg4(1.702 * x)); }
    case ACT_RELU: { return select(vec4<f32>(), x, !(x <= vec4<f32>())); }
    case ACT_SIGMOID: { return 1.0 / (1.0 + exp_neg4(x)); }
    case ACT_LEAKY_RELU: { return select(x, 0.2 * x, x < vec4<f32>()); }
    default: { return x; }
  }
}

// Number of a dispatch's first workgroup: 0, except for the later parts of a launch
// that takes too long for one submission; see src/gpu/part_starts.ts.
@group(1) @binding(0) var<uniform> first_group: u32;

// The number of a workgroup. Workgroups are numbered in one dimension; a dispatch too
// wide for the x axis continues along y.
fn group_index(id: vec3<u32>, groups: vec3<u32>) -> u32 {
  return first_group + id.x + id.y * groups.x;
}

// a / b, computed with floats for code that runs once per element: a CPU divides
// integers lane by lane, each in the time of a dozen multiplications.
fn divide(a: u32, b: u32) -> u32 {
  let near = u32(f32(a) / f32(b));
  // Corrects the rounding of a to f32; what is left is off by at most one.
  let off = i32(a - near * b);
  let q = i32(near) + i32(floor(f32(off) / f32(b)));
  let rest = i32(a) - q * i32(b);
  return u32(q + select(0, 1, rest >= i32(b)) - select(0, 1, rest < 0));
}
