"""Reference implementations of the re-rankers: one query at a time, with loops, in float64."""

import numpy as np

from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.rerank.dba import Weights


def unit(vectors):
    return l2_normalize(np.asarray(vectors, dtype=np.float32)).astype(np.float64)


def by_score(scores, order):
    """Sort positions by descending score, ties by the given order."""
    position = {item: i for i, item in enumerate(order)}
    return sorted(range(len(scores)), key=lambda item: (-scores[item], position[item]))


def nearest(gallery, order, item, k):
    ranked = by_score(gallery @ gallery[item], order)
    return [other for other in ranked if other != item][:k]


def reorder(first, shortlist, similarity):
    """Sort the shortlist of `first` by a new similarity, a dict by item."""
    head = first[:shortlist]
    return sorted(head, key=lambda item: -similarity[item]) + first[len(head) :]


def positive(value, power):
    return max(value, 0.0) ** power


def alpha_qe(options, query, gallery, order):
    query, gallery = unit([query])[0], unit(gallery)
    expanded = query.copy()
    for item in by_score(gallery @ query, order)[: options.n]:
        expanded += positive(gallery[item] @ query, options.alpha) * gallery[item]
    return by_score(gallery @ expanded, order)


def dba(options, query, gallery, order):
    query, gallery = unit([query])[0], unit(gallery)
    augmented = np.empty_like(gallery)
    for item in range(len(gallery)):
        augmented_item = gallery[item].copy()
        for rank, other in enumerate(nearest(gallery, order, item, options.k), start=1):
            if options.weights is Weights.rank:
                weight = (options.k + 1 - rank) / (options.k + 1)
            else:
                weight = positive(gallery[item] @ gallery[other], options.alpha)
            augmented_item += weight * gallery[other]
        augmented[item] = augmented_item / (np.linalg.norm(augmented_item) or 1)
    return by_score(augmented @ query, order)


def diffusion(options, query, gallery, order):
    query, gallery = unit([query])[0], unit(gallery)
    first = by_score(gallery @ query, order)
    short = first[: options.shortlist]
    near = {item: nearest(gallery, order, item, options.k) for item in short}
    affinity = np.zeros((len(short), len(short)))
    for a, one in enumerate(short):
        for b, other in enumerate(short):
            if other in near[one] and one in near[other]:
                affinity[a, b] = positive(gallery[one] @ gallery[other], options.gamma)
    start = np.zeros(len(short))
    for a, item in enumerate(short[: options.kq]):
        start[a] = positive(gallery[item] @ query, options.gamma)
    degrees = affinity.sum(axis=1)
    flow = np.zeros_like(affinity)
    for a in range(len(short)):
        for b in range(len(short)):
            if affinity[a, b] > 0:
                flow[a, b] = affinity[a, b] / np.sqrt(degrees[a] * degrees[b])
    # The series of the matrix inverse, which is independent of the implementation under test.
    result, step = np.zeros(len(short)), (1 - options.alpha) * start
    for _ in range(2500):
        result += step
        step = options.alpha * flow @ step
    return reorder(first, options.shortlist, dict(zip(short, result, strict=True)))


def collaborative_filtering(options, query, gallery, order):
    query, gallery = unit([query])[0], unit(gallery)
    first = by_score(gallery @ query, order)
    history = first[: options.history]
    ratings = {item: positive(gallery[item] @ query, 1) for item in history}
    near = {item: nearest(gallery, order, item, options.k) for item in history}
    similarity = {}
    for item in first[: options.shortlist]:
        total = 0.0
        for rated in history:
            if item == rated:
                total += ratings[rated]
            elif item in near[rated]:
                total += ratings[rated] * positive(gallery[item] @ gallery[rated], 1)
        average = total / sum(ratings.values()) if sum(ratings.values()) > 0 else 0.0
        original = gallery[item] @ query
        similarity[item] = (1 - options.weight) * original + options.weight * average
    return reorder(first, options.shortlist or len(first), similarity)


def encodings(gallery, order, k1, k2):
    """Compute encodings as published, with its variable names; every list begins with the item.

    Return V before and after averaging, and the sets R(i, k1 / 2).
    """
    n = len(gallery)
    original_dist = 1 - gallery @ gallery.T
    initial_rank = [[i, *nearest(gallery, order, i, n)] for i in range(n)]

    def k_reciprocal_neigh(i, k):
        forward = initial_rank[i][: k + 1]
        return {g for g in forward if i in initial_rank[g][: k + 1]}

    half = [k_reciprocal_neigh(i, int(np.around(k1 / 2))) for i in range(n)]
    V = np.zeros((n, n))
    for i in range(n):
        k_reciprocal_index = k_reciprocal_neigh(i, k1)
        expansion = set(k_reciprocal_index)
        for candidate in k_reciprocal_index:
            if len(half[candidate] & k_reciprocal_index) >= 2 / 3 * len(half[candidate]) - 1e-9:
                expansion |= half[candidate]
        for g in expansion:
            V[i, g] = np.exp(-original_dist[i, g])
        V[i] /= V[i].sum()
    V_qe = np.array([V[initial_rank[i][:k2]].mean(axis=0) for i in range(n)])
    return V, V_qe, half


def jaccard_distance(one, other):
    return 1 - np.minimum(one, other).sum() / np.maximum(one, other).sum()


def k_reciprocal_of_all(options, items, order, item):
    """Re-rank one query that is an item of the set, as published."""
    items = unit(items)
    _, V, _ = encodings(items, order, options.k1, options.k2)
    first = nearest(items, order, item, len(items))
    final = {}
    for other in first[: options.shortlist]:
        jaccard = jaccard_distance(V[item], V[other])
        distance = 1 - items[item] @ items[other]
        final[other] = -((1 - options.lambda_value) * jaccard + options.lambda_value * distance)
    return reorder(first, options.shortlist or len(first), final)


def k_reciprocal(options, query, gallery, order):
    query, gallery = unit([query])[0], unit(gallery)
    V, V_qe, half = encodings(gallery, order, options.k1, options.k2)
    first = by_score(gallery @ query, order)
    reciprocal = set()
    for item in first[: options.k1]:
        others = nearest(gallery, order, item, len(gallery))
        nearer = [o for o in others if gallery[o] @ gallery[item] > gallery[item] @ query]
        if len(nearer) < options.k1:
            reciprocal.add(item)
    expansion = set(reciprocal)
    for item in reciprocal:
        if 3 * len(half[item] & reciprocal) >= 2 * len(half[item]):
            expansion |= half[item]
    own = np.zeros(len(gallery))
    for item in expansion:
        own[item] = np.exp(gallery[item] @ query - 1)
    if expansion:
        own /= own.sum()
    own = np.mean([own, *(V[item] for item in first[: options.k2 - 1])], axis=0)
    final = {}
    for item in first[: options.shortlist]:
        jaccard = jaccard_distance(own, V_qe[item])
        distance = 1 - gallery[item] @ query
        final[item] = -((1 - options.lambda_value) * jaccard + options.lambda_value * distance)
    return reorder(first, options.shortlist or len(first), final)
