"""Exact CART for numbers and for weighted rows, adding rows in the very order in which scikit-learn adds them.

Sums of such values are rounded, and which of two equally good splits comes out ahead hangs on that rounding. So the
rows are moved about as scikit-learn moves them: its sort of every column that is looked at, its two passes where
values are missing, its partition of a node. A one-hot column needs no sort: what sorting zeros and ones does to the
rows is known. A test holds the trees to those of scikit-learn, node for node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST_SORT = 15
"""Most values that scikit-learn sorts by insertion."""


def sift(values: NDArray[np.float32], rows: NDArray[np.int32], base: int, root: int, end: int) -> None:
    """Let the value at ``root`` of the heap of ``end`` values from ``base`` on sink to its place."""
    while True:
        child = root * 2 + 1
        largest = root
        if child < end and values[base + largest] < values[base + child]:
            largest = child
        if child + 1 < end and values[base + largest] < values[base + child + 1]:
            largest = child + 1
        if largest == root:
            return
        a, b = base + root, base + largest
        values[a], values[b] = values[b], values[a]
        rows[a], rows[b] = rows[b], rows[a]
        root = largest


def sort_rows(  # noqa: PLR0912, PLR0915  the three sorts that make one
    values: NDArray[np.float32], rows: NDArray[np.int32], start: int, end: int, later: NDArray[np.int64]
) -> None:
    """Sort values ascending and rows with them, equal values in the order scikit-learn's sort leaves them in.

    It is an introsort with a three-way partition (``sklearn.utils._sorting``), which is not stable.

    Args:
        values: Without NaN.
        rows: As many.
        start: First position to sort.
        end: Position after the last.
        later: (at least 3 * 64,) room for parts still to be sorted.
    """
    patience = 0
    while (end - start) >> (patience + 1):
        patience += 1
    patience *= 2  # as many partitions as log2(n) allows, twice
    waiting = 0
    while True:
        n = end - start
        if n > SMALLEST_SORT and patience > 0:
            patience -= 1
            a, b, c = values[start], values[start + n // 2], values[end - 1]
            if a < b:
                pivot = b if b < c else (c if a < c else a)
            elif b < c:
                pivot = a if a < c else c
            else:
                pivot = b
            at = less = start
            more = end
            while at < more:
                x = values[at]
                if x < pivot:
                    values[at], values[less] = values[less], x
                    rows[at], rows[less] = rows[less], rows[at]
                    at += 1
                    less += 1
                elif x > pivot:
                    more -= 1
                    values[at], values[more] = values[more], x
                    rows[at], rows[more] = rows[more], rows[at]
                else:
                    at += 1
            if less - start > 1:
                later[waiting], later[waiting + 1], later[waiting + 2] = start, less, patience
                waiting += 3
            start = more
            continue
        if n > SMALLEST_SORT:
            for root in range((n - 2) // 2, -1, -1):
                sift(values, rows, start, root, n)
            for last in range(n - 1, 0, -1):
                values[start], values[start + last] = values[start + last], values[start]
                rows[start], rows[start + last] = rows[start + last], rows[start]
                sift(values, rows, start, 0, last)
        else:
            for i in range(start + 1, end):
                x = values[i]
                row = rows[i]
                j = i
                while j > start and values[j - 1] > x:
                    values[j] = values[j - 1]
                    rows[j] = rows[j - 1]
                    j -= 1
                values[j] = x
                rows[j] = row
        if waiting == 0:
            return
        waiting -= 3
        start, end, patience = later[waiting], later[waiting + 1], later[waiting + 2]


def sort_level(
    own: NDArray[np.int32], level: int, rows: NDArray[np.int32], start: int, end: int, spare: NDArray[np.int32]
) -> None:
    """Do to the rows what ``sort_rows`` does to them by a one-hot column: those of the level go last.

    Args:
        own: Level of each row.
        level: Which one.
        rows: Row numbers, of which ``start`` to ``end`` are sorted.
        start: First position to sort.
        end: Position after the last.
        spare: Room for as many rows.
    """
    n = end - start
    if n <= SMALLEST_SORT:
        at, ones = start, 0
        for i in range(start, end):
            row = rows[i]
            one = 1 if own[row] == level else 0
            rows[at] = row
            spare[ones] = row
            ones += one
            at += 1 - one
        for i in range(ones):
            rows[at + i] = spare[i]
        return
    ones = 0
    for at in (start, start + n // 2, end - 1):
        if own[rows[at]] == level:
            ones += 1
    if ones < 2:  # the pivot, the median of the three, is 0
        at, more = start, end
        while at < more:
            row = rows[at]
            if own[row] == level:
                more -= 1
                rows[at], rows[more] = rows[more], row
            else:
                at += 1
    else:
        less = start
        for at in range(start, end):
            row = rows[at]
            if own[row] != level:
                rows[at], rows[less] = rows[less], row
                less += 1


def sort_rare_level(
    members: NDArray[np.int32],
    rows: NDArray[np.int32],
    place: NDArray[np.int32],
    start: int,
    end: int,
    at: NDArray[np.int32],
) -> None:
    """Do what ``sort_level`` does where its pivot is 0, touching only the rows that move.

    Args:
        members: The rows of the level, in any order.
        rows: Row numbers, more than the few that are sorted by insertion.
        place: Position of each row, kept up.
        start: First position to sort.
        end: Position after the last.
        at: Room for as many as there are members.
    """
    last = len(members) - 1
    for i in range(last + 1):
        position = place[members[i]]
        j = i
        while j > 0 and at[j - 1] > position:
            at[j] = at[j - 1]
            j -= 1
        at[j] = position
    more = end
    next_one = 0
    while next_one <= last:
        here = at[next_one]
        more -= 1
        a, b = rows[here], rows[more]
        rows[here], rows[more] = b, a
        place[a], place[b] = more, here
        if at[last] == more:  # what came here is of the level too
            last -= 1
        else:
            next_one += 1


def grow(  # noqa: PLR0912, PLR0915  the calls that would part it cost more than the rows they would be about
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
    seen = np.zeros(width, dtype=np.bool_)
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
                own[j, i] = place[offsets[j] + code] if code >= 0 else -1
        labels = 1
        if not regression:
            for k in range(outputs):
                own_class[k] = -1
            for i in range(size):
                own_class[label[first + i]] = 0
            labels = 0
            for k in range(outputs):
                if own_class[k] == 0:
                    own_class[k] = labels
                    labels += 1
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
        stack[0, 0] = 0
        stack[0, 1] = with_weight
        stack[0, 2] = 0
        stack[0, 3] = 0
        top = 1
        while top > 0:
            top -= 1
            start = stack[top, 0]
            end = stack[top, 1]
            depth = stack[top, 2]
            known = stack[top, 3]
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
                for c in range(levels):
                    count[c] = 0
                for p in range(start, end):
                    for j in range(categories):
                        c = own[j, rows[p]]
                        if c >= 0:
                            count[c] += 1
                if n > SMALLEST_SORT:
                    for c in range(levels):
                        begin[c] = 0
                        if c > 0 and column_category[c] == column_category[c - 1]:
                            begin[c] = begin[c - 1] + count[c - 1]
                    for p in range(start, end):
                        for j in range(categories):
                            c = own[j, rows[p]]
                            if c >= 0:
                                bucket[j, begin[c]] = rows[p]
                                begin[c] += 1
                    for c in range(levels):
                        begin[c] -= count[c]
                positions_known = False
                best = -np.inf
                remaining = total
                found = 0
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
                                members = bucket[j, begin[f] : begin[f] + count[f]]
                                sort_rare_level(members, rows, position, start, end, spare)
                            else:
                                positions_known = False
                                sort_level(own[j], f, rows, start, end, spare)
                    else:
                        positions_known = False
                        at = start
                        stop = end - 1
                        if has_missing[m]:
                            while at <= stop:
                                if np.isnan(measured[m, rows[stop]]):
                                    missing += 1
                                    stop -= 1
                                    continue
                                row = rows[at]
                                if np.isnan(measured[m, row]):
                                    rows[at], rows[stop] = rows[stop], row
                                    missing += 1
                                    stop -= 1
                                values[at] = measured[m, rows[at]]
                                at += 1
                        else:
                            for p in range(start, end):
                                values[p] = measured[m, rows[p]]
                        sort_rows(values, rows, start, end - missing, later)
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
                            for i in range(missing):
                                spare[i] = rows[end - missing + i]
                            for p in range(end - 1, start + missing - 1, -1):
                                rows[p] = rows[p - missing]
                                values[p] = values[p - missing]
                            for i in range(missing):
                                rows[start + i] = spare[i]
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
                            if at - done <= end - at:
                                for p in range(done, at):
                                    row = rows[p]
                                    left[names[row]] += part[row]
                                    weight_left += share[row]
                            else:
                                for k in range(labels):
                                    left[k] = whole[k]
                                weight_left = weight_here
                                for p in range(end - 1, at - 1, -1):
                                    row = rows[p]
                                    left[names[row]] -= part[row]
                                    weight_left -= share[row]
                            done = at
                            weight_right = weight_here - weight_left
                            if weight_left < 0.0 or weight_right < 0.0:
                                continue
                            if regression:
                                right = whole[0] - left[0]
                                score = left[0] * left[0] / weight_left + right * right / weight_right
                            else:
                                square_left = 0.0
                                square_right = 0.0
                                for k in range(labels):
                                    square_left += left[k] * left[k]
                                    right = whole[k] - left[k]
                                    square_right += right * right
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
                at = start
                stop = end
                while at < stop:
                    row = rows[at]
                    if m < 0:
                        turn = own[column_category[best_column], row] != best_column
                    else:
                        x = measured[m, row]
                        turn = best_missing_left if np.isnan(x) else x <= best_threshold
                    if turn:
                        at += 1
                    else:
                        stop -= 1
                        rows[at], rows[stop] = rows[stop], row
                for k in range(labels):
                    left[k] = 0.0
                weight_left = 0.0
                if best_at - start <= end - best_at:
                    for p in range(start, best_at):
                        row = rows[p]
                        left[names[row]] += part[row]
                        weight_left += share[row]
                else:
                    for k in range(labels):
                        left[k] = whole[k]
                    weight_left = weight_here
                    for p in range(end - 1, best_at - 1, -1):
                        row = rows[p]
                        left[names[row]] -= part[row]
                        weight_left -= share[row]
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
                    square_left = 0.0
                    square_right = 0.0
                    for k in range(labels):
                        square_left += left[k] * left[k]
                        right = whole[k] - left[k]
                        square_right += right * right
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
