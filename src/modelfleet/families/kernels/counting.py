"""Exact CART for classes where every row weighs the same: scikit-learn's algorithm and draws, without its matrix.

What is summed are whole numbers, so the order in which rows are added changes nothing, and rows can be kept in
whatever order is cheapest. Counting a node's rows per level and class replaces a sort per one-hot column, and every
number column is sorted once per tree instead of once per node. A test holds the trees to those of
``DecisionTreeClassifier``, node for node, as the draws and the choice among equal splits are its internals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelfleet.families.kernels.entity_columns import next_draw, own_classes, own_columns
from modelfleet.families.kernels.sorted_lists import part_list

if TYPE_CHECKING:
    from numpy.typing import NDArray


def grow(  # noqa: PLR0912, PLR0915  parting it further would cost more than the rows it is about
    bounds: NDArray[np.int64],
    offsets: NDArray[np.int64],
    codes: NDArray[np.int32],
    numbers: NDArray[np.float32],
    label: NDArray[np.int32],
    state: int,
    max_depth: int,
    min_leaf: int,
    feature: NDArray[np.int16],
    threshold: NDArray[np.float64],
    missing_left: NDArray[np.bool_],
    value: NDArray[np.float64],
    roots: NDArray[np.int64],
    sources: int = 0,
) -> int:
    """Grow one tree per entity and return the number of leaves written.

    Args:
        bounds: (E + 1,) int64, rows of each entity, at least one each.
        offsets: (categories + 1,) int64, where each category's level columns start.
        codes: (n, categories) int32, -1 unseen.
        numbers: (n, numbers) float32, NaN where missing.
        label: (n,) int32, class index.
        state: The first random state.
        max_depth: Largest depth.
        min_leaf: Fewest rows in a leaf.
        feature: Out, per node: category j, or categories + j for number j; -1 for a leaf.
        threshold: Out: the code tested (left where it differs), or the number (left where at most it); 0 for a leaf.
        missing_left: Out: whether a missing number goes left.
        value: Out, (leaves, classes): share of each class.
        roots: Out: (E + 1,) where each tree starts; a node's left child follows it, then comes its right child's tree.
        sources: Changes with the text of what is called here, for numba's cache looks at this file only.
    """
    entities = len(bounds) - 1
    categories = codes.shape[1]
    measures = numbers.shape[1]
    classes = value.shape[1]
    width = offsets[categories]
    most = 0
    for e in range(entities):
        most = max(most, bounds[e + 1] - bounds[e])
    place = np.empty(width, dtype=np.int32)  # level column -> this entity's column
    column_category = np.empty(width, dtype=np.int32)
    column_code = np.empty(width, dtype=np.int32)
    own = np.empty((most, categories), dtype=np.int32)
    own_class = np.empty(classes, dtype=np.int32)  # class -> this entity's class
    whole = np.empty(classes, dtype=np.int64)
    on_left = np.empty(classes, dtype=np.int64)
    hits = np.empty((width, classes), dtype=np.int64)
    measured = np.empty((measures, most), dtype=np.float32)
    # row numbers of the tree, one list per number column, each sorted by it; a node is a slice of every list
    lists = max(measures, 1)
    order = np.empty((lists, most), dtype=np.int32)
    sorted_value = np.zeros((lists, most), dtype=np.float32)
    sorted_label = np.empty((lists, most), dtype=np.int32)
    parted = np.empty(lists, dtype=np.bool_)
    kept_order = np.empty(most, dtype=np.int32)
    kept_value = np.empty(most, dtype=np.float32)
    kept_label = np.empty(most, dtype=np.int32)
    goes_left = np.zeros(most, dtype=np.uint8)
    running = np.empty(most, dtype=np.float64)
    squares_left = np.empty(most, dtype=np.float64)
    squares_right = np.empty(most, dtype=np.float64)
    gain = np.empty(most, dtype=np.float64)
    columns = np.empty(width + measures, dtype=np.int64)
    constants = np.empty(width + measures, dtype=np.int64)
    stack = np.empty((most + 8, 4), dtype=np.int64)
    smallest_step = np.float32(1e-7)
    epsilon = np.finfo(np.float64).eps
    node = 0
    leaf = 0
    for e in range(entities):
        first = bounds[e]
        size = bounds[e + 1] - first
        roots[e] = node
        labels = own_classes(label, first, size, own_class)
        levels = own_columns(codes, offsets, first, size, place, column_category, column_code)
        for i in range(size):
            for j in range(categories):
                code = codes[first + i, j]
                own[i, j] = place[offsets[j] + code] if code >= 0 else -1
        if measures == 0:
            for i in range(size):
                order[0, i] = i
                sorted_label[0, i] = own_class[label[first + i]]
        for m in range(measures):
            for i in range(size):
                measured[m, i] = numbers[first + i, m]
            ascending = np.argsort(measured[m, :size])  # missing ones last
            for i in range(size):
                row = ascending[i]
                order[m, i] = row
                sorted_value[m, i] = measured[m, row]
                sorted_label[m, i] = own_class[label[first + row]]
        total = levels + measures
        for f in range(total):
            columns[f] = f
        for k in range(labels):
            on_left[k] = 0
        draw = np.uint32(state)
        # start, end, depth, constant columns known so far
        stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = 0, size, 0, 0
        top = 1
        while top > 0:
            top -= 1
            start, end, depth, known = stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3]
            n = end - start
            for k in range(labels):
                whole[k] = 0
            for i in range(start, end):
                whole[sorted_label[0, i]] += 1
            squares = 0
            for k in range(labels):
                squares += whole[k] * whole[k]
            here = node
            node += 1
            feature[here] = -1
            threshold[here] = 0.0
            missing_left[here] = False
            best_column = -1
            best_at = 0
            best_threshold = 0.0
            best_missing_left = False
            constant = known
            impurity = 1.0 - float(squares) / (float(n) * float(n))
            if depth < max_depth and n >= 2 and n >= 2 * min_leaf and impurity > epsilon:
                for c in range(levels):
                    for k in range(labels):
                        hits[c, k] = 0
                for i in range(start, end):
                    row = order[0, i]
                    k = sorted_label[0, i]
                    for j in range(categories):
                        c = own[row, j]
                        if c >= 0:
                            hits[c, k] += 1
                best = -np.inf
                best_left = 0.0
                best_right = 0.0
                remaining = total
                found = 0
                drawn = 0
                while remaining > constant:
                    draw = next_draw(draw)
                    number = np.uint32(draw & np.uint32(0x7FFFFFFF))
                    pick = drawn + np.int64(number % np.uint32(remaining - found - drawn))
                    if pick < known:
                        columns[drawn], columns[pick] = columns[pick], columns[drawn]
                        drawn += 1
                        continue
                    pick += found
                    f = columns[pick]
                    m = f - levels
                    present = 0
                    missing = 0
                    if m < 0:
                        for k in range(labels):
                            present += hits[f, k]
                        is_constant = present in (0, n)
                    else:
                        while missing < n and np.isnan(sorted_value[m, end - 1 - missing]):
                            missing += 1
                        is_constant = missing == n or (
                            missing == 0 and sorted_value[m, end - 1] <= sorted_value[m, start] + smallest_step
                        )
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
                        absent = n - present
                        if absent >= min_leaf and present >= min_leaf:
                            square_left = 0
                            square_right = 0
                            for k in range(labels):
                                one = int(hits[f, k])
                                square_right += one * one
                                square_left += (whole[k] - one) * (whole[k] - one)
                            ln = float(absent)
                            rn = float(present)
                            impurity_left = 1.0 - float(square_left) / (ln * ln)
                            impurity_right = 1.0 - float(square_right) / (rn * rn)
                            score = -rn * impurity_right - ln * impurity_left
                            if score > best:
                                best = score
                                best_column = f
                                best_at = start + absent
                                best_threshold = 0.5
                                best_missing_left = absent > present
                                best_left = impurity_left
                                best_right = impurity_right
                        continue
                    values = sorted_value[m]
                    names = sorted_label[m]
                    stop = end - missing  # after the last row that has a number
                    for search in range(2 if missing else 1):
                        # first with missing ones on the right, the last split having nothing else there; then on the
                        # left. `ahead` is how many rows are on the left before the first that has a number.
                        ahead = 0
                        square_left = 0
                        cross = 0
                        if search == 1:
                            ahead = missing
                            for p in range(stop, end):
                                k = names[p]
                                square_left += 2 * on_left[k] + 1
                                on_left[k] += 1
                                cross += whole[k]
                        last = stop if missing and search == 0 else stop - 1
                        if labels == 2:  # one count tells both, and the squares can be left to vector instructions
                            ones = on_left[1]
                            for p in range(start, last):
                                ones += names[p]
                                running[p - start] = ones
                            for i in range(last - start):
                                l1 = running[i]
                                l0 = ahead + i + 1.0 - l1
                                r1 = float(whole[1]) - l1
                                r0 = float(whole[0]) - l0
                                squares_left[i] = l0 * l0 + l1 * l1
                                squares_right[i] = r0 * r0 + r1 * r1
                        else:
                            for p in range(start, last):
                                k = names[p]
                                square_left += 2 * on_left[k] + 1
                                on_left[k] += 1
                                cross += whole[k]
                                squares_left[p - start] = square_left
                                squares_right[p - start] = squares - 2 * cross + square_left
                        for k in range(labels):
                            on_left[k] = 0
                        for i in range(last - start):
                            ln = ahead + i + 1.0
                            rn = float(n) - ln
                            impurity_left = 1.0 - squares_left[i] / (ln * ln)
                            impurity_right = 1.0 - squares_right[i] / (rn * rn)
                            gain[i] = -rn * impurity_right - ln * impurity_left
                        for i in range(max(min_leaf - ahead, 1) - 1, min(n - min_leaf - ahead, last - start)):
                            if gain[i] > best:
                                before = values[start + i]
                                middle = np.inf
                                if start + i + 1 < stop:
                                    after = values[start + i + 1]
                                    if after <= before + smallest_step:
                                        continue
                                    middle = float(before) / 2.0 + float(after) / 2.0
                                ln = ahead + i + 1.0
                                rn = float(n) - ln
                                best = gain[i]
                                best_column = f
                                best_at = start + ahead + i + 1
                                best_threshold = middle
                                best_missing_left = search == 1 if missing else ln > rn
                                best_left = 1.0 - squares_left[i] / (ln * ln)
                                best_right = 1.0 - squares_right[i] / (rn * rn)
                for i in range(known):
                    columns[i] = constants[i]
                for i in range(known, known + found):
                    constants[i] = columns[i]
                if best_column >= 0:
                    ln = float(best_at - start)
                    rn = float(end - best_at)
                    fall = float(n) / float(size) * (impurity - rn / float(n) * best_right - ln / float(n) * best_left)
                    if fall + epsilon < 0.0:
                        best_column = -1
            if best_column < 0:
                for k in range(classes):
                    value[leaf, k] = float(whole[own_class[k]]) / float(n) if own_class[k] >= 0 else 0.0
                leaf += 1
                continue
            missing_left[here] = best_missing_left
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
                    x = measured[m, row]
                    goes_left[row] = 1 if x <= best_threshold or (best_missing_left and np.isnan(x)) else 0
            # the rows come from the first list; the others are parted where a child may be split by them
            for m in range(measures):
                parted[m] = depth + 1 < max_depth and (
                    (best_left > epsilon and best_at - start >= 2 * min_leaf)
                    or (best_right > epsilon and end - best_at >= 2 * min_leaf)
                )
            for i in range(constant):
                if columns[i] >= levels:
                    parted[columns[i] - levels] = False
            parted[0] = True
            for m in range(lists):
                if not parted[m]:
                    continue
                part_list(
                    m, order, sorted_value, sorted_label, goes_left, start, end, kept_order, kept_value, kept_label
                )
            for side in range(2):  # the left one on top
                stack[top, 0] = start if side else best_at
                stack[top, 1] = best_at if side else end
                stack[top, 2] = depth + 1
                stack[top, 3] = constant
                top += 1
    roots[entities] = node
    return leaf
