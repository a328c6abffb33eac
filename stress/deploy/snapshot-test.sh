#!/usr/bin/env bash
# Loads heap snapshots into readers that are not ours, and compares what they count with what the heap counts:
# memlab (npm @memlab/core) for snapshots, `go tool pprof` for the allocation profile. Installs what is missing; needs
# no browser. Ends with one line `snapshots=N mismatches=0`, exit code 0 only then.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TERM_COLOR=never
memlab_version=2.0.5

need() { # command, package
  command -v "$1" >/dev/null 2>&1 || {
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2"
  }
}
need node nodejs
need npm npm
need go golang-go

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

echo "== the heap writes, and says what it counts"
cargo run --locked --quiet -p gc-core --example telemetry -- "$scratch" | tee "$scratch/heap.jsonl"

echo "== memlab $memlab_version reads"
modules=${MEMLAB_MODULES:-$scratch/memlab}
if [ ! -d "$modules/node_modules/@memlab/core" ]; then
  mkdir -p "$modules"
  PUPPETEER_SKIP_DOWNLOAD=1 npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$modules" \
    "@memlab/core@$memlab_version"
fi
cat >"$scratch/read.cjs" <<'EOF'
// For each line of the heap: nodes without the six that stand for no object, bytes, edges of objects, and whether
// everything is reached from the root over edges that keep alive.
const fs = require('fs');
const path = require('path');
const core = path.join(process.argv[2], 'node_modules/@memlab/core/dist');
const {config} = require(path.join(core, 'index.js'));
config.muteConsole = true;
const parser = require(path.join(core, 'lib/HeapParser.js')).default;

(async () => {
  const lines = fs.readFileSync(process.argv[3], 'utf8').trim().split('\n').map(line => JSON.parse(line));
  let mismatches = 0;
  for (const heap of lines) {
    const snapshot = await parser.parse(heap.file);
    let objects = 0, bytes = 0, edges = 0, root = null;
    snapshot.nodes.forEach(node => {
      root = root ?? node;
      if (node.type !== 'synthetic') {
        objects += 1;
        bytes += node.self_size;
        edges += node.edge_count;
      }
    });
    const seen = new Set([root.id]), stack = [root];
    let reached = 0;
    while (stack.length > 0) {
      const node = stack.pop();
      reached += node.type === 'synthetic' ? 0 : 1;
      node.forEachReference(edge => {
        if (edge.type !== 'weak' && !seen.has(edge.toNode.id)) {
          seen.add(edge.toNode.id);
          stack.push(edge.toNode);
        }
      });
    }
    const wanted = {
      objects: heap.heap_objects_reachable, bytes: heap.heap_bytes_live, edges: heap.edges,
      reached: heap.heap_objects_reachable,
    };
    const found = {objects, bytes, edges, reached};
    const agrees = Object.keys(wanted).every(key => wanted[key] === found[key]);
    mismatches += agrees ? 0 : 1;
    console.log(`${path.basename(heap.file)}: memlab ${JSON.stringify(found)} heap ${JSON.stringify(wanted)} ${agrees ? 'agree' : 'DIFFER'}`);
  }
  console.log(`snapshots=${lines.length} mismatches=${mismatches}`);
  process.exit(mismatches === 0 ? 0 : 1);
})().catch(error => { console.error(error); process.exit(1); });
EOF

echo "== pprof reads"
go tool pprof -top "$scratch/heap.pprof" 2>/dev/null | tee "$scratch/top"
grep -q 'examples/telemetry.rs:' "$scratch/top"

echo "== and they compare"
node "$scratch/read.cjs" "$modules" "$scratch/heap.jsonl"
