"""Exact CART on category codes for two classes: scikit-learn's algorithm, draws and tie order, without its matrix.

The tables it writes equal those of ``DecisionTreeClassifier`` node for node (a test holds it to that, as both the
draws and the tie order are scikit-learn's internals). Counting a node's rows per level replaces a sort per one-hot
column, and every number column is sorted once per tree instead of once per node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def grow(  # noqa: PLR0912, PLR0915  one function, because numba's cache sees no change in functions it calls
    bounds: NDArray[np.int64],
    offsets: NDArray[np.int64],
    codes: NDArray[np.int32],
    numbers: NDArray[np.float32],
    label: NDArray[np.uint8],
    state: int,
    max_depth: int,
    min_leaf: int,
    feature: NDArray[np.int16],
    threshold: NDArray[np.float64],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    missing_left: NDArray[np.bool_],
    rows: NDArray[np.int64],
    positives: NDArray[np.int64],
    roots: NDArray[np.int64],
) -> int:
    """Grow one tree per entity and return the number of nodes written.

    Args:
        bounds: (E + 1,) int64, rows of each entity.
        offsets: (categories + 1,) int64, where each category's level columns start.
        codes: (n, categories) int32, -1 unseen.
        numbers: (n, numbers) float32 without NaN.
        label: (n,) uint8, 0 or 1.
        state: The first random state.
        max_depth: Largest depth.
        min_leaf: Fewest rows in a leaf.
        feature: Out, per node: category j, or categories + j for number j; -1 for a leaf.
        threshold: Out: the code tested (left where it differs), or the number (left where at most it).
        left: Out: position of the left child, counted from the tree's root.
        right: Out: position of the right child.
        missing_left: Out: whether a missing number goes left (to the larger side, as no row here is missing).
        rows: Out: number of rows.
        positives: Out: number of rows with label 1.
        roots: Out: (E + 1,) where each tree starts.
    """
    entities = len(bounds) - 1
    categories = codes.shape[1]
    measures = numbers.shape[1]
    width = offsets[categories]
    most = 0
    for e in range(entities):
        most = max(most, bounds[e + 1] - bounds[e])
    seen = np.zeros(width, dtype=np.bool_)
    place = np.empty(width, dtype=np.int32)  # level column -> this entity's column
    column_category = np.empty(width, dtype=np.int32)
    column_code = np.empty(width, dtype=np.int32)
    own = np.empty((most, categories), dtype=np.int32)
    value = np.empty((measures, most), dtype=np.float32)
    # row numbers of the tree, one list per number column, each sorted by it; a node is a slice of every list
    lists = max(measures, 1)
    order = np.empty((lists, most), dtype=np.int32)
    sorted_value = np.empty((measures, most), dtype=np.float32)
    sorted_label = np.empty((lists, most), dtype=np.uint8)
    kept_order = np.empty(most, dtype=np.int32)
    kept_value = np.empty(most, dtype=np.float32)
    kept_label = np.empty(most, dtype=np.uint8)
    goes_left = np.zeros(most, dtype=np.uint8)
    running = np.empty(most, dtype=np.float64)
    gain = np.empty(most, dtype=np.float64)
    columns = np.empty(width + measures, dtype=np.int64)
    constants = np.empty(width + measures, dtype=np.int64)
    count = np.zeros(width, dtype=np.int64)
    hits = np.zeros(width, dtype=np.int64)
    stack = np.empty((2 * most + 8, 6), dtype=np.int64)
    smallest_step = np.float32(1e-7)
    node = 0
    for e in range(entities):
        first = bounds[e]
        size = bounds[e + 1] - first
        root = node
        roots[e] = root
        for c in range(width):
            seen[c] = False
        for i in range(size):
            for j in range(categories):
                if codes[first + i, j] >= 0:
                    seen[offsets[j] + codes[first + i, j]] = True
        levels = 0
        for j in range(categories):
            for c in range(offsets[j], offsets[j + 1]):
                if seen[c]:
                    place[c] = levels
                    column_category[levels] = j
                    column_code[levels] = c - offsets[j]
                    levels += 1
        for i in range(size):
            for j in range(categories):
                code = codes[first + i, j]
                own[i, j] = place[offsets[j] + code] if code >= 0 else -1
        if measures == 0:
            for i in range(size):
                order[0, i] = i
                sorted_label[0, i] = label[first + i]
        for m in range(measures):
            for i in range(size):
                value[m, i] = numbers[first + i, m]
            ascending = np.argsort(value[m, :size])
            for i in range(size):
                row = ascending[i]
                order[m, i] = row
                sorted_value[m, i] = value[m, row]
                sorted_label[m, i] = label[first + row]
        total = levels + measures
        for f in range(total):
            columns[f] = f
        draw = np.uint32(state)
        # start, end, depth, parent, is left child, constant columns known so far
        stack[0, 0] = 0
        stack[0, 1] = size
        stack[0, 2] = 0
        stack[0, 3] = -1
        stack[0, 4] = 0
        stack[0, 5] = 0
        top = 1
        while top > 0:
            top -= 1
            start = stack[top, 0]
            end = stack[top, 1]
            depth = stack[top, 2]
            parent = stack[top, 3]
            is_left = stack[top, 4]
            known = stack[top, 5]
            n = end - start
            n1 = 0
            for i in range(start, end):
                n1 += sorted_label[0, i]
            here = node
            node += 1
            if parent >= 0:
                if is_left:
                    left[parent] = here - root
                else:
                    right[parent] = here - root
            feature[here] = -1
            threshold[here] = 0.0
            left[here] = -1
            right[here] = -1
            missing_left[here] = False
            rows[here] = n
            positives[here] = n1
            if depth >= max_depth or n < 2 or n < 2 * min_leaf or n1 in (0, n):
                continue
            for c in range(levels):
                count[c] = 0
            for i in range(start, end):
                row = order[0, i]
                step = np.int64(1) + (np.int64(sorted_label[0, i]) << 32)  # rows low, positives high
                for j in range(categories):
                    c = own[row, j]
                    if c >= 0:
                        count[c] += step
            for c in range(levels):
                hits[c] = count[c] >> 32
                count[c] &= 0xFFFFFFFF
            best = -np.inf
            best_column = -1
            best_at = 0
            best_threshold = 0.0
            remaining = total
            found = 0
            constant = known
            drawn = 0
            while remaining > constant:
                if draw == 0:
                    draw = np.uint32(1)
                draw ^= np.uint32(draw << np.uint32(13))
                draw ^= np.uint32(draw >> np.uint32(17))
                draw ^= np.uint32(draw << np.uint32(5))
                number = np.uint32(draw & np.uint32(0x7FFFFFFF))
                pick = drawn + np.int64(number % np.uint32(remaining - found - drawn))
                if pick < known:
                    swap = columns[drawn]
                    columns[drawn] = columns[pick]
                    columns[pick] = swap
                    drawn += 1
                    continue
                pick += found
                f = columns[pick]
                m = f - levels
                if m < 0:
                    is_constant = count[f] == 0 or count[f] == n
                else:
                    is_constant = sorted_value[m, end - 1] <= sorted_value[m, start] + smallest_step
                if is_constant:
                    columns[pick] = columns[constant]
                    columns[constant] = f
                    found += 1
                    constant += 1
                    continue
                remaining -= 1
                columns[pick] = columns[remaining]
                columns[remaining] = f
                if m < 0:
                    on_left = n - count[f]
                    if on_left >= min_leaf and count[f] >= min_leaf:
                        ln = float(on_left)
                        l1 = float(n1 - hits[f])
                        l0 = ln - l1
                        rn = float(n) - ln
                        r1 = float(n1) - l1
                        r0 = rn - r1
                        impurity_left = 1.0 - (l0 * l0 + l1 * l1) / (ln * ln)
                        impurity_right = 1.0 - (r0 * r0 + r1 * r1) / (rn * rn)
                        score = -rn * impurity_right - ln * impurity_left
                        if score > best:
                            best = score
                            best_column = f
                            best_at = start + on_left
                            best_threshold = 0.5
                else:
                    values = sorted_value[m]
                    labels = sorted_label[m]
                    so_far = 0
                    for p in range(start, end - 1):
                        so_far += labels[p]
                        running[p - start] = so_far
                    for i in range(n - 1):
                        ln = i + 1.0
                        l1 = running[i]
                        l0 = ln - l1
                        rn = float(n) - ln
                        r1 = float(n1) - l1
                        r0 = rn - r1
                        impurity_left = 1.0 - (l0 * l0 + l1 * l1) / (ln * ln)
                        impurity_right = 1.0 - (r0 * r0 + r1 * r1) / (rn * rn)
                        gain[i] = -rn * impurity_right - ln * impurity_left
                    for p in range(start + min_leaf, end - min_leaf + 1):
                        score = gain[p - start - 1]
                        if score > best:
                            before = values[p - 1]
                            after = values[p]
                            if after <= before + smallest_step:
                                continue
                            best = score
                            best_column = f
                            best_at = p
                            middle = float(before) / 2.0 + float(after) / 2.0
                            if middle == float(after):
                                middle = float(before)
                            best_threshold = middle
            for i in range(known):
                columns[i] = constants[i]
            for i in range(known, known + found):
                constants[i] = columns[i]
            if best_column < 0:
                continue
            missing_left[here] = best_at - start > end - best_at
            if best_column < levels:
                j = column_category[best_column]
                feature[here] = j
                threshold[here] = column_code[best_column]
                for i in range(start, end):
                    row = order[0, i]
                    goes_left[row] = 1 if own[row, j] != best_column else 0
            else:
                m = best_column - levels
                feature[here] = categories + m
                threshold[here] = best_threshold
                for i in range(start, end):
                    row = order[0, i]
                    goes_left[row] = 1 if value[m, row] <= best_threshold else 0
            for m in range(lists):
                at = start
                kept = 0
                for i in range(start, end):
                    row = order[m, i]
                    one = sorted_label[m, i]
                    turn = goes_left[row]
                    order[m, at] = row
                    sorted_label[m, at] = one
                    kept_order[kept] = row
                    kept_label[kept] = one
                    if measures > 0:
                        x = sorted_value[m, i]
                        sorted_value[m, at] = x
                        kept_value[kept] = x
                    at += turn
                    kept += 1 - turn
                for i in range(kept):
                    order[m, at + i] = kept_order[i]
                    sorted_label[m, at + i] = kept_label[i]
                    if measures > 0:
                        sorted_value[m, at + i] = kept_value[i]
            stack[top, 0] = best_at
            stack[top, 1] = end
            stack[top, 2] = depth + 1
            stack[top, 3] = here
            stack[top, 4] = 0
            stack[top, 5] = constant
            top += 1
            stack[top, 0] = start
            stack[top, 1] = best_at
            stack[top, 2] = depth + 1
            stack[top, 3] = here
            stack[top, 4] = 1
            stack[top, 5] = constant
            top += 1
    roots[entities] = node
    return node
