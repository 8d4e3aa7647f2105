#!/usr/bin/env python3
"""Measures of fairness and calibration on a fixed table, for train/fairness and recommend/reranking.

Run from the repository root, with any Python >= 3.8:

    python3 test/golden/fairness.py

It rewrites fairness.json beside this script. Everything is computed from the definitions over dense matrices of users and
items, in another language and another way than the code that it judges: Yao & Huang (NIPS 2017), Islam et al. (WWW 2021),
Steck (RecSys 2018), Abdollahpouri et al. (RecSys 2020), and the names of RecBole-FairRec.
"""

import json
import math
import os
import random

HERE = os.path.dirname(os.path.abspath(__file__))
USERS, ITEMS, LENGTH = 24, 18, 10
draw = random.Random(20181001)

GENRES = ["drama", "comedy", "war", "noir"]
genres = [sorted(draw.sample(GENRES, draw.randint(1, 3))) for _ in range(ITEMS)]
genres[5] = []  # nothing is known of it
counts = [draw.randint(0, 40) for _ in range(ITEMS)]
counts[3] = 0
lists = [draw.sample(range(ITEMS), LENGTH) for _ in range(USERS)]
lists[4] = lists[4][:6]  # no more candidates were left
targets = [draw.sample(range(ITEMS), draw.choice([1, 1, 2])) for _ in range(USERS)]
histories = [[draw.randrange(ITEMS) for _ in range(draw.randint(1, 9))] for _ in range(USERS)]
histories[7] = [5, 5]  # without any genre
groups2 = [draw.choice("ab") for _ in range(USERS)]
groups3 = [draw.choice("abc") for _ in range(USERS)]


def weight(rank):
    return 1 / math.log2(1 + rank)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


# ---- unfairness ----------------------------------------------------------------------------------

y = [[0.0] * ITEMS for _ in range(USERS)]
r = [[0.0] * ITEMS for _ in range(USERS)]
for u in range(USERS):
    whole = sum(weight(k + 1) for k in range(len(lists[u])))
    for k, i in enumerate(lists[u]):
        y[u][i] = weight(k + 1) / whole
    for i in targets[u]:
        r[u][i] = 1 / len(targets[u])
shown = [i for i in range(ITEMS) if any(y[u][i] > 0 or r[u][i] > 0 for u in range(USERS))]


def apart(groups, group, of):
    inside = [u for u in range(USERS) if groups[u] == group]
    outside = [u for u in range(USERS) if groups[u] != group]
    values = []
    for i in shown:
        sides = []
        for side in (inside, outside):
            sides.append((mean(y[u][i] for u in side), mean(r[u][i] for u in side)))
        values.append(abs(of(*sides[0]) - of(*sides[1])))
    return mean(values)


def unfairness(groups):
    names = sorted(set(groups))
    measures = {
        "ValueUnfairness": lambda shown, wanted: shown - wanted,
        "AbsoluteUnfairness": lambda shown, wanted: abs(shown - wanted),
        "UnderUnfairness": lambda shown, wanted: max(0, wanted - shown),
        "OverUnfairness": lambda shown, wanted: max(0, shown - wanted),
    }
    out = {name: max(apart(groups, g, of) for g in names) for name, of in measures.items()}
    own = {g: mean(sum(y[u][i] for i in targets[u]) for u in range(USERS) if groups[u] == g) for g in names}
    if len(names) == 2:
        out["NonParityUnfairness"] = abs(own[names[0]] - own[names[1]])
    else:
        middle = mean(own.values())
        out["NonParityUnfairness"] = math.sqrt(mean((x - middle) ** 2 for x in own.values()))
    epsilons = []
    for i in shown:
        worst = 0.0
        for a in names:
            for b in names:
                rates = []
                for g in (a, b):
                    members = [u for u in range(USERS) if groups[u] == g]
                    listed = sum(1 for u in members if i in lists[u])
                    rates.append(
                        ((listed + 1) / (len(members) + 2), (len(members) - listed + 1) / (len(members) + 2))
                    )
                worst = max(worst, abs(math.log(rates[0][0] / rates[1][0])), abs(math.log(rates[0][1] / rates[1][1])))
        epsilons.append(worst)
    out["DifferentialFairness"] = mean(epsilons)
    return out


# ---- items -----------------------------------------------------------------------------------------


def shares(rows):
    known = [i for i in rows if genres[i]]
    out = {}
    for i in known:
        for g in genres[i]:
            out[g] = out.get(g, 0) + 1 / len(genres[i]) / len(known)
    return out


def divergence(p, q, alpha=0.01):
    return sum(p[g] * math.log(p[g] / ((1 - alpha) * q.get(g, 0) + alpha * p[g])) for g in p)


miscalibration = [divergence(shares(histories[u]), shares(lists[u])) if shares(histories[u]) else None for u in range(USERS)]

exposure = {g: 0.0 for g in [*GENRES, "(missing)"]}
for u in range(USERS):
    for k, i in enumerate(lists[u]):
        for g in genres[i] or ["(missing)"]:
            exposure[g] += weight(k + 1) / max(1, len(genres[i]))
whole = sum(exposure.values())
exposure = {g: x / whole for g, x in exposure.items()}
noir = sum(weight(k + 1) for u in range(USERS) for k, i in enumerate(lists[u]) if "noir" in genres[i]) / whole

gap_lists = mean(mean(counts[i] for i in lists[u]) for u in range(USERS))
gap_histories = mean(mean(counts[i] for i in histories[u]) for u in range(USERS))
order = sorted((i for i in range(ITEMS) if counts[i] > 0), key=lambda i: (-counts[i], i))
cut = max(1, len(order) // 10)
popular, tail = set(order[:cut]), set(order[-cut:])

# ---- Steck's greedy ---------------------------------------------------------------------------------

candidates = [{"row": i, "score": round(3 - 0.17 * k + 0.4 * draw.random(), 6)} for k, i in enumerate(draw.sample(range(ITEMS), 14))]
candidates.sort(key=lambda c: -c["score"])
high, low = candidates[0]["score"], candidates[-1]["score"]


def greedy(history, strength, k):
    p = shares(history)
    chosen, left = [], list(candidates)
    while len(chosen) < k:
        best, best_value = None, -math.inf
        for c in left:
            s = sum((d["score"] - low) / (high - low) for d in [*chosen, c])
            value = (1 - strength) * s - strength * divergence(p, shares([d["row"] for d in [*chosen, c]]))
            if value > best_value + 1e-12:
                best, best_value = c, value
        chosen.append(best)
        left.remove(best)
    return [c["row"] for c in chosen]


calibrated = [
    {"history": histories[u], "weight": strength, "rows": greedy(histories[u], strength, 8)}
    for u in (0, 1, 2, 3)
    for strength in (0.1, 0.5, 0.9, 1.0)
]

nine = lambda value: None if value is None else float(f"{value:.12g}")
with open(os.path.join(HERE, "fairness.json"), "w") as out:
    json.dump(
        {
            "about": "test/golden/fairness.py",
            "genres": genres,
            "counts": counts,
            "lists": lists,
            "targets": targets,
            "histories": histories,
            "groups2": groups2,
            "groups3": groups3,
            "unfairness2": {name: nine(x) for name, x in unfairness(groups2).items()},
            "unfairness3": {name: nine(x) for name, x in unfairness(groups3).items()},
            "miscalibration": [nine(x) for x in miscalibration],
            "exposure": {g: nine(x) for g, x in exposure.items()},
            "noir": nine(noir),
            "popularityLift": nine((gap_lists - gap_histories) / gap_histories),
            "popularityPercentage": nine(mean(mean(i in popular for i in lists[u]) for u in range(USERS))),
            "tailPercentage": nine(mean(mean(i in tail for i in lists[u]) for u in range(USERS))),
            "candidates": candidates,
            "calibrated": calibrated,
        },
        out,
        indent=1,
    )
    out.write("\n")
