"""Do ours.lua and peer.py say the same? Of the files that they wrote with LOOK_OUT and --out.

    python3 same.py OURS THEIRS [THRESHOLD...]       tokens: how many texts are equal up to their end; probabilities: how far they are apart
"""
import json
import sys

END = 102  # [SEP]


def ended(row):
    return row[: row.index(END, 1) + 1] if END in row[1:] else row


def tokens(pairs):
    apart = [next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b))) for a, b in pairs if a != b]
    longest = max(len(b) for _, b in pairs)
    where = f", others part at token {min(apart)} or later" if apart else ""
    return f"{len(pairs) - len(apart)} of {len(pairs)} texts of up to {longest} tokens the same{where}"


def probabilities(pairs, thresholds):
    flat = [(x, y) for a, b in pairs for x, y in zip(a, b)]
    values = sorted(y for _, y in flat)
    said = [f"{len(flat)} probabilities ({values[0]:.4f} to {values[-1]:.4f}), apart by at most {max(abs(x - y) for x, y in flat):.1e}"]
    for t in thresholds:
        said.append(f"above {t:g} {sum(y >= t for _, y in flat)}, {sum((x >= t) != (y >= t) for x, y in flat)} of them differ")
    return "; ".join(said)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    with open(sys.argv[1]) as ours, open(sys.argv[2]) as theirs:
        both = list(zip(json.load(ours), json.load(theirs), strict=True))
    if isinstance(both[0][1][0], int):
        print(tokens([(ended(a), ended(b)) for a, b in both]))
    else:
        print(probabilities(both, [float(t) for t in sys.argv[3:]]))
