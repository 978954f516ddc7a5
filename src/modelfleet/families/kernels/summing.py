"""Exact CART for numbers and for weighted rows, adding rows in the very order in which scikit-learn adds them.

Sums of such values are rounded, and which of two equally good splits comes out ahead hangs on that rounding. So the
rows are moved about as scikit-learn moves them: its sort of every column that is looked at, its two passes where
values are missing, its partition of a node. A one-hot column needs no sort: what sorting zeros and ones does to the
rows is known. A test holds the trees to those of scikit-learn, node for node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelfleet.families.kernels.entity_columns import next_draw, own_classes, own_columns
from modelfleet.families.kernels.introsort import SMALLEST_SORT
from modelfleet.families.kernels.level_rows import count_levels, list_levels, sort_level, sort_rare_level
from modelfleet.families.kernels.row_order import missing_first, part_rows, sort_number
from modelfleet.families.kernels.sums import add_squares, move_left

if TYPE_CHECKING:
    from numpy.typing import NDArray


def grow(  # noqa: PLR0912, PLR0915  parting it further would cost more than the rows it is about
    bounds: NDArray[np.int64],
    offsets: NDArray[np.int64],
    codes: NDArray[np.int32],
    numbers: NDArray[np.float32],
    label: NDArray[np.int32],
    target: NDArray[np.float64],
    weight: NDArray[np.float64],
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
        bounds: (E + 1,) int64, rows of each entity, at least one of them with a weight.
        offsets: (categories + 1,) int64, where each category's level columns start.
        codes: (n, categories) int32, -1 unseen.
        numbers: (n, numbers) float32, NaN where missing.
        label: (n,) int32, class index, for classes; else (0,).
        target: (n,) float64 for numbers; else (0,).
        weight: (n,) float64 at least 0; or (0,) where every row weighs 1.
        state: The first random state.
        max_depth: Largest depth.
        min_leaf: Fewest rows in a leaf.
        feature: Out, per node: category j, or categories + j for number j; -1 for a leaf.
        threshold: Out: the code tested (left where it differs), or the number (left where at most it); 0 for a leaf.
        missing_left: Out: whether a missing number goes left.
        value: Out, (leaves, outputs): share of each class, or (leaves, 1): the mean.
        roots: Out: (E + 1,) where each tree starts; a node's left child follows it, then comes its right child's tree.
        sources: Changes with the text of what is called here, for numba's cache looks at this file only.
    """
    entities = len(bounds) - 1
    categories = codes.shape[1]
    measures = numbers.shape[1]
    outputs = value.shape[1]
    regression = len(target) > 0
    weighted = len(weight) > 0
    width = offsets[categories]
    most = 0
    for e in range(entities):
        most = max(most, bounds[e + 1] - bounds[e])
    place = np.empty(width, dtype=np.int32)  # level column -> this entity's column
    column_category = np.empty(width, dtype=np.int32)
    column_code = np.empty(width, dtype=np.int32)
    own = np.empty((categories, most), dtype=np.int32)
    own_class = np.empty(outputs, dtype=np.int32)  # class -> this entity's class
    names = np.zeros(most, dtype=np.int32)
    share = np.empty(most, dtype=np.float64)  # weight of a row
    part = np.empty(most, dtype=np.float64)  # what a row adds to the sum: its weight, or weight times number
    measured = np.empty((measures, most), dtype=np.float32)
    has_missing = np.empty(measures, dtype=np.bool_)
    goes_left = np.empty(most, dtype=np.bool_)
    rows = np.empty(most, dtype=np.int32)
    spare = np.empty(most, dtype=np.int32)
    values = np.empty(most, dtype=np.float32)
    later = np.empty(3 * 64, dtype=np.int64)
    count = np.zeros(width, dtype=np.int64)
    begin = np.zeros(width, dtype=np.int64)
    bucket = np.empty((categories, most), dtype=np.int32)  # a node's rows by level
    position = np.empty(most, dtype=np.int32)
    columns = np.empty(width + measures, dtype=np.int64)
    constants = np.empty(width + measures, dtype=np.int64)
    whole = np.empty(outputs, dtype=np.float64)
    left = np.empty(outputs, dtype=np.float64)
    stack = np.empty((most + 8, 4), dtype=np.int64)
    impurities = np.empty(most + 8, dtype=np.float64)
    smallest_step = np.float32(1e-7)
    epsilon = np.finfo(np.float64).eps
    node = 0
    leaf = 0
    for e in range(entities):
        first = bounds[e]
        size = bounds[e + 1] - first
        roots[e] = node
        levels = own_columns(codes, offsets, first, size, place, column_category, column_code)
        for i in range(size):
            for j in range(categories):
                code = codes[first + i, j]
                own[j, i] = place[offsets[j] + code] if code >= 0 else -1
        labels = 1
        if not regression:
            labels = own_classes(label, first, size, own_class)
            for i in range(size):
                names[i] = own_class[label[first + i]]
        sum_of_weights = 0.0
        with_weight = 0
        for i in range(size):
            w = weight[first + i] if weighted else 1.0
            share[i] = w
            part[i] = w * target[first + i] if regression else w
            sum_of_weights += w
            if w != 0.0:
                rows[with_weight] = i
                with_weight += 1
        for m in range(measures):
            has_missing[m] = False
            for i in range(size):
                x = numbers[first + i, m]
                measured[m, i] = x
                if np.isnan(x):
                    has_missing[m] = True
        total = levels + measures
        for f in range(total):
            columns[f] = f
        draw = np.uint32(state)
        # start, end, depth, constant columns known so far
        stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = 0, with_weight, 0, 0
        top = 1
        while top > 0:
            top -= 1
            start, end, depth, known = stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3]
            impurity = impurities[top]
            n = end - start
            for k in range(labels):
                whole[k] = 0.0
            squares = 0.0
            weight_here = 0.0
            for p in range(start, end):
                row = rows[p]
                whole[names[row]] += part[row]
                if regression:
                    squares += part[row] * target[first + row]
                weight_here += share[row]
            here = node
            node += 1
            feature[here] = -1
            threshold[here] = 0.0
            missing_left[here] = False
            if depth == 0:
                if regression:
                    mean = whole[0] / weight_here
                    impurity = squares / weight_here - mean * mean
                else:
                    square = 0.0
                    for k in range(labels):
                        square += whole[k] * whole[k]
                    impurity = 1.0 - square / (weight_here * weight_here)
            best_column = -1
            best_at = end
            best_threshold = 0.0
            best_missing_left = False
            impurity_left = 0.0
            impurity_right = 0.0
            constant = known
            if not (depth >= max_depth or n < 2 or n < 2 * min_leaf or impurity <= epsilon):
                count_levels(own, rows, start, end, count[:levels])
                if n > SMALLEST_SORT:
                    list_levels(own, rows, start, end, column_category, count[:levels], begin, bucket)
                positions_known = False
                best = -np.inf
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
                    missing = 0
                    if m < 0:
                        is_constant = count[f] in (0, n)
                        if not is_constant:
                            j = column_category[f]
                            ones = count[f]
                            rare = n > SMALLEST_SORT and 8 * ones <= n and ones * ones <= 4 * n
                            if rare:  # and the pivot 0
                                ones = 1 if own[j, rows[start]] == f else 0
                                ones += 1 if own[j, rows[start + n // 2]] == f else 0
                                ones += 1 if own[j, rows[end - 1]] == f else 0
                                rare = ones < 2
                            if rare:
                                if not positions_known:
                                    positions_known = True
                                    for p in range(start, end):
                                        position[rows[p]] = p
                                sort_rare_level(bucket, j, begin[f], count[f], rows, position, end, spare)
                            else:
                                positions_known = False
                                sort_level(own, j, f, rows, start, end, spare)
                    else:
                        positions_known = False
                        missing = sort_number(measured, m, has_missing[m], rows, values, start, end, later)
                        is_constant = missing == n or (
                            missing == 0 and values[end - 1] <= values[start] + smallest_step
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
                    for search in range(2 if missing else 1):
                        # first with missing ones on the right, the last split having nothing else there; then on the
                        # left
                        if search == 1:
                            missing_first(rows, values, start, end, missing, spare)
                        stop = end if search == 1 else end - missing
                        at = start + missing if search == 1 else start
                        done = start
                        for k in range(labels):
                            left[k] = 0.0
                        weight_left = 0.0
                        while True:
                            if m < 0:
                                if at > start:
                                    break
                                at = end - count[f]
                            else:
                                at += 1
                                while at < stop and values[at] <= values[at - 1] + smallest_step:
                                    at += 1
                                if at >= end or at > stop:
                                    break
                            if at - start < min_leaf or end - at < min_leaf:
                                continue
                            if at - done == 1:  # as most often: the call would cost more than the row
                                row = rows[done]
                                left[names[row]] += part[row]
                                weight_left += share[row]
                            else:
                                weight_left = move_left(
                                    rows, names, part, share, done, at, end, whole, weight_here, left, weight_left
                                )
                            done = at
                            weight_right = weight_here - weight_left
                            if weight_left < 0.0 or weight_right < 0.0:
                                continue
                            if regression:
                                right = whole[0] - left[0]
                                score = left[0] * left[0] / weight_left + right * right / weight_right
                            else:
                                square_left, square_right = add_squares(left, whole, labels)
                                gini_left = 1.0 - square_left / (weight_left * weight_left)
                                gini_right = 1.0 - square_right / (weight_right * weight_right)
                                score = -weight_right * gini_right - weight_left * gini_left
                            if score > best:
                                best = score
                                best_column = f
                                best_at = at
                                if m < 0:
                                    best_threshold = 0.5
                                elif at == stop:
                                    best_threshold = np.inf
                                else:
                                    best_threshold = float(values[at - 1]) / 2.0 + float(values[at]) / 2.0
                                best_missing_left = search == 1 if missing else at - start > end - at
                for i in range(known):
                    columns[i] = constants[i]
                for i in range(known, known + found):
                    constants[i] = columns[i]
            if best_column >= 0:
                m = best_column - levels
                for p in range(start, end):
                    row = rows[p]
                    if m < 0:
                        goes_left[row] = own[column_category[best_column], row] != best_column
                    else:
                        x = measured[m, row]
                        goes_left[row] = best_missing_left if np.isnan(x) else x <= best_threshold
                part_rows(goes_left, rows, start, end)
                for k in range(labels):
                    left[k] = 0.0
                weight_left = move_left(rows, names, part, share, start, best_at, end, whole, weight_here, left, 0.0)
                weight_right = weight_here - weight_left
                if regression:
                    squares_left = 0.0
                    for p in range(start, best_at):
                        row = rows[p]
                        squares_left += part[row] * target[first + row]
                    mean_left = left[0] / weight_left
                    mean_right = (whole[0] - left[0]) / weight_right
                    impurity_left = squares_left / weight_left - mean_left * mean_left
                    impurity_right = (squares - squares_left) / weight_right - mean_right * mean_right
                else:
                    square_left, square_right = add_squares(left, whole, labels)
                    impurity_left = 1.0 - square_left / (weight_left * weight_left)
                    impurity_right = 1.0 - square_right / (weight_right * weight_right)
                fall = (weight_here / sum_of_weights) * (
                    impurity - weight_right / weight_here * impurity_right - weight_left / weight_here * impurity_left
                )
                if fall + epsilon < 0.0:
                    best_column = -1
            if best_column < 0:
                if regression:
                    value[leaf, 0] = whole[0] / weight_here
                else:
                    for k in range(outputs):
                        value[leaf, k] = whole[own_class[k]] / weight_here if own_class[k] >= 0 else 0.0
                leaf += 1
                continue
            missing_left[here] = best_missing_left
            if best_column < levels:
                feature[here] = column_category[best_column]
                threshold[here] = column_code[best_column]
            else:
                feature[here] = categories + best_column - levels
                threshold[here] = best_threshold
            for side in range(2):  # the left one on top
                stack[top, 0] = start if side else best_at
                stack[top, 1] = best_at if side else end
                stack[top, 2] = depth + 1
                stack[top, 3] = constant
                impurities[top] = impurity_left if side else impurity_right
                top += 1
    roots[entities] = node
    return leaf
