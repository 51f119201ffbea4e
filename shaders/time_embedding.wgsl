// y[b, i] = cos(t[b] · f[i]), y[b, N + i] = sin(t[b] · f[i])
//
// t (B) and frequencies f (N) in f32, y (B, 2N). The angle reaches 1000 radians,
// too much for a GPU's sine, so whole turns are subtracted first, in two steps that
// lose no digits.
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

// 2π = TURN_HIGH + TURN_LOW. TURN_HIGH has 9 significant bits, so that its product
// with a number of turns below 2^15 is exact.
const TURN_HIGH = 6.28125;
const TURN_LOW = 1.9353071795864769e-3;

fn reduce(angle: f32) -> f32 {
  let turns = round(angle / 6.283185307179586);
  return (angle - turns * TURN_HIGH) - turns * TURN_LOW;
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
  let angle = reduce(t[b] * f[i]);
  let at = b * 2u * p.frequencies + i;
  y[at] = real(cos(angle));
  y[at + p.frequencies] = real(sin(angle));
}
