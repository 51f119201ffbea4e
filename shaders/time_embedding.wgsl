// y[b, i] = cos(t[b] · f[i]), y[b, N + i] = sin(t[b] · f[i])
//
// t (B) and frequencies f (N) in f32, y (B, 2N). WGSL's own sine and cosine may be
// wrong by 2⁻¹¹, and by anything beyond ±π; the angle reaches 1000 radians. So
// quarter turns are subtracted first, in two steps that lose no digits, and what is
// left, at most ±π/4, goes into the polynomials of Cephes' sinf and cosf.
// = diffusers' get_timestep_embedding with flip_sin_to_cos.
// Grid: B · N invocations in groups of 64.

struct Params {
  frequencies: u32, // N
  total: u32,
}

@group(0) @binding(0) var<storage, read> t: array<f32>;
@group(0) @binding(1) var<storage, read> f: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<real>;
@group(0) @binding(3) var<uniform> p: Params;

// π/2 = QUARTER_HIGH + QUARTER_LOW. QUARTER_HIGH has 8 significant bits, so that its
// product with a number of quarter turns below 2^16 is exact.
const QUARTER_HIGH = 1.5703125;
const QUARTER_LOW = 4.8382679489661923e-4;

// Cosine and sine of an angle, each off by less than 2^-22.
fn circle(angle: f32) -> vec2<f32> {
  let quarters = round(angle * 0.6366197723675814);
  let r = (angle - quarters * QUARTER_HIGH) - quarters * QUARTER_LOW;
  let z = r * r;
  let c = 1.0 + z * (-0.5 + z * (4.166664568298827e-2 +
    z * (-1.388731625493765e-3 + z * 2.443315711809948e-5)));
  let s = r + r * z * (-1.6666654611e-1 +
    z * (8.3321608736e-3 + z * -1.9515295891e-4));
  switch i32(quarters) & 3 {
    case 0: { return vec2<f32>(c, s); }
    case 1: { return vec2<f32>(-s, c); }
    case 2: { return vec2<f32>(-c, -s); }
    default: { return vec2<f32>(s, -c); }
  }
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let i = index % p.frequencies;
  let b = index / p.frequencies;
  let point = circle(t[b] * f[i]);
  let at = b * 2u * p.frequencies + i;
  y[at] = real(point.x);
  y[at + p.frequencies] = real(point.y);
}
