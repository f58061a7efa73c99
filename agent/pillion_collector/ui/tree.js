// SPDX-License-Identifier: Apache-2.0
// The spans of one trace as a tree, flattened in the order of rows. Pure and without recursion: depth, cycles, doubled
// ids and absent parents are the sender's choice, not ours. 100,000 spans are expected to take some 100 ms.

/** {rows, base, duration, errors}; rows in preorder: {span, start, end, depth, parent, size, children, self, orphan, failed} */
export function buildTree(trace) {
  const base = trace.spans.reduce((low, span) => (BigInt(span.start_ns) < low ? BigInt(span.start_ns) : low), BigInt(trace.spans[0]?.start_ns ?? 0));
  const nodes = trace.spans.map((span) => makeNode(span, base));
  const byId = new Map();
  for (const node of nodes) if (!byId.has(node.span.span_id)) byId.set(node.span.span_id, node);
  const roots = [];
  for (const node of nodes) {
    const parent = node.span.parent_id ? byId.get(node.span.parent_id) : undefined;
    if (parent && parent !== node) parent.children.push(node);
    else roots.push(Object.assign(node, { orphan: Boolean(node.span.parent_id) }));
  }
  const rows = flatten(nodes, roots);
  for (const row of rows) row.self = selfSegments(row);
  const duration = rows.reduce((high, row) => Math.max(high, row.end), 1);
  const tree = { rows, base, duration, errors: rows.reduce((sum, row) => sum + row.failed, 0) };
  markCriticalPath(rows);
  return tree;
}

function makeNode(span, base) {
  const start = Number(BigInt(span.start_ns) - base);
  const length = Math.max(0, Number(span.duration_ns) || 0);
  return { span, start, end: start + length, depth: 0, parent: -1, index: -1, size: 1, children: [], self: [], critical: [], orphan: false, failed: span.status === "error" ? 1 : 0, failedBelow: 0 };
}

function flatten(nodes, roots) {
  const rows = [];
  const byStart = (a, b) => a.start - b.start || b.end - b.start - (a.end - a.start);
  for (const node of nodes) node.children.sort(byStart);
  walk(roots.sort(byStart), rows);
  for (const node of nodes) {
    if (node.index >= 0) continue;
    node.orphan = true; // a cycle: it has no way to a root, so its first member becomes one
    walk([node], rows);
  }
  for (let index = rows.length - 1; index > 0; index -= 1) {
    const row = rows[index];
    if (row.parent < 0) continue;
    rows[row.parent].size += row.size;
    rows[row.parent].failedBelow += row.failed + row.failedBelow;
  }
  return rows;
}

function walk(roots, rows) {
  const pending = roots.map((node) => [node, -1, 0]).reverse();
  while (pending.length) {
    const [node, parent, depth] = pending.pop();
    if (node.index >= 0) continue;
    Object.assign(node, { index: rows.length, parent, depth });
    rows.push(node);
    for (let index = node.children.length - 1; index >= 0; index -= 1) pending.push([node.children[index], node.index, depth + 1]);
  }
}

/** The parts of a span in which none of its children runs: [[start, end], …]. */
function selfSegments(row) {
  const segments = [];
  let at = row.start;
  for (const child of row.children) {
    if (child.start > at) segments.push([at, Math.min(child.start, row.end)]);
    at = Math.max(at, child.end);
    if (at >= row.end) break;
  }
  if (at < row.end || !row.children.length) segments.push([at, row.end]);
  return segments.filter(([from, to]) => to > from);
}

export function selfTime(row) {
  return row.self.reduce((sum, [from, to]) => sum + to - from, 0);
}

/** Going back from the end: whatever ended last before this moment is what the trace waited for. */
function markCriticalPath(rows) {
  if (!rows.length) return;
  const root = rows.reduce((best, row) => (row.parent < 0 && row.end - row.start > best.end - best.start ? row : best), rows[0]);
  const pending = [[root, root.end]];
  while (pending.length) {
    const [row, until] = pending.pop();
    const limit = Math.min(row.end, until); // a child that ends after its parent (a late close, another clock) counts until here
    let at = limit;
    for (const child of [...row.children].sort((a, b) => b.end - a.end)) {
      const end = Math.min(child.end, limit);
      if (child.index <= row.index || child.start >= at || child.start < row.start || end > at) continue;
      if (end < at) row.critical.push([end, at]);
      pending.push([child, end]);
      at = child.start;
    }
    if (at > row.start) row.critical.push([row.start, at]);
  }
}

/** The rows to show when the subtrees of `collapsed` (a set of indexes) are closed. */
export function visibleRows(rows, collapsed) {
  const shown = [];
  for (let index = 0; index < rows.length; index += collapsed.has(index) ? rows[index].size : 1) shown.push(rows[index]);
  return shown;
}
