"""Assigns groups of articles to train, validation and test, with each label's share alike in all three."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence

SPLITS = ("train", "validation", "test")


def partition(
    groups: Sequence[int],
    labels: Sequence[Sequence[str]],
    fractions: Mapping[str, float],
    seed: int,
    kept: Mapping[int, str] | None = None,
) -> dict[int, str]:
    """Assign every group to a split, or to a fold.

    Greedy iterative stratification (Sechidis et al. 2011) over whole groups: groups rich in rare labels are placed first, each
    where the split lacks most of what the group holds. An unlabelled sentence counts as a label of its own, so that
    empty sentences spread evenly too.

    Args:
        groups: The group of each sentence.
        labels: The labels of each sentence.
        fractions: The share of each split; a split with share 0 stays empty. Their order decides ties.
        seed: Decides ties and the order of equal groups.
        kept: Groups whose split is given; the others fill up what these leave lacking.

    Returns:
        The split of each group.
    """
    content: dict[int, Counter[str]] = {}
    for group, names in zip(groups, labels, strict=True):
        content.setdefault(group, Counter()).update(names or ("",))
    totals: Counter[str] = Counter()
    for counts in content.values():
        totals.update(counts)
    splits = [split for split, fraction in fractions.items() if fraction > 0]
    wanted = {split: {label: fraction * total for label, total in totals.items()} for split, fraction in fractions.items()}
    rng = random.Random(seed)
    order = sorted(content)
    rng.shuffle(order)
    order.sort(key=lambda group: -sum(count / totals[label] for label, count in content[group].items()))
    placed: dict[int, str] = {group: split for group, split in (kept or {}).items() if group in content}
    for group, split in placed.items():
        for label, count in content[group].items():
            wanted[split][label] -= count
    for group in (group for group in order if group not in placed):
        lack = {
            split: sum(count * wanted[split][label] / max(totals[label], 1) / fractions[split] for label, count in content[group].items())
            for split in splits
        }
        best = max(splits, key=lambda split: (round(lack[split], 9), fractions[split]))
        placed[group] = best
        for label, count in content[group].items():
            wanted[best][label] -= count
    return placed
