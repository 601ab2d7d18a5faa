"""The loss of labels that do not exclude each other."""

from typing import Literal

from torch import Tensor
from torch.nn.functional import logsigmoid

Loss = Literal["bce", "focal", "asymmetric"]
# How strongly easy positives and easy negatives count less, and the probability below which a negative counts nothing: the values of
# the papers, Lin et al. 2017 (focal) and Ridnik et al. 2021 (asymmetric).
_FOCUS: dict[Loss, tuple[float, float, float]] = {"bce": (0, 0, 0), "focal": (2, 2, 0), "asymmetric": (0, 4, 0.05)}


def multilabel_loss(logits: Tensor, targets: Tensor, weights: Tensor, pos_weight: Tensor, kind: Loss = "bce") -> Tensor:
    """Return the mean over sentences and labels of a binary cross-entropy with hard or soft targets.

    Args:
        logits: Shape (sentences, labels).
        targets: Probabilities that the labels hold, 0 or 1 where a person said so; the same shape.
        weights: How much each sentence counts. They are not normalised: half the weight is half the gradient.
        pos_weight: How much more the positive part of each label counts.
        kind: ``bce``; ``focal`` or ``asymmetric``, which count what is easy less. With soft targets these two are no longer least
            where probability and target agree.
    """
    easy_positive, easy_negative, margin = _FOCUS[kind]
    positive, negative = logsigmoid(logits), logsigmoid(-logits)
    if margin:
        negative = (negative.exp() + margin).clamp(max=1).log()
    # One minus the probability that each part wants: small where the sentence is easy.
    if easy_positive:
        positive = positive * (1 - positive.exp()) ** easy_positive
    if easy_negative:
        negative = negative * (1 - negative.exp()) ** easy_negative
    loss = -(pos_weight * targets * positive + (1 - targets) * negative)
    return (loss.mean(dim=1) * weights).mean()
