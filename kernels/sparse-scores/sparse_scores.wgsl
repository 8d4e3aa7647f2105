// sparse_scores: out[u, j] = Σ weights[l] · W[items[l], first + j] over user u's list, l in [offsets[u], offsets[u + 1]).
// Layout: W is sparse, in shards of rows: this one holds rows row_first … row_first + row_count − 1, row r's entries at
// starts[r − row_first] … starts[r − row_first + 1] of columns (u32) and values; the columns of a row are distinct.
// lists: offsets [U + 1], items and weights [capacity]; out [U, V].
// A workgroup owns a user, its threads every 64th entry of one row at a time: distinct columns never meet, and a barrier
// is between two rows, so that sums run in the list's order. start = 1 clears out first. No workgroup memory.
// A user's scores become NaN where the list ends before it starts, beyond `capacity`, or is longer than `longest`, and
// where the entries of one of its rows end before they start or beyond `entries`.
// Host: shards run one after another.
struct Params { rows: u32, v: u32, first: u32, row_first: u32, row_count: u32, longest: u32, capacity: u32, entries: u32, start: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> columns: array<u32>;
@group(0) @binding(3) var<storage, read> values: array<f32>;
@group(0) @binding(4) var<storage, read> offsets: array<u32>;
@group(0) @binding(5) var<storage, read> items: array<u32>;
@group(0) @binding(6) var<storage, read> weights: array<f32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) grid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let user = group_index(wid, grid);
  if (user >= p.rows) { return; }
  if (p.start == 1u) {
    for (var j = lid; j < p.v; j += 64u) { out[user * p.v + j] = 0.0; }
  }
  let begin = offsets[user];
  let end = offsets[user + 1u];
  var valid = begin <= end && end - begin <= p.longest && end <= p.capacity;
  for (var k = 0u; k < p.longest; k++) {
    storageBarrier();
    let l = begin + k;
    if (valid && l < end) {
      let r = items[l] - p.row_first; // wraps around below row_first
      if (r < p.row_count) {
        let weight = weights[l];
        let stop = starts[r + 1u];
        valid = starts[r] <= stop && stop <= p.entries;
        for (var i = starts[r] + lid; valid && i < stop; i += 64u) {
          let j = columns[i] - p.first;
          if (j < p.v) { out[user * p.v + j] += weight * values[i]; }
        }
      }
    }
  }
  storageBarrier();
  if (!valid) {
    for (var j = lid; j < p.v; j += 64u) { out[user * p.v + j] = make_nan(user); }
  }
}
// @use group_index, nan
